"""How far masks are to be believed, said by looking at them."""

from __future__ import annotations

import cv2
import numpy as np
import torch

BOX, ROUND = 0.97, 0.93
"""Share of its bounding box that a box fills, and of its convex hull that a shape without limbs fills."""
SOFT = 0.25
"""Share of the foreground that is neither clearly in nor clearly out, edges apart, in masks that are soft."""


def precision_of(masks: torch.Tensor) -> str:
    """What `mask_precision` masks seem to have.

    `box` where nearly all frames are boxes; `rough` where they are shapes without limbs, as blobs and hulls are; `soft`
    where their values say how sure they are; otherwise `exact`. A body that has no limbs, such as a ball, looks rough.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.

    Returns:
        A choice of `maskvid.settings.Sampling.mask_precision`.

    Examples:
        >>> box = torch.zeros(3, 1, 64, 96)
        >>> box[..., 20:44, 30:66] = 1
        >>> precision_of(box)
        'box'
    """
    frames = masks[:, 0].float().cpu().numpy()
    if float(np.median([_undecided(frame) for frame in frames])) > SOFT:
        return "soft"
    shapes = [found for frame in frames if (found := _filled(frame)) is not None]
    if not shapes:
        return "exact"
    in_box, in_hull = np.median(np.array(shapes), axis=0)
    return "box" if in_box >= BOX else "rough" if in_hull >= ROUND else "exact"


def _undecided(mask: np.ndarray) -> float:
    """Pixels that are neither in nor out, and whose surroundings are not either, as a share of the foreground."""
    unsure = (np.abs(mask - 0.5) < 0.4).astype(np.uint8)
    flat = cv2.erode(unsure, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return float(flat.sum() / max((mask >= 0.5).sum(), 1))


def _filled(mask: np.ndarray) -> tuple[float, float] | None:
    """Shares of its bounding box and of its convex hull that the foreground fills; None where there is next to none."""
    solid = (mask >= 0.5).astype(np.uint8)
    points = cv2.findNonZero(solid)
    if points is None or len(points) < 16:
        return None
    _, _, width, height = cv2.boundingRect(points)
    hull = cv2.fillConvexPoly(np.zeros_like(solid), cv2.convexHull(points), 1)
    return len(points) / (width * height), len(points) / float(hull.sum())
