"""Folders as people have them: parts that are optional, half precision, other architectures, what is wrong in words."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.model import Backbone
from maskvid.train import train
from tests.backbones import TEXT_WIDTH, UNETS, save_backbone
from tests.model.test_control import save_controlnet
from tests.runs import configure, configure_generate
from tests.single_file import save_single_file


def add_safety_checker(folder, *, flags):
    """A true safety checker of random weights that flags every picture, or none."""
    config = CLIPConfig(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 16,
        },
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config)
    for weights in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        weights.data.fill_(-2.0 if flags else 2.0)  # thresholds of cosines
    checker.save_pretrained(folder / "safety_checker")
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(**size).save_pretrained(folder / "feature_extractor")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "requires_safety_checker": True,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def copy(tiny_backbone, tmp_path):
    return shutil.copytree(tiny_backbone, tmp_path / "copy")


def paint(backbone, masks=None):
    generators = [torch.Generator().manual_seed(0)]
    return backbone.paint(
        ["a fox"], (32, 48), generators=generators, guidance_scale=2.0, num_inference_steps=2, masks=masks
    )


@pytest.mark.parametrize("led", [False, True])
def test_a_flagged_first_frame_is_an_error_and_never_black(copy, tiny_backbone, tmp_path, led):
    more = {"controlnet": save_controlnet(tmp_path / "control")} if led else {}
    masks = torch.ones(1, 1, 32, 48) if led else None
    plain = paint(Backbone(str(tiny_backbone), **more), masks)
    add_safety_checker(copy, flags=False)
    calm = Backbone(str(copy), **more)
    assert calm.pipeline.safety_checker is not None
    assert torch.equal(paint(calm, masks), plain)
    add_safety_checker(copy, flags=True)
    with pytest.raises(UserError, match=r"'a fox'.*flags.*another\s+seed.*first_frame=.*safety_checker=false"):
        paint(Backbone(str(copy), **more), masks)
    off = Backbone(str(copy), safety_checker=False, **more)
    assert off.pipeline.safety_checker is None
    assert torch.equal(paint(off, masks), plain)


def test_the_checker_can_be_left_out_afterwards(copy, overrides, triples, tmp_path):
    add_safety_checker(copy, flags=True)
    run = ["method.trained=false", "data.validation=null", f"backbone.path={copy}", f"run_dir={tmp_path / 'run'}"]
    train(configure(overrides, *run))
    with pytest.raises(UserError, match="safety checker flags"):
        generate(configure_generate(tmp_path / "run", triples, f"out={tmp_path / 'out'}"))
    [first, *_] = generate(
        configure_generate(tmp_path / "run", triples, f"out={tmp_path}", "backbone.safety_checker=false")
    )
    assert first.exists()


def test_parts_that_are_optional_may_be_missing(copy):
    add_safety_checker(copy, flags=True)
    shutil.rmtree(copy / "feature_extractor")
    with pytest.raises(UserError, match="without the part 'feature_extractor'"):
        Backbone(str(copy))
    assert Backbone(str(copy), safety_checker=False).pipeline.safety_checker is None
    shutil.rmtree(copy / "safety_checker")
    assert Backbone(str(copy)).pipeline.safety_checker is None


def test_half_precision_files_alone_name_the_variant(tiny_backbone, tmp_path):
    half = tmp_path / "half"
    Backbone(str(tiny_backbone)).pipeline.save_pretrained(half, variant="fp16")
    with pytest.raises(UserError, match=r"give backbone\.variant=fp16"):
        Backbone(str(half))
    Backbone(str(half), variant="fp16")


def test_the_home_folder_is_found_in_every_path(tmp_path, monkeypatch):
    folder = save_backbone(tmp_path / "sd1", "sd1")
    save_single_file(folder, tmp_path / "model.safetensors")
    save_controlnet(tmp_path / "control", "sd1")
    monkeypatch.setenv("HOME", str(tmp_path))
    Backbone("~/sd1", controlnet="~/control")
    Backbone("~/model.safetensors", config="~/sd1")
    with pytest.raises(UserError, match=r"(?s)backbone\.lora='~/none'"):
        Backbone("~/sd1", lora="~/none")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"in_channels": 9}, "in_channels=9 for latents of 4 channels, as for inpainting"),
        ({"out_channels": 8}, "out_channels=8"),
        ({"only_cross_attention": True}, "words in self-attention"),
        ({"dual_cross_attention": True}, "dual_cross_attention=True"),
        ({"num_class_embeds": 10}, "num_class_embeds=10"),
        ({"class_embed_type": "timestep"}, "class_embed_type='timestep'"),
        ({"encoder_hid_dim": 16, "encoder_hid_dim_type": "text_proj"}, "encoder_hid_dim_type='text_proj'"),
        ({"addition_embed_type": "text", "encoder_hid_dim": TEXT_WIDTH}, "addition_embed_type='text'"),
        ({"time_cond_proj_dim": 8}, "time_cond_proj_dim=8"),
        ({"attention_type": "gated"}, "attention_type='gated'"),
        ({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "another place than attn1 or attn2"),
        (
            {
                "down_block_types": ("SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D", "DownBlock2D"),
                "up_block_types": ("UpBlock2D", "SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D"),
            },
            "added key and value projections|another place",
        ),
        ({"down_block_types": ("CrossAttnDownBlock2D", "AttnDownBlock2D", "DownBlock2D")}, "another place"),
        ({"down_block_types": ("CrossAttnDownBlock2D", "KCrossAttnDownBlock2D", "DownBlock2D")}, "KAttentionBlock"),
    ],
)
def test_other_architectures_are_refused_in_words(copy, settings, words):
    shape = {"sample_size": [16, 24], "norm_num_groups": 8, "cross_attention_dim": TEXT_WIDTH, **UNETS["mini"]}
    unet = UNet2DConditionModel(**{**shape, **settings})
    shutil.rmtree(copy / "unet")
    unet.save_pretrained(copy / "unet")
    with pytest.raises(UserError, match=f"no Stable-Diffusion-class text-to-image backbone: it has .*({words})"):
        Backbone(str(copy))


def test_the_vae_computes_in_float32_where_half_precision_overflows(tmp_path):
    folder = save_backbone(tmp_path / "sdxl", "sdxl")
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae")
    assert vae.config.force_upcast
    vae.encoder.conv_in.weight.data *= 6e4 / vae.encoder.conv_in.weight.data.abs().max()
    vae.decoder.conv_in.weight.data *= 6e4 / vae.decoder.conv_in.weight.data.abs().max()
    vae.save_pretrained(folder / "vae")
    exact, half = Backbone(str(folder)), Backbone(str(folder), dtype="float16")
    frames = torch.rand(2, 3, 32, 48) * 2 - 1
    latents = half.encode_frames(frames)
    torch.testing.assert_close(latents, exact.encode_frames(frames), atol=0.02, rtol=0.02)
    torch.testing.assert_close(half.decode_latents(latents), exact.decode_latents(latents), atol=0.02, rtol=0.02)
    assert half.unet.dtype == torch.float16
    painted = half.paint(["a fox"], (32, 48), generators=[torch.Generator()], guidance_scale=2.0, num_inference_steps=2)
    assert painted.isfinite().all()
