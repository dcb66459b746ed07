"""Sampling with the real backbone at tiny width: what the two passes of guidance see, and what is shared."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskvid.diffusion import sample_video
from tests.test_module import build, validation_batch


def watch_passes(module: Any) -> list[SimpleNamespace]:
    """Record what the video U-Net is asked, by the names of its arguments, and what it predicts (`out`)."""
    calls: list[SimpleNamespace] = []

    def record(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: torch.Tensor) -> None:
        given = inspect.signature(unet.forward).bind(*args, **kwargs).arguments
        calls.append(SimpleNamespace(**given, out=out))

    module.unet.register_forward_hook(record, with_kwargs=True)
    return calls


def test_both_passes_of_guidance_see_the_masks_and_differ_in_the_prompt_alone(overrides):
    module, data = build(overrides, "sampling.guidance_scale=5")
    batch = validation_batch(data)
    empty, _, _ = module.backbone.encode_text([""], [None])
    calls = watch_passes(module.eval())
    module.sampler.generate(batch, batch.latents[:, 0])
    assert len(calls) == 4  # two steps, each with and without the prompt
    for asked, unasked in zip(calls[::2], calls[1::2], strict=True):
        for call, text in ((asked, batch.text), (unasked, empty)):
            assert torch.equal(call.text, text)
            assert torch.equal(call.masks, batch.masks)
        assert torch.equal(asked.latents, unasked.latents)
        assert torch.equal(asked.timesteps, unasked.timesteps)
        assert torch.equal(asked.latents[:, 0], batch.latents[:, 0])
        assert torch.equal(asked.subject, batch.subject)
        assert not torch.equal(asked.out, unasked.out)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_guidance_leads_from_the_empty_prompt_to_the_prompt(scale):
    """One step of a scheduler that returns what was predicted: u + w (c - u)."""
    predicted = SimpleNamespace(
        timesteps=torch.tensor([5]),
        init_noise_sigma=1.0,
        set_timesteps=lambda count, device: None,
        scale_model_input=lambda latents, timestep: latents,
        step=lambda prediction, timestep, latents, return_dict: (prediction,),
    )
    with_prompt, without = torch.randn(2, 1, 3, 4, 2, 2).unbind()
    out = sample_video(
        lambda latents, timestep, unconditional=False: without if unconditional else with_prompt,
        predicted,
        clean=torch.zeros(1, 1, 4, 2, 2),
        noise=torch.randn(1, 3, 4, 2, 2),
        num_inference_steps=1,
        guidance_scale=scale,
    )
    torch.testing.assert_close(out[:, 1:], (without + scale * (with_prompt - without))[:, 1:])


def test_a_video_starts_from_noise_that_its_frames_share_as_configured(overrides):
    quick = ["sampling.num_inference_steps=1", "sampling.guidance_scale=1"]
    module, data = build(overrides, *quick, "method.noise.sampling_alpha=0.9", "data.validation_batch_size=3")
    batch = validation_batch(data)
    calls = watch_passes(module.eval())
    for seed in (1, 2):
        module.sampler.with_seed(seed).generate(batch, batch.latents[:, 0])
    starts = torch.stack([call.latents[:, 1:] for call in calls])  # (seeds, clips, later frames, c, h, w)
    assert starts.shape[:3] == (2, 3, 2)
    assert starts.std().item() == pytest.approx(1, abs=0.1)
    assert (starts[:, :, 0] * starts[:, :, 1]).mean().item() == pytest.approx(0.9, abs=0.15)
    assert abs((starts[:, 0] * starts[:, 1]).mean().item()) < 0.15  # clips do not share theirs
    assert abs((starts[0] * starts[1]).mean().item()) < 0.15  # nor do seeds
