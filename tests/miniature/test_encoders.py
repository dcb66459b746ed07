from __future__ import annotations

import open_clip
import pytest
import torch
from torchvision.transforms.functional import to_pil_image

from maskvid.errors import UserError
from maskvid.masks.segmenter import Segmenter
from maskvid.metrics.encoders import ClipEncoder, load_clip


@pytest.fixture(scope="module")
def small_clip():
    config = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32},
        "text_cfg": {"width": 32, "heads": 2, "layers": 1},
    }
    from open_clip.model import CLIP

    return CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])


def encoder_of(model, size):
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return ClipEncoder(model=model, tokenize=open_clip.get_tokenizer("ViT-B-32"), size=size, mean=mean, std=std)


def test_preprocessing_agrees_with_open_clips_own(small_clip):
    draw = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 12, generator=draw), size=(64, 96), mode="bicubic")
    frames = (smooth.clamp(0, 1) * 255).round() / 255
    reference = open_clip.image_transform(32, is_train=False)(to_pil_image(frames[0]))
    ours = encoder_of(small_clip, (32, 32)).preprocess(frames * 2 - 1)[0]
    assert float((ours - reference).abs().max()) < 0.03  # PIL rounds to 8 bits: 1 / 255 / std is 0.015


def test_a_wide_frame_is_cropped_and_not_squeezed(small_clip):
    frames = torch.full((1, 3, 64, 96), -1.0)
    frames[..., 16:80] = 1.0
    seen = encoder_of(small_clip, (32, 32)).preprocess(frames)
    assert float(seen.min()) > 1.5  # nothing of the dark borders is left


def test_embeddings_are_unit_vectors_without_gradients(small_clip):
    encoder = encoder_of(small_clip, (32, 32))
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


def test_the_segmenter_refuses_sizes_it_would_have_to_crop():
    with pytest.raises(UserError, match="divide by 4"):
        Segmenter((4, 8, 8))(torch.zeros(1, 3, 30, 32))
