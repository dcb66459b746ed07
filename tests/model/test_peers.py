"""The defining traits of the baselines, each against an independent computation or the published count."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from hydra import compose, initialize_config_dir
from torch.nn import functional as F

from maskvid.config import CONF, plain, register
from maskvid.errors import UserError
from maskvid.model import InflatedUNet
from maskvid.model.peers import ConvOverFrames
from tests.backbones import tiny_unet
from tests.model.test_inflate import clip

# github.com/CompVis/stable-diffusion v1.4 as diffusers describes it
SD14 = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}


def settings(method: str) -> dict:
    register()
    with initialize_config_dir(CONF, version_base="1.3"):
        return plain(compose("train", [f"method={method}", "data.train=x", "run_dir=y"]).method)


def inflated(method: str, unet=None, **more) -> InflatedUNet:
    return InflatedUNet(unet or tiny_unet("mini"), vae_scale_factor=4, **settings(method)["unet"] | more)


def changed_by(video: InflatedUNet, frame: int) -> list[int]:
    """Frames whose output changes when the input of `frame` does."""
    latents, timesteps, text, _ = clip("mini")
    with torch.no_grad():
        before = video.eval()(latents, timesteps, text)
        latents[:, frame] += 3
        after = video(latents, timesteps, text)
    return [i for i in range(latents.shape[1]) if (after - before)[:, i].abs().max() > 1e-5]


@pytest.mark.parametrize(
    ("method", "trained", "of"),
    [("lamp", 253.9e6, 1101e6), ("tune_a_video", 74.4e6, 909e6), ("text2video_zero", 0, 859.5e6)],
)
def test_as_many_weights_as_published_at_the_shape_of_stable_diffusion_1_4(method, trained, of):
    with torch.device("meta"):
        video = inflated(method, UNet2DConditionModel(**SD14))
    ours = sum(parameter.numel() for parameter in video.steering.parameters())
    frozen = sum(parameter.numel() for parameter in video.unet.parameters())
    copies = sum(p.numel() for name, p in video.steering.named_parameters() if ".to_q." in name and name[:4] != "temp")
    assert ours == pytest.approx(trained, rel=0.001)
    assert frozen + ours - copies == pytest.approx(of, rel=0.001)  # they train the projections in place


@pytest.mark.parametrize(
    ("method", "reached"),
    [
        ("lamp", {0: [0, 1, 2, 3], 1: [1], 3: [3]}),  # K and V of frame 1 alone
        ("tune_a_video", {0: [0, 1, 2, 3], 1: [1, 2], 3: [3]}),  # of frames 1 and i - 1; deeper layers hand on
        ("text2video_zero", {0: [0, 1, 2, 3], 1: [1], 3: [3]}),
    ],
)
def test_which_frames_give_keys_and_values(method, reached):
    video = inflated(method)
    for frame, frames in reached.items():
        found = changed_by(video, frame)
        if method == "tune_a_video" and frame == 1:
            assert set(frames) <= set(found)
            assert 0 not in found
        else:
            assert found == frames


@pytest.mark.parametrize("method", ["lamp", "tune_a_video"])
def test_untrained_layers_change_nothing(method):
    unet = tiny_unet("mini")
    latents, timesteps, text, _ = clip("mini")
    levels = timesteps[:, None].repeat(1, 4)
    if method == "lamp":
        levels[:, 0] = 0
    expected = unet(latents.flatten(0, 1), levels.flatten(), text.repeat_interleave(4, 0)).sample
    parts = settings(method)["unet"] | {"reference": "self"}
    video = InflatedUNet(unet, vae_scale_factor=4, **parts).eval()
    assert (video(latents, timesteps, text).flatten(0, 1) - expected).abs().max() == 0


def test_lamps_convolution_is_causal_over_three_frames_behind_its_gate():
    layer = ConvOverFrames(8)
    torch.nn.init.normal_(layer.over_frames.weight)
    x = torch.randn(1, 5, 8, 2, 3)
    out = layer(x)
    padded = torch.cat([torch.zeros_like(x[:, :2]), x], 1)
    gate = torch.stack(
        [torch.sigmoid(F.conv2d(x[:, i], layer.gate.weight, layer.gate.bias, padding=1)) for i in range(5)], 1
    )
    by_hand = sum(
        torch.einsum("bfchw,oc->bfohw", padded[:, i : i + 5], layer.over_frames.weight[:, :, i, 0, 0]) for i in range(3)
    )
    torch.testing.assert_close(out, gate * by_hand, rtol=1e-4, atol=1e-5)


def test_every_frame_is_altered_where_none_is_clean():
    video = inflated("tune_a_video")
    latents, timesteps, text, _ = clip("mini")
    before = video.eval()(latents, timesteps, text)
    for parameter in video.steering.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    after = video(latents, timesteps, text)
    assert ((after - before).abs().amax((0, 2, 3, 4)) > 1e-4).all()


def test_parts_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="first_frame_input=true"):
        InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, first_frame="denoised")
    with pytest.raises(UserError, match="temporal_conv='wide'"):
        InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, temporal_conv="wide")


@pytest.mark.parametrize("method", ["lamp", "tune_a_video", "text2video_zero"])
def test_baselines_are_blind_to_masks_and_draw_noise_as_published(method):
    chosen = settings(method)
    assert inflated(method).sees_masks is False
    own = {
        "lamp": {"sampling_mode": "lamp", "start": "noise"},
        "tune_a_video": {"sampling_mode": None, "start": "inversion"},
        "text2video_zero": {"sampling_mode": None, "start": "drift"},
    }[method]
    published = {"mode": "independent", "alpha": 0.2, "sampling_alpha": None, "brought": 0.0, **own}
    assert json.loads(json.dumps(chosen["noise"])) == published
