"""Keeping what is not edited: outside the masks latents follow the inverted source, and pixels are its own."""

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


def paste_outside(edited: torch.Tensor, source: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """Put the source's own pixels back where an edit may not reach.

    Decoded latents are never the picture that they were encoded from: on footage a VAE alone costs more than anything
    else in the background. Within the region the edit stays as it is; from its edge to one cell of the latents outside
    of it, one goes over into the other, where both show the same, so that no seam is seen.

    Args:
        edited: (b, f, 3, H, W), decoded.
        source: The same of the clip that was edited.
        region: (b, f, 1, h, w) in {0, 1}, see `edit_region`.

    Returns:
        (b, f, 3, H, W), beyond that cell equal to the source to the bit.
    """
    cell = edited.shape[-1] // region.shape[-1]
    inside = F.interpolate(region.flatten(0, 1), size=edited.shape[-2:])
    grown = F.max_pool2d(inside, cell + 1, stride=1, padding=cell // 2)
    share = F.avg_pool2d(grown, cell + 1, stride=1, padding=cell // 2, count_include_pad=False)
    return torch.lerp(source, edited, share.unflatten(0, edited.shape[:2]).to(edited))
