"""What is measured of the masks of a window, and what speaks against them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from maskvid.footage.cleaning import Cleaned
from maskvid.masks.faults import mask_faults


@dataclass(frozen=True)
class Check:
    """A figure of the masks.

    Attributes:
        meaning: What it is, for the page.
        most: Beyond it the window is rejected.
        least: Below it likewise.
        reason: What is said then.
    """

    meaning: str
    most: float | None = None
    least: float | None = None
    reason: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value speaks for the window."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)


CHECKS = {
    "area": Check("mean share of the picture", least=0.005, reason="the foreground is tiny"),
    "jump": Check(
        "longest step of its middle from frame to frame, in lengths of the picture's diagonal",
        most=0.25,
        reason="the foreground leaps, as if another thing were marked",
    ),
    "flicker": Check(
        "how far the area of a frame is from the mean of its neighbours', on average, as a share of that",
        most=0.2,
        reason="the masks flicker",
    ),
    "growth": Check(
        "largest change of the area from frame to frame, as a factor",
        most=2.5,
        reason="the area changes at once, as where a mask leaks into the background or loses a part",
    ),
    "pieces": Check(
        "mean number of separate pieces",
        most=4,
        reason="the foreground lies in many pieces, as where no thing is marked",
    ),
    "border": Check("share of the frames in which the picture's border cuts it"),
    "nothing": Check(
        "share of the frames in which nothing was found", most=0.25, reason="nothing was found in many frames"
    ),
    "filled": Check("share of the frames that were filled from their neighbours"),
    "specks": Check("share of what was found that was specks, and taken out"),
}
"""By name. The exact masks of all rendered clips, at four frames a second and at twelve, reach a jump of .10, a flicker
of .16, a growth of 1.8 and 1.5 pieces; the limits lie beyond."""


def measure_masks(found: np.ndarray, cleaned: Cleaned) -> dict[str, float]:
    """The figures of `CHECKS`.

    Args:
        found: bool (f, h, w), before they were made whole.
        cleaned: And after.
    """
    masks = cleaned.masks
    areas = masks.reshape(len(masks), -1).sum(axis=1)
    present = np.flatnonzero(areas)
    middles = {int(i): np.array(ndimage.center_of_mass(masks[i])) for i in present}
    pairs = [(i, i + 1) for i in middles if i + 1 in middles]
    diagonal = float(np.hypot(*masks.shape[1:]))
    sides = [masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]]
    edges = np.asarray(np.concatenate(sides, axis=1).any(axis=1))
    return {
        "area": float(masks.mean()),
        "jump": max((float(np.hypot(*(middles[b] - middles[a]))) / diagonal for a, b in pairs), default=0.0),
        "flicker": _flicker(areas),
        "growth": max((float(max(areas[a], areas[b]) / min(areas[a], areas[b])) for a, b in pairs), default=1.0),
        "pieces": float(np.mean([cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 for mask in masks])),
        "border": float(edges[present].mean()) if len(present) else 0.0,
        "nothing": float((~found.reshape(len(found), -1).any(axis=1)).mean()),
        "filled": cleaned.filled / len(masks),
        "specks": cleaned.removed,
    }


def _flicker(areas: np.ndarray) -> float:
    """Of the areas of all frames; only frames with a foreground that stand between two such count.

    Areas, and not pixels: at four frames a second a galloping leg is nowhere twice, and up to .4 of an exact mask's
    pixels are on or off in a single frame.
    """
    before, own, after = (areas[start : len(areas) - 2 + start].astype(float) for start in range(3))
    inner = (before > 0) & (own > 0) & (after > 0)
    around = (before + after)[inner] / 2
    return float((np.abs(own[inner] - around) / around).mean()) if inner.any() else 0.0


def reasons_against(figures: dict[str, float], masks: np.ndarray, max_foreground: float) -> list[str]:
    """What speaks against a window, a sentence each; none for a good one.

    Args:
        figures: Of `measure_masks`.
        masks: bool (f, h, w), made whole.
        max_foreground: See `maskvid.masks.faults.mask_faults`, which the training asks as well.
    """
    reasons = mask_faults((mask.astype(np.uint8) * 255 for mask in masks), max_foreground=max_foreground)
    for name, check in CHECKS.items():
        if not check.holds(figures[name]):
            limit = f"at most {check.most:g}" if check.most is not None else f"at least {check.least:g}"
            reasons.append(f"{check.reason} ({name} {figures[name]:.2g}; {limit})")
    return reasons
