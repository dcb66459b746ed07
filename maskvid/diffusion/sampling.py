"""Sampling a clip, its first frames held clean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Denoise(Protocol):
    """Predicts noise or velocity (b, f, c, h, w) at one timestep; without the prompt if `unconditional`."""

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor, *, unconditional: bool = False) -> torch.Tensor:
        """Denoise once."""
        ...


def adain_to_first(latents: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Give frames 1.. the first frame's mean and deviation of each channel (adaptive instance normalisation).

    Args:
        latents: (b, f, c, h, w), clean or nearly.
        strength: 0 leaves the frames, 1 replaces their statistics.

    Returns:
        Same shape; frame 0 unaltered.
    """
    first, later = latents[:, :1], latents[:, 1:]
    axes = (-2, -1)
    normal = (later - later.mean(axes, keepdim=True)) / later.std(axes, keepdim=True).clamp_min(1e-5)
    matched = normal * first.std(axes, keepdim=True) + first.mean(axes, keepdim=True)
    return torch.cat([first, later + strength * (matched - later)], 1)


@torch.no_grad()
def sample_video(
    denoise: Denoise,
    scheduler: Any,
    *,
    clean: torch.Tensor,
    noise: torch.Tensor,
    num_inference_steps: int,
    guidance_scale: float,
    adain_fraction: float = 0.0,
    after_step: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Denoise the later frames of a clip beside frames that stay clean.

    Args:
        denoise: The model; `timestep` is a scalar tensor.
        scheduler: Any diffusers scheduler; its timesteps are set here.
        clean: (b, k, c, h, w) clean scaled latents of the first k >= 0 frames.
        noise: (b, f, c, h, w) of unit variance; its first k frames are not used.
        num_inference_steps: Denoising steps.
        guidance_scale: w of u + w (c - u); 1 asks for no unconditional pass.
        adain_fraction: Share of the steps, counted from the last, after which frames take the first frame's statistics.
        after_step: Given the number of steps done and all frames (b, f, c, h, w), returns those to go on with.
        generator: For schedulers that draw noise.

    Returns:
        Latents (b, f, c, h, w); the first k frames are `clean` to the last bit.
    """
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    k = clean.shape[1]
    later = noise[:, k:] * scheduler.init_noise_sigma
    timesteps = scheduler.timesteps
    first_adain_step = round(len(timesteps) * (1 - adain_fraction))
    draws = "generator" in inspect.signature(scheduler.step).parameters
    for step, timestep in enumerate(timesteps):
        latents = torch.cat([clean, scheduler.scale_model_input(later, timestep)], 1)
        prediction = denoise(latents, timestep)
        if guidance_scale != 1:
            unconditional = denoise(latents, timestep, unconditional=True)
            prediction = unconditional + guidance_scale * (prediction - unconditional)
        extra = {"generator": generator} if draws and generator is not None else {}
        later = scheduler.step(prediction[:, k:].float(), timestep, later, return_dict=False, **extra)[0]
        if step >= first_adain_step:
            later = adain_to_first(torch.cat([clean, later], 1))[:, k:]
        if after_step is not None:
            later = after_step(step + 1, torch.cat([clean, later], 1))[:, k:]
    return torch.cat([clean, later], 1)
