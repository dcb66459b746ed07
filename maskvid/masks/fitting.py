"""Rough masks fitted to the first frame: moved, and made wider or tighter, as what it shows says (ours)."""

from __future__ import annotations

import numpy as np
import torch

from maskvid.masks.perturb import distance, shifted

FARTHEST = 0.25
"""Share of the picture's height by which masks are moved at most: beyond it they ask for something else."""
LIKE = 12.0
"""Times by which the area that is found may differ from the mask's: a mask that is too tight may be a sliver."""
LEAST = 8
"""Pixels of a foreground below which nothing is fitted."""


def fitted(masks: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Fit a sequence of rough masks to what its first frame shows.

    Whoever draws masks beside their picture, or with too thick a pen, errs alike in all frames; the first frame, where
    it is given, says by how much. All masks are moved by the way from the first one's centre to that of the foreground
    found, and their outlines by as much as gives the first one its area.

    Args:
        masks: (f, 1, h, w) in [0, 1].
        found: (h, w) in [0, 1], the foreground of the first frame, by a segmenter.

    Returns:
        The same shape; the masks as they were where the two are not about the same thing.

    Examples:
        >>> masks = torch.zeros(2, 1, 64, 96)
        >>> masks[:, :, 20:40, 10:30] = 1
        >>> found = torch.zeros(64, 96)
        >>> found[24:44, 16:36] = 1
        >>> int(fitted(masks, found)[1, 0, 24:44, 16:36].sum())
        400
    """
    first, wanted = masks[0, 0].float().cpu().numpy() >= 0.5, found.float().cpu().numpy() >= 0.5
    sizes = first.sum(), wanted.sum()
    if min(sizes) < LEAST or max(sizes) > LIKE * min(sizes):
        return masks
    centres = [np.array([axis.mean() for axis in np.nonzero(shape)]) for shape in (first, wanted)]
    rows, columns = (round(float(way)) for way in centres[1] - centres[0])
    if max(abs(rows), abs(columns)) > FARTHEST * masks.shape[-2]:
        return masks
    moved = shifted(masks.cpu(), rows, columns)[:, 0].numpy()
    depth = distance(first)
    # pixels have few distances, and many have the same: the outline whose area is nearest, the mask's own if in doubt
    outlines = sorted(np.unique(-depth), key=abs)
    outline = min([0.0, *outlines], key=lambda outward: abs(int((depth >= -outward).sum()) - int(sizes[1])))
    if not (rows or columns or outline):
        return masks  # they fit, and their edges stay as soft as they were
    made = [np.clip(distance(mask) + outline + 0.5, 0, 1) if mask.any() else mask for mask in moved]
    return torch.from_numpy(np.stack(made)).unsqueeze(1).to(masks)
