"""Masks as they are found, made whole: specks and small holes out, a gap of a frame or two filled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from maskvid.masks.draw.form import Placing, between, coverage, form_of

SPECK = 0.03
"""Of the largest piece's area: smaller pieces are noise. A rider's hand that shows beyond a neck is larger."""

HOLE = 0.01
"""Of the foreground's area: smaller holes are noise; what is seen between legs is larger, and stays."""

GAP = 2
"""Frames that are filled from their neighbours: at eight a second a quarter of a second."""

GONE = 0.25
"""Of the area around it: a frame with less has lost the foreground."""


@dataclass(frozen=True)
class Cleaned:
    """Masks made whole, and how much that took.

    Attributes:
        masks: bool (f, h, w).
        filled: Frames that were filled from their neighbours.
        removed: Mean share of the found foreground that was specks.
    """

    masks: np.ndarray
    filled: int
    removed: float


def clean(found: np.ndarray) -> Cleaned:
    """Take specks and small holes out of masks, and fill gaps of at most `GAP` frames between good ones.

    Args:
        found: bool (f, h, w), as a finder gives them.

    Returns:
        The same shape; frames at the ends, which have a neighbour on one side alone, stay as they are.
    """
    whole = np.stack([_whole(mask) for mask in found])
    before, after = found.sum(), (whole & found).sum()
    areas = whole.reshape(len(whole), -1).sum(axis=1)
    good = [index for index, area in enumerate(areas) if area and area >= GONE * _around(areas, index)]
    filled = 0
    for left, right in zip(good, good[1:], strict=False):
        if 1 < right - left <= GAP + 1:
            for index in range(left + 1, right):
                whole[index] = halfway(whole[left], whole[right], (index - left) / (right - left))
                filled += 1
    return Cleaned(whole, filled, float(1 - after / before) if before else 0.0)


def halfway(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The shape between two, bool (h, w): it stands where its middle would be, and is between both in form."""
    (y1, x1), (y2, x2) = middles = [ndimage.center_of_mass(mask) for mask in (first, second)]
    forms = [form_of(mask, 1.0, (x, y)) for mask, (y, x) in zip((first, second), middles, strict=True)]
    placing = Placing((1 - share) * x1 + share * x2, (1 - share) * y1 + share * y2, 1.0)
    return coverage(between(forms[0], forms[1], share), first.shape, placing) >= 0.5


def _around(areas: np.ndarray, index: int) -> float:
    """Median area of the frames near one, itself left out; gaps may be `GAP` long, so that it looks beyond them."""
    near = [*areas[max(0, index - GAP - 1) : index], *areas[index + 1 : index + GAP + 2]]
    present = [area for area in near if area]
    return float(np.median(present)) if present else 0.0


def _whole(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= SPECK * areas[1:].max()
    keep[0] = False
    kept = keep[labels]
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    edges = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small = areas < HOLE * kept.sum()
    small[0] = False  # the foreground itself
    small[edges] = False  # open to the border: no hole
    return kept | small[labels]
