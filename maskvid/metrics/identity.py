"""Looks that stay: is the foreground of later frames still the first frame's, wherever it has gone?"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from maskvid.metrics.base import ClipMean
from maskvid.metrics.subjects import LEAST

BINS = (6, 12, 12)
"""Of lightness and of the two axes of colour: light changes with the pose, the coat does not."""


def foreground_look(crops: torch.Tensor) -> torch.Tensor:
    """Mean cosine of the foreground's crops to the first frame's, x 100 (ours).

    A crop follows the foreground, so that a coat that is painted anew is seen, and where it has gone is not.

    Args:
        crops: (n, d), embedded crops of the foreground, n >= 2, the first frame's first; see
            `maskvid.metrics.subjects.subject_crops`.
    """
    unit = F.normalize(crops.float(), dim=-1)
    return 100 * (unit[1:] @ unit[0]).mean()


def foreground_colour(frames: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean share of the foreground's colours that later frames have in common with the first, x 100 (ours).

    Intersections of histograms in CIELAB, each of one frame's foreground.

    Args:
        frames: (f, 3, h, w) in [-1, 1].
        masks: (f, 1, h, w) in [0, 1], as they were asked for.

    Returns:
        Scalar in [0, 100]; NaN where the first frame, or every other, has no foreground.
    """
    pixels = frames.clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1).float().cpu().numpy()
    histograms = []
    for picture, mask in zip(pixels, masks[:, 0].cpu().numpy(), strict=True):
        solid = (mask >= 0.5).astype(np.uint8)
        lab = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB)
        counts = cv2.calcHist([lab], [0, 1, 2], solid, list(BINS), [0, 100.01, -128, 128, -128, 128])
        histograms.append(counts / counts.sum() if solid.sum() >= LEAST else None)
    first, *later = histograms
    if first is None or not any(one is not None for one in later):
        return torch.tensor(float("nan"))
    common = [float(np.minimum(first, one).sum()) for one in later if one is not None]
    return torch.tensor(100 * sum(common) / len(common))


class ForegroundLook(ClipMean):
    """`foreground_look`, averaged over clips."""

    def update(self, crops: torch.Tensor) -> None:
        """Count one clip: embeddings (n, d) of its foreground's crops."""
        self.add(foreground_look(crops))


class ForegroundColour(ClipMean):
    """`foreground_colour`, averaged over clips."""

    def update(self, frames: torch.Tensor, masks: torch.Tensor) -> None:
        """Count one clip: frames (f, 3, h, w) and the masks (f, 1, h, w) asked for."""
        self.add(foreground_colour(frames, masks))
