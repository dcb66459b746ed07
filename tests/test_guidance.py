"""Sampling with the real backbone at tiny width: what the two passes of guidance see, and what is shared."""

from __future__ import annotations

import copy
import inspect
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskvid.clip import UNKNOWN
from maskvid.data.windows import collate
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
    empty = module.backbone.pipeline.encode_prompt("", "cpu", 1, do_classifier_free_guidance=False)[0]
    calls = watch_passes(module.eval())
    module.pipeline.generate(batch, batch.latents[:, 0])
    assert len(calls) == 4  # two steps, each with and without the prompt
    for asked, unasked in zip(calls[::2], calls[1::2], strict=True):
        for call, text in ((asked, batch.text), (unasked, empty)):
            assert torch.equal(call.text, text)
            assert torch.equal(call.masks, batch.masks)
        assert torch.equal(asked.latents, unasked.latents)
        assert torch.equal(asked.timesteps, unasked.timesteps)
        assert torch.equal(asked.latents[:, 0], batch.latents[:, 0])
        assert torch.equal(asked.subject, batch.subject)
    # The step that follows goes from the empty prompt to the prompt and beyond: u + w (c - u), by diffusers itself.
    scheduler = copy.deepcopy(module.pipeline.scheduler)
    scheduler.set_timesteps(2)
    asked, unasked = calls[:2]
    guided = unasked.out + 5 * (asked.out - unasked.out)
    assert not torch.allclose(guided, asked.out, atol=1e-3)
    after = scheduler.step(guided[:, 1:], scheduler.timesteps[0], asked.latents[:, 1:], return_dict=False)[0]
    torch.testing.assert_close(calls[2].latents[:, 1:], after)


def test_a_video_starts_from_noise_that_its_frames_share_as_configured(overrides):
    quick = ["sampling.num_inference_steps=1", "sampling.guidance_scale=1"]
    module, data = build(overrides, *quick, "method.noise.sampling_alpha=0.9")
    batch = collate(list(data.val_dataloader()[0]))
    calls = watch_passes(module.eval())
    for seed in (1, 2):
        module.pipeline.asked(seed=seed).generate(batch, batch.latents[:, 0])
    starts = torch.stack([call.latents[:, 1:] for call in calls])  # (seeds, clips, later frames, c, h, w)
    assert starts.shape[:3] == (2, 3, 2)
    assert starts.std().item() == pytest.approx(1, abs=0.1)
    assert (starts[:, :, 0] * starts[:, :, 1]).mean().item() == pytest.approx(0.9, abs=0.15)
    assert abs((starts[:, 0] * starts[:, 1]).mean().item()) < 0.15  # clips do not share theirs
    assert abs((starts[0] * starts[1]).mean().item()) < 0.15  # nor do seeds


def test_what_samples_has_the_backbones_own_schedule(overrides):
    module, _ = build(overrides, "data.validation=null")
    trained_with, samples = module.backbone.scheduler, module.pipeline.scheduler
    assert samples.config.prediction_type == trained_with.config.prediction_type == "v_prediction"
    assert torch.equal(samples.alphas_cumprod, trained_with.alphas_cumprod)


def test_mask_scale_goes_from_unknown_masks_to_the_masks_and_beyond(overrides):
    module, data = build(overrides, "sampling.guidance_scale=5", "sampling.mask_scale=3")
    batch = validation_batch(data)
    calls = watch_passes(module.eval())
    video = module.pipeline.generate(batch, batch.latents[:, 0])
    assert len(calls) == 5  # two steps, each with the prompt and without; the later also with it but without the masks
    asked, unasked, unmasked = calls[2:]
    assert torch.equal(calls[0].masks, batch.masks)
    assert torch.equal(unmasked.masks, torch.full_like(batch.masks, UNKNOWN))
    assert torch.equal(unmasked.text, asked.text)
    assert torch.equal(unasked.masks, batch.masks)
    assert not torch.allclose(unmasked.out, asked.out, atol=1e-3)
    scheduler = copy.deepcopy(module.pipeline.scheduler)
    scheduler.set_timesteps(2)
    later = calls[0].latents[:, 1:]
    for (with_prompt, without), of_masks in ((calls[:2], 0), ((asked, unasked), asked.out - unmasked.out)):
        torch.testing.assert_close(with_prompt.latents[:, 1:], later)
        guided = without.out + 5 * (with_prompt.out - without.out) + 2 * of_masks
        timestep = scheduler.timesteps[0 if with_prompt is calls[0] else 1]
        later = scheduler.step(guided[:, 1:], timestep, later, return_dict=False)[0]
    torch.testing.assert_close(
        video[:, 1:], module.pipeline.backbone.decode_latents(later[0])[None], atol=1e-4, rtol=1e-4
    )


def test_mask_scale_below_one_frees_the_foreground_in_every_step(overrides):
    module, data = build(overrides, "sampling.guidance_scale=1", "sampling.mask_scale=0")
    batch = validation_batch(data)
    calls = watch_passes(module.eval())
    module.pipeline.generate(batch, batch.latents[:, 0])
    assert [bool((call.masks == UNKNOWN).all()) for call in calls] == [False, True] * 2


@pytest.mark.parametrize(("share", "unknown"), [(0.0, {False}), (0.5, {False, True}), (1.0, {True})])
def test_training_forgets_the_masks_of_a_share_of_the_windows(overrides, share, unknown):
    """Which windows these are depends on the position alone; what else is drawn stays as it was."""
    module, data = build(overrides, f"method.mask_dropout={share}")
    calls = watch_passes(module.train())
    module.log = lambda *args, **kwargs: None
    batches = list(itertools.islice(data.train_dataloader(), 6))
    for batch in [*batches, *batches]:
        module.training_step(batch, 0)
    forgotten = [bool((window == UNKNOWN).all()) for call in calls for window in call.masks]
    assert set(forgotten) == unknown
    assert forgotten[: len(forgotten) // 2] == forgotten[len(forgotten) // 2 :]
    plain, _ = build(overrides)
    others = watch_passes(plain.train())
    plain.log = lambda *args, **kwargs: None
    plain.training_step(batches[0], 0)
    assert torch.equal(others[0].latents, calls[0].latents)
    assert torch.equal(others[0].timesteps, calls[0].timesteps)
