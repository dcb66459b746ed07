"""The first frame brought to later masks: its foreground moved and shaped as they say, its background kept (ours)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_LEAST = 1e-3
"""Share of a cell below which it shows nothing of a region."""


def recomposed(first_frame: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """What later frames would be if the foreground kept its coat and the background stood still.

    The foreground is spread beyond its outline before it is moved, and the background behind the foreground: a limb
    that the first frame does not show has the coat, what comes into view the ground, and nothing is left of the pose
    that the first frame shows, which the masks alone say.

    Args:
        first_frame: (b, c, h, w), clean latents.
        masks: (b, f, 1, H, W) in [0, 1].

    Returns:
        (b, f - 1, c, h, w), of frames 1 and on.
    """
    b, f = masks.shape[:2]
    size = (first_frame.shape[-2], first_frame.shape[-1])
    small = F.adaptive_avg_pool2d(masks.flatten(0, 1), size).unflatten(0, (b, f)).to(first_frame)
    # cells that show some of both are of neither, and those beside the foreground have a trace of it
    coat = moved(spread(first_frame, small[:, 0].square()), small)
    ground = spread(first_frame, (1 - 4 * F.max_pool2d(small[:, 0], 3, 1, 1)).clamp_min(0)).unsqueeze(1)
    return torch.lerp(ground.expand_as(coat), coat, small[:, 1:])


def spread(picture: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """A picture of which only a region is known, the rest filled by what lies nearest in it, ever more blurred.

    Means over ever larger cells of what is known, then back to the finest, each cell taking its own where it has some
    (the pull-push of Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph", 1996).

    Args:
        picture: (b, c, h, w).
        region: (b, 1, h, w) in [0, 1].
    """
    total, known = picture * region, region
    levels = [(total, known)]
    while min(total.shape[-2:]) > 1:
        total, known = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (total, known))
        levels.append((total, known))
    whole = known.mean((-2, -1), keepdim=True)
    mean = torch.where(whole > _LEAST, total.mean((-2, -1), keepdim=True) / whole.clamp_min(_LEAST), 0)
    filled = mean.expand_as(total)
    for total, known in reversed(levels):
        around = F.interpolate(filled, size=total.shape[-2:], mode="bilinear", align_corners=False)
        own = total / known.clamp_min(_LEAST)
        filled = torch.lerp(around, own, (2 * known).clamp(0, 1))
    return filled


def moved(picture: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """A picture moved and stretched as the masks are: the first one's centre and spread become each later one's.

    Args:
        picture: (b, c, h, w), as the first mask shows its foreground.
        masks: (b, f, 1, h, w) in [0, 1].

    Returns:
        (b, f - 1, c, h, w).
    """
    axes = []
    for length, profile in zip(masks.shape[-2:], (masks.sum(-1), masks.sum(-2)), strict=True):
        at = torch.arange(length, device=masks.device, dtype=masks.dtype) + 0.5
        weight = profile[:, :, 0]  # (b, f, length)
        area = weight.sum(-1, keepdim=True).clamp_min(_LEAST)
        centre = (weight * at).sum(-1, keepdim=True) / area
        deviation = ((weight * (at - centre).square()).sum(-1, keepdim=True) / area).clamp_min(0.25).sqrt()
        source = (at - centre[:, 1:]) * (deviation[:, :1] / deviation[:, 1:]) + centre[:, :1]
        axes.append(2 * source / length - 1)  # (b, f - 1, length), as grid_sample counts
    rows, columns = axes
    b, later = rows.shape[:2]
    h, w = picture.shape[-2:]
    grid = torch.stack([columns[:, :, None].expand(-1, -1, h, -1), rows[..., None].expand(-1, -1, -1, w)], -1)
    source = picture.unsqueeze(1).expand(-1, later, -1, -1, -1).flatten(0, 1)
    sampled = F.grid_sample(source, grid.flatten(0, 1), mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.unflatten(0, (b, later))
