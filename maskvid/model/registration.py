"""The first frame brought to later masks: its foreground moved as they say, its background kept (ours).

The foreground is taken to move and to stretch as its mask's centre and spread do, the background to stand still. That
is coarse, but it tells head from tail, which is what keeps a coat where it was.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

_LEAST = 1e-3
"""Share of a cell below which it shows nothing of a region."""


def moments(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre and spread of each mask, as shares of the picture's height.

    Args:
        masks: (b, f, 1, h, w) in [0, 1].

    Returns:
        Two of (b, f, 2): row and column of the centre, and the deviations along both, at least half a pixel. Where the
        first mask is empty, those of a picture that stands still, for nothing can be brought from it.
    """
    found = []
    height = masks.shape[-2]
    for profile in (masks.sum(-1)[:, :, 0], masks.sum(-2)[:, :, 0]):  # over rows, over columns
        at = torch.arange(profile.shape[-1], device=masks.device, dtype=masks.dtype) + 0.5
        area = profile.sum(-1).clamp_min(_LEAST)
        centre = (profile * at).sum(-1) / area
        variance = (profile * (at - centre.unsqueeze(-1)).square()).sum(-1) / area
        found.append((centre / height, variance.clamp_min(0.25).sqrt() / height))
    centres, spreads = (torch.stack(both, -1) for both in zip(*found, strict=True))
    empty = (masks[:, 0].amax((-3, -2, -1)) < 0.5).view(-1, 1, 1)
    return centres.masked_fill(empty, 0.0), spreads.masked_fill(empty, 1.0)


def brought(points: torch.Tensor, centres: torch.Tensor, spreads: torch.Tensor) -> torch.Tensor:
    """Where in the first frame points of the foreground of each frame were.

    Args:
        points: (n, 2), row and column as shares of the picture's height.
        centres: (b, f, 2), see `moments`.
        spreads: (b, f, 2).

    Returns:
        (b, f, n, 2).
    """
    ratio = (spreads[:, :1] / spreads).unsqueeze(2)
    return (points - centres.unsqueeze(2)) * ratio + centres[:, :1].unsqueeze(2)


def grid_points(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """The middles of a grid's cells, (height width, 2), as shares of the height."""
    rows = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    columns = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / height
    return torch.cartesian_prod(rows, columns)


def recomposed(first_frame: torch.Tensor, masks: torch.Tensor, *, rough: bool = False) -> torch.Tensor:
    """What later frames would be if the foreground kept its coat and the background stood still.

    The foreground is spread beyond its outline before it is moved, and the background behind the foreground: a limb
    that the first frame does not show has the coat, what comes into view the ground, and nothing is left of the pose
    that the first frame shows, which the masks alone say.

    Args:
        first_frame: (b, c, h, w), clean latents.
        masks: (b, f, k, H, W) in [0, 1], of k subjects, each of which moves by itself; where they overlap the last is
            in front.
        rough: Whether the foreground may reach beyond its mask, so that more around it is taken for neither.

    Returns:
        (b, f - 1, c, h, w), of frames 1 and on.
    """
    b, f = masks.shape[:2]
    h, w = first_frame.shape[-2:]
    small = F.adaptive_avg_pool2d(masks.flatten(0, 1), (h, w)).unflatten(0, (b, f)).to(first_frame)
    # cells that show some of both are of neither, and those beside the foreground have a trace of it
    margin = 2 if rough else 1
    near = F.max_pool2d(small[:, 0].amax(1, keepdim=True), 2 * margin + 1, 1, margin)
    made = spread(first_frame, (1 - 4 * near).clamp_min(0)).unsqueeze(1).expand(-1, f - 1, -1, -1, -1)
    for own in small.split(1, 2):
        coat = spread(first_frame, own[:, 0].square())
        source = brought(grid_points(h, w, own), *moments(own))[:, 1:]
        grid = 2 * source.flip(-1) * source.new_tensor([h / w, 1.0]) - 1  # columns first, from -1 to 1
        moved = F.grid_sample(
            coat.repeat_interleave(f - 1, 0), grid.flatten(0, 1).unflatten(1, (h, w)), padding_mode="border",
            align_corners=False,
        ).unflatten(0, (b, f - 1))  # fmt: skip
        shown = own[:, :1].amax((-2, -1), keepdim=True) >= 0.5  # else the first frame has no coat to give
        made = torch.lerp(made, moved, own[:, 1:] * shown)
    return made


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
    filled = total.mean((-2, -1), keepdim=True) / known.mean((-2, -1), keepdim=True).clamp_min(_LEAST)
    for total, known in reversed(levels):
        around = F.interpolate(filled, size=total.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.lerp(around, total / known.clamp_min(_LEAST), (2 * known).clamp(0, 1))
    return filled
