"""Weights in eight bits while sampling, on backbones of true architectures; and frames decoded in pieces."""

import numpy as np
import pytest
import torch
from PIL import Image

from maskvid import MaskVidPipeline
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.model.latents import pieces
from maskvid.train import train
from tests.runs import configure, configure_generate


def made(pipe: MaskVidPipeline) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    masks = np.zeros((3, 32, 48), np.uint8)
    masks[:, 8:24, 4:20] = 1
    first = Image.new("RGB", (48, 32), "grey")
    draws = torch.Generator().manual_seed(1)
    return pipe("[a fox] runs", masks, first, num_inference_steps=2, generator=draws, output_type="latent").frames


def test_the_unets_weights_take_a_byte_each_and_the_video_is_nearly_the_same(tuned):
    run, lora = tuned
    half, packed = (MaskVidPipeline.from_pretrained(run, backbone={"dtype": name}) for name in ("bfloat16", "float8"))
    assert packed.backbone.fingerprint == half.backbone.fingerprint
    assert packed.unet.dtype == torch.bfloat16
    matrices = [value for name, value in packed.unet.named_parameters() if value.ndim > 1]
    bytes_each = sum(value.numel() * value.element_size() for value in matrices) / sum(x.numel() for x in matrices)
    assert bytes_each < 1.3  # diffusers leaves out the first and the last layer, which are little of a real one
    assert {value.dtype for value in packed.inflated.steering.parameters()} == {torch.float32}
    video, other = made(packed).float(), made(half).float()
    assert torch.equal(made(packed).float(), video)
    assert 0 < (video - other).square().mean() < 0.05 * other.square().mean()
    for pipe, was in ((packed, video), (half, other)):
        pipe.unload_adapter()
        pipe.load_adapter(run)  # its steering is built beside the packed weights, and is not packed
        assert torch.equal(made(pipe).float(), was)
    with pytest.raises(UserError, match="rounded to eight bits"):
        packed.save_pretrained("never")
    fast = MaskVidPipeline.from_pretrained(run, backbone={"dtype": "float8", "fast_lora": lora})
    assert made(fast).isfinite().all()


def test_the_command_takes_it_and_tuning_does_not(tuned, overrides, triples, tmp_path):
    run, _ = tuned
    asked = configure_generate(run, triples, "backbone.dtype=float8", f"out={tmp_path}", "judge=false")
    assert all(video.exists() for video in generate(asked))
    with pytest.raises(UserError, match=r"float8 is for sampling.*tune with bfloat16"):
        train(configure(overrides, f"run_dir={tmp_path}", "backbone.dtype=float8", "trainer.precision=bf16-mixed"))


def test_large_frames_are_decoded_one_by_one_and_small_ones_together(tuned):
    sizes = {(64, 96): [8, 8], (320, 512): [1] * 16, (256, 256): [4] * 4, (1024, 1024): [1] * 16}
    for (h, w), wanted in sizes.items():
        assert [len(piece) for piece in pieces(torch.empty(16, 4, h // 8, w // 8), 8)] == wanted
        assert [len(piece) for piece in pieces(torch.empty(16, 3, h, w))] == wanted
    pipe = MaskVidPipeline.from_pretrained(tuned[0])
    latents = torch.randn(3, 4, 4, 6)
    apart = torch.cat([pipe.backbone.decode_latents(one[None]) for one in latents])
    torch.testing.assert_close(pipe.backbone.decode_latents(latents), apart, atol=1e-4, rtol=1e-4)
