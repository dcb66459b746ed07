"""Text2Video-Zero's start: one picture's noisy latents, shifted a little further in every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch.nn import functional as F

from maskvid.diffusion.inversion import invert_video
from maskvid.diffusion.sampling import Denoise


def shifted(latents: torch.Tensor, rows: float, columns: float) -> torch.Tensor:
    """Frame i of (b, f, c, h, w) moved by i times (rows, columns) cells; borders are reflected."""
    b, f, c, h, w = latents.shape
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    steps = torch.arange(f).view(f, 1, 1)
    y = 2 * (ys - rows * steps) / max(h - 1, 1) - 1
    x = 2 * (xs - columns * steps) / max(w - 1, 1) - 1
    grid = torch.stack([x, y], -1).to(latents).repeat(b, 1, 1, 1)
    moved = F.grid_sample(latents.flatten(0, 1), grid, mode="nearest", padding_mode="reflection", align_corners=True)
    return moved.unflatten(0, (b, f))


@torch.no_grad()
def drifting_start(
    denoise: Denoise,
    schedule: Mapping[str, Any],
    first_frame: torch.Tensor,
    *,
    num_frames: int,
    num_inference_steps: int,
    generators: list[torch.Generator],
    up_to: float = 0.88,
    shift: float = 12 / 512,
) -> torch.Tensor:
    """Noise for all frames that carries a picture and a global motion (arXiv 2303.13439, section 3.3.1).

    The picture's latents at an early noise level are translated by a growing shift, then noised up to the start of
    sampling, each frame by noise of its own.

    Args:
        denoise: The model, called on clips of one frame.
        schedule: The backbone's scheduler configuration.
        first_frame: (b, c, h, w), clean latents. Theirs come from noise on the way; ours is inverted, because
            the first frame is given to every method that is compared.
        num_frames: f.
        num_inference_steps: Of the inversion.
        generators: One for each clip.
        up_to: Level at which frames are shifted, as a share of the schedule (theirs: step 881 of 1000).
        shift: Motion a frame as a share of the larger side, right and down (theirs: 12 pixels of 512).

    Returns:
        (b, f, c, h, w) of unit variance.
    """
    path = invert_video(
        denoise,
        schedule,
        first_frame.unsqueeze(1),
        clean_frames=0,
        num_inference_steps=num_inference_steps,
        up_to=up_to,
    )
    repeated = path[-1].expand(-1, num_frames, -1, -1, -1)
    cells = shift * max(first_frame.shape[-2:])
    moved = shifted(repeated, cells, cells)
    noise = torch.cat([torch.randn((1, *moved.shape[1:]), generator=g, device=g.device) for g in generators])
    alphas = DDPMScheduler.from_config(dict(schedule)).alphas_cumprod
    reached = round((len(path) - 1) / num_inference_steps * len(alphas)) - 1
    kept = (alphas[-1] / alphas[reached]).to(moved)  # signal's share of the variance from there to the last level
    return kept.sqrt() * moved + (1 - kept).sqrt() * noise.to(moved)
