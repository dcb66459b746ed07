"""Trained projections of low rank: the start of the frozen model, the function of whole copies, small files."""

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file

from maskvid.model import InflatedUNet, decays, load_adapter, parameters_by_role, save_adapter
from maskvid.model.roles import Role
from tests.backbones import UNETS, save_backbone, tiny_unet
from tests.model.test_inflate import clip, flat_output

RANK = 3
SD15 = {"cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": (320, 640, 1280, 1280)}


def shaken(video: InflatedUNet) -> InflatedUNet:
    """Every trained weight moved off its start."""
    generator = torch.Generator().manual_seed(3)
    for parameter in video.steering.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return video.eval()


@pytest.mark.parametrize("kind", UNETS)
@torch.no_grad()
def test_at_the_start_every_frame_is_the_2d_unets(kind):
    unet = tiny_unet(kind)
    latents, timesteps, text, steer = clip(kind)
    expected = flat_output(unet, latents, timesteps, text, steer["pooled"])
    parts = {"self_attention_strength": None, "cross_attention_strength": None, "cross_query": True}
    video = InflatedUNet(unet, vae_scale_factor=4, reference="self", rank=RANK, **parts).eval()
    assert (video(latents, timesteps, text, **steer) - expected).abs().max() == 0
    assert (shaken(video)(latents, timesteps, text, **steer) - expected)[:, 1:].abs().max() > 1e-2


@pytest.mark.parametrize("kind", UNETS)
@torch.no_grad()
def test_differences_compute_what_whole_copies_of_the_sums_do(kind):
    latents, timesteps, text, steer = clip(kind)
    # Other parts have other shapes with a rank, and are left out.
    parts = {
        "mask_input": False, "mask_pyramid": False, "first_frame_input": False, "temporal_attention": None,
        "temporal_conv": None, "cross_query": True,
    }  # fmt: skip
    low = shaken(InflatedUNet(tiny_unet(kind), vae_scale_factor=4, rank=RANK, **parts))
    whole = InflatedUNet(tiny_unet(kind), vae_scale_factor=4, **parts).eval()
    state = whole.steering.state_dict()
    for name, value in low.steering.state_dict().items():
        if "lora_" not in name:
            state[name] = value
        elif "lora_B" in name:
            first = low.steering.state_dict()[name.replace("lora_B", "lora_A")]
            state[name.replace("lora_B.", "")] += value @ first
    whole.steering.load_state_dict(state)
    torch.testing.assert_close(*(video(latents, timesteps, text, **steer) for video in (low, whole)))


def test_an_adapter_of_rank_16_is_small_at_the_shape_of_stable_diffusion():
    def mebibytes(**parts):
        with torch.device("meta"):
            video = InflatedUNet(UNet2DConditionModel(**SD15), vae_scale_factor=8, rough_masks=True, **parts)
        return sum(value.numel() * 4 for value in video.steering.state_dict().values()) / 2**20

    assert mebibytes(rank=16) <= 15
    assert mebibytes(rank=8) <= 10
    assert mebibytes(rank=16, layers="all") > 20
    assert mebibytes() > 150


def test_differences_decay_towards_the_frozen_model_and_copies_do_not():
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, rank=RANK)
    by_role = parameters_by_role(video.steering)
    assert by_role[Role.COPY] == []
    projections = {id(p) for name, p in video.steering.named_parameters() if "lora_" in name}
    assert projections
    assert projections <= {id(p) for p in by_role[Role.LAYER] if decays(Role.LAYER, p)}


def test_an_adapter_is_read_back_whole(tmp_path):
    tuned = shaken(InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, rank=RANK))
    save_adapter(tmp_path, tuned.steering.state_dict(), {"steps": 1})
    fresh = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, rank=RANK)
    load_adapter(tmp_path, fresh)
    for name, value in tuned.steering.state_dict().items():
        assert torch.equal(fresh.steering.state_dict()[name], value)


@torch.no_grad()
def test_its_queries_are_a_lora_that_diffusers_loads(tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(save_backbone(tmp_path / "backbone"))
    tuned = shaken(InflatedUNet(pipeline.unet, vae_scale_factor=4, rank=RANK))
    save_adapter(tmp_path, tuned.steering.state_dict(), {"steps": 1})
    unet = tuned.restore()
    lora = {
        name: value for name, value in load_file(tmp_path / "adapter.safetensors").items() if name.startswith("unet.")
    }
    name = "up_blocks.1.attentions.0.transformer_blocks.0.attn1"
    query, states = (
        unet.get_submodule(f"{name}.to_q"),
        torch.randn(1, 5, unet.get_submodule(f"{name}.to_q").in_features),
    )
    difference = tuned.steering[name.replace(".", "-")].to_q(states)
    expected = query(states) + difference
    pipeline.load_lora_weights(lora)
    torch.testing.assert_close(unet.get_submodule(f"{name}.to_q")(states), expected)
    assert difference.abs().max() > 1e-3
    steered = [key for key in unet.attn_processors if key.startswith("up_blocks")]
    assert len(lora) == 2 * sum(key.endswith("attn1.processor") for key in steered)
