from __future__ import annotations

import json

import open_clip
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from open_clip.transform import PreprocessCfg
from safetensors.torch import save_file
from torchvision.transforms.functional import to_pil_image

from maskvid.config import CONF
from maskvid.errors import UserError
from maskvid.judges.clip_encoder import ClipEncoder, load_clip
from maskvid.judges.segmenter import Segmenter

TINY = {
    "embed_dim": 8,
    "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32},
    "text_cfg": {"width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def small_clip():
    torch.manual_seed(0)
    return open_clip.CLIP(TINY["embed_dim"], TINY["vision_cfg"], TINY["text_cfg"])


@pytest.fixture(scope="module")
def weights(small_clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file({name: value.clone() for name, value in small_clip.state_dict().items()}, path)
    return path


@pytest.fixture
def narrow(monkeypatch, weights):
    """open_clip's own models and tags, but every network is tiny and every download is a file that is here."""
    for name, config in list(open_clip.factory._MODEL_CONFIGS.items()):
        own = {"quick_gelu": config["quick_gelu"]} if "quick_gelu" in config else {}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, TINY | own)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "mine", TINY)
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *args, **kwargs: str(weights))


def encoder_of(model, **settings):
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    return ClipEncoder(model=model, tokenize=tokenize, preprocess=PreprocessCfg(**{"size": 32} | settings))


def activation_of(encoder):
    towers = encoder.model.visual.transformer, encoder.model.transformer
    [found] = {type(tower.resblocks[0].mlp.gelu).__name__ for tower in towers}
    return found


@pytest.mark.parametrize(
    ("name", "tag", "activation"),
    [
        ("ViT-L-14", "openai", "QuickGELU"),
        ("ViT-L/14", "openai", "QuickGELU"),
        ("ViT-L-14-quickgelu", "openai", "QuickGELU"),
        ("ViT-L-14", "laion2b_s32b_b82k", "GELU"),  # its mean and deviation are others, too
        ("ViT-H-14", "dfn5b", "QuickGELU"),
        ("ViT-H-14-CLIPA", "datacomp1b", "GELU"),  # squashes, bilinear
        ("MobileCLIP-B", "datacompdr", "GELU"),  # mean 0, deviation 1, bilinear
        ("roberta-ViT-B-32", "laion2b_s12b_b32k", "QuickGELU"),  # by its configuration; the tag is silent
    ],
)
def test_a_model_is_the_one_that_its_weights_were_trained_as(narrow, name, tag, activation):
    encoder = load_clip(name, tag)
    assert activation_of(encoder) == activation
    published = open_clip.get_pretrained_cfg(name.replace("/", "-"), tag)
    for key in ("mean", "std", "interpolation", "resize_mode"):
        assert getattr(encoder.settings, key) == published[key]


def test_the_judge_of_published_tables_is_asked_for_by_one_word(narrow):
    with initialize_config_dir(CONF, version_base="1.3"):
        encoders = instantiate(compose("evaluate", overrides=["metrics=vit_l14"]).metrics)
    assert encoders.describe()["clip"] == "ViT-L-14"
    assert activation_of(encoders.clip) == "QuickGELU"


def test_a_file_of_weights_is_taken_where_all_that_it_could_be_agrees_and_refused_where_not(narrow, weights):
    assert activation_of(load_clip("ViT-L-14-quickgelu", str(weights))) == "QuickGELU"
    prepared = load_clip("ViT-H-14-CLIPA", str(weights)).settings
    assert (prepared.resize_mode, prepared.interpolation) == ("squash", "bilinear")
    assert load_clip("mine", str(weights)).settings == PreprocessCfg(size=(32, 32))  # nothing is published of it
    with pytest.raises(UserError, match="QuickGELU and how its pictures are prepared.*open_clip_config.json"):
        load_clip("ViT-L-14", str(weights))


def test_a_folder_says_itself_what_its_weights_were_trained_with(small_clip, weights, tmp_path):
    settings = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear", "resize_mode": "squash"}
    config = {"model_cfg": TINY | {"quick_gelu": True}, "preprocess_cfg": settings}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="cannot be loaded"):  # a folder without weights judges at random
        load_clip(tmp_path)
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    encoder = load_clip(tmp_path)
    assert activation_of(encoder) == "QuickGELU"
    assert {key: getattr(encoder.settings, key) for key in settings} == settings
    with pytest.raises(UserError, match="set pretrained=null"):
        load_clip(tmp_path, "openai")


@pytest.mark.parametrize("shape", [(64, 96), (90, 50), (20, 33)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interpolation": "bilinear", "mean": (0.5, 0.4, 0.3), "std": (0.3, 0.4, 0.5)},
        {"resize_mode": "squash"},
        {"resize_mode": "squash", "interpolation": "bilinear", "size": (24, 40)},
        {"resize_mode": "longest", "fill_color": 100},
        {"size": (24, 40)},
    ],
    ids=str,
)
def test_preprocessing_agrees_with_open_clips_own(small_clip, settings, shape):
    draw = torch.Generator().manual_seed(0)
    rough = 0.2 + 0.6 * torch.rand(1, 3, 8, 12, generator=draw)  # PIL clips between its two passes, where there is need
    smooth = torch.nn.functional.interpolate(rough, size=shape, mode="bicubic")
    frames = (smooth * 255).round() / 255
    encoder = encoder_of(small_clip, **settings)
    wanted = {key: value for key, value in settings.items() if key != "size"}
    reference = open_clip.image_transform(encoder.settings.size, is_train=False, **wanted)(to_pil_image(frames[0]))
    ours = encoder.preprocess(frames * 2 - 1)[0]
    assert ours.shape == reference.shape
    assert float((ours - reference).abs().max()) < 0.03  # PIL rounds to 8 bits: 1 / 255 / std is 0.015


def test_a_wide_frame_is_cropped_and_not_squeezed(small_clip):
    frames = torch.full((1, 3, 64, 96), -1.0)
    frames[..., 16:80] = 1.0
    seen = encoder_of(small_clip).preprocess(frames)
    assert float(seen.min()) > 1.5  # nothing of the dark borders is left


def test_embeddings_are_unit_vectors_without_gradients(small_clip):
    encoder = encoder_of(small_clip)
    pictures, words = encoder.images(torch.zeros(2, 3, 40, 40)), encoder.texts(["a horse", "a dog", "a cow"])
    assert pictures.shape == (2, 8)
    assert words.shape == (3, 8)
    assert not pictures.requires_grad
    torch.testing.assert_close(words.norm(dim=-1), torch.ones(3))


def test_unknown_names_missing_weights_and_empty_folders_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match="list_models"):
        load_clip("ViT-Nothing")
    with pytest.raises(UserError, match=r"pretrained=TAG.*openai"):
        load_clip("ViT-B-32")
    with pytest.raises(UserError, match="open_clip_config"):
        load_clip(tmp_path)
    with pytest.raises(UserError, match="stage=segmenter"):
        Segmenter.from_pretrained(tmp_path)


def test_the_segmenter_marks_frames_of_any_size():
    torch.manual_seed(0)
    segmenter = Segmenter((4, 8, 8)).eval()
    frames = torch.rand(2, 3, 33, 50) * 2 - 1
    found = segmenter(frames)
    assert found.shape == (2, 1, 33, 50)
    continued = torch.cat([frames, frames[..., -1:, :].expand(-1, -1, 3, -1)], -2)  # to 36 and 52, both of which divide
    continued = torch.cat([continued, continued[..., -1:].expand(-1, -1, -1, 2)], -1)
    torch.testing.assert_close(found, segmenter(continued)[..., :33, :50])
