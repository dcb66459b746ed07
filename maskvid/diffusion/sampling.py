"""Sampling a clip, its first frames held clean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.nn import functional as F

from maskvid.errors import UserError


class Denoise(Protocol):
    """Predicts noise or velocity (b, f, c, h, w) at one timestep; without the prompt if `unconditional`.

    Where masks are `unknown`, it says what it would without them.
    """

    def __call__(
        self, latents: torch.Tensor, timestep: torch.Tensor, *, unconditional: bool = False, unknown: bool = False
    ) -> torch.Tensor:
        """Denoise once."""
        ...


def adain_to_first(latents: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
    """Give frames 1.. the first frame's mean and deviation of each channel (adaptive instance normalisation, LAMP).

    With masks (ours) the foreground takes those of the first frame's foreground, and the background those of what both
    frames show of it: a foreground that grows or crosses then changes no colour of either. A region of which one frame
    shows next to nothing stays as it is.

    Args:
        latents: (b, f, c, h, w), clean or nearly.
        masks: (b, f, 1, H, W) in [0, 1], or None for the statistics of whole frames.

    Returns:
        Same shape; frame 0 unaltered.
    """
    first, later = latents[:, :1], latents[:, 1:]
    if masks is None:
        everywhere = torch.ones_like(later[:, :, :1])
        return torch.cat([first, _matched(later, everywhere, first, everywhere)], 1)
    h, w = latents.shape[-2:]
    soft = F.adaptive_avg_pool2d(masks.flatten(0, 1), (h, w)).unflatten(0, masks.shape[:2]).to(latents)
    own, given = soft[:, 1:], soft[:, :1]
    both = (1 - own) * (1 - given)
    foreground, background = _matched(later, own, first, given), _matched(later, both, first, both)
    return torch.cat([first, torch.lerp(background, foreground, own)], 1)


def _matched(
    x: torch.Tensor, region: torch.Tensor, given: torch.Tensor, given_region: torch.Tensor, *, least: float = 4.0
) -> torch.Tensor:
    """`x` with the mean and deviation over its region replaced by those of `given` over its own."""
    (mean, deviation, cells), (wanted, spread, seen) = _statistics(x, region), _statistics(given, given_region)
    matched = (x - mean) / deviation * spread + wanted
    return torch.where((cells >= least) & (seen >= least), matched, x)


def _statistics(x: torch.Tensor, region: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel over a soft region, and the cells it has."""
    axes = (-2, -1)
    cells = region.sum(axes, keepdim=True)
    mean = (region * x).sum(axes, keepdim=True) / cells.clamp_min(1e-3)
    variance = (region * (x - mean).square()).sum(axes, keepdim=True) / cells.clamp_min(1e-3)
    return mean, variance.sqrt().clamp_min(1e-5), cells


@torch.no_grad()
def sample_video(
    denoise: Denoise,
    scheduler: Any,
    *,
    clean: torch.Tensor,
    noise: torch.Tensor,
    num_inference_steps: int,
    guidance_scale: float,
    generators: Sequence[torch.Generator],
    mask_scale: float = 1.0,
    adain_fraction: float = 0.0,
    masks: torch.Tensor | None = None,
    after_step: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Denoise the later frames of a clip beside frames that stay clean.

    Args:
        denoise: The model; `timestep` is a scalar tensor.
        scheduler: One of `make_scheduler`; its timesteps are set here, by which it forgets the clip before.
        clean: (b, k, c, h, w) clean scaled latents of the first k >= 0 frames.
        noise: (b, f, c, h, w) of unit variance; its first k frames are not used.
        num_inference_steps: Denoising steps.
        guidance_scale: w of u + w (c - u); 1 asks for no unconditional pass.
        mask_scale: The same of the masks (ours): s - 1 times what they change is added; 1 asks for no pass without.
            Above 1 in the later half of the steps alone, which draw edges: guided in all four, the horse follows its
            masks no better and takes a third more time, and in the first two alone hardly better than not at all (as
            of text, arXiv 2404.07724). Below 1 in all, for the first decide what the outline is.
        generators: One for each of the b clips, on the CPU, from which schedulers that draw noise while stepping draw:
            a clip then depends neither on its neighbours nor on the device. Each frame's noise is its own there;
            diffusers draws it inside `step`, so that frames cannot share it as they share what sampling starts from.
        adain_fraction: Share of the steps, counted from the last, after which frames take the first frame's statistics.
        masks: (b, f, 1, H, W) for statistics of foreground and background apart, or None for those of whole frames.
        after_step: Given the number of steps done and all frames (b, f, c, h, w), returns those to go on with.

    Returns:
        Latents (b, f, c, h, w); the first k frames are `clean` to the last bit.

    Raises:
        UserError: The scheduler cannot take so many or so few steps.
    """
    try:
        scheduler.set_timesteps(num_inference_steps, device=noise.device)
    except ValueError as error:
        raise UserError(
            f"sampling.num_inference_steps={num_inference_steps}: {type(scheduler).__name__} refuses: {error} "
            "Give another number of steps, or scheduler.name=DDIMScheduler."
        ) from error
    k = clean.shape[1]
    later = noise[:, k:] * scheduler.init_noise_sigma
    timesteps = scheduler.timesteps
    first_adain_step = round(len(timesteps) * (1 - adain_fraction))
    draws = "generator" in inspect.signature(scheduler.step).parameters
    extra = {"generator": list(generators)} if draws else {}
    for step, timestep in enumerate(timesteps):
        latents = torch.cat([clean, scheduler.scale_model_input(later, timestep)], 1)
        prediction = conditional = denoise(latents, timestep)
        if guidance_scale != 1:
            unconditional = denoise(latents, timestep, unconditional=True)
            prediction = unconditional + guidance_scale * (conditional - unconditional)
        if mask_scale < 1 or (mask_scale > 1 and 2 * step >= len(timesteps)):
            prediction = prediction + (mask_scale - 1) * (conditional - denoise(latents, timestep, unknown=True))
        later = scheduler.step(prediction[:, k:].float(), timestep, later, return_dict=False, **extra)[0]
        if step >= first_adain_step:
            later = adain_to_first(torch.cat([clean, later], 1), masks)[:, k:]
        if after_step is not None:
            later = after_step(step + 1, torch.cat([clean, later], 1))[:, k:]
    return torch.cat([clean, later], 1)
