"""Keeping what is not edited: outside the masks, latents follow the inverted source."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F


def edit_region(masks: torch.Tensor, size: tuple[int, int], *, margin: int = 1) -> torch.Tensor:
    """Cells of the latents that an edit may change: those the mask touches, and `margin` more around them.

    Args:
        masks: (b, f, 1, H, W) in [0, 1].
        size: (h, w) of the latents.
        margin: Cells; a new animal's outline is not the old one's to the pixel.

    Returns:
        (b, f, 1, h, w) in {0, 1}.
    """
    touched = (F.adaptive_avg_pool2d(masks.flatten(0, 1), size) > 0).float()
    grown = F.max_pool2d(touched, 2 * margin + 1, stride=1, padding=margin)
    return grown.unflatten(0, masks.shape[:2])


def keep_outside(region: torch.Tensor, path: list[torch.Tensor]) -> Callable[[int, torch.Tensor], torch.Tensor]:
    """An `after_step` of `sample_video` that puts the source back outside a region (latent blending).

    Args:
        region: (b, f, 1, h, w) in {0, 1}, where the edit may differ from the source.
        path: Of `invert_video`, clean first, with as many steps as the sampling.
    """

    def blend(step: int, latents: torch.Tensor) -> torch.Tensor:
        return torch.lerp(path[len(path) - 1 - step], latents, region)

    return blend
