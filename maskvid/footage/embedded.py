"""Foreground by the segmenter that ships with this project."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from maskvid.footage.finders import Lead, NotFound
from maskvid.judges.panel import MINI_SEGMENTER
from maskvid.judges.segmenter import CHUNK, Segmenter
from maskvid.media.decode import frames_to_float

SHORT_SIDE = 64
"""Rows of what it was trained on."""

MOST_UNSURE, MOST_PIECES = 0.27, 2.0
"""Beyond them it is shown what it does not know. The first is the area of probabilities from .1 to .9, as a share of
the foreground's; the second the mean number of separate pieces. Of 84 rendered clips none is beyond .25 and 1.5; of 33
windows of five films, with a drawn rabbit, a street and a man's face, each is beyond one of the limits."""


class Embedded:
    """Marks animals that this project rendered, at any size.

    Args:
        device: Where it runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.network = Segmenter.from_pretrained(MINI_SEGMENTER).to(device).requires_grad_(False)
        self.device = device

    @torch.no_grad()
    def __call__(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        """See `Finder`."""
        rows, columns = frames.shape[1:3]
        scale = SHORT_SIDE / min(rows, columns)
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = frames_to_float(np.stack([cv2.resize(frame, size, interpolation=kind) for frame in frames]))
        found = np.zeros(frames.shape[:3], bool)
        unsure = sure = pieces = 0
        for begin in range(0, len(frames), CHUNK):
            shares = self.network(small[begin : begin + CHUNK].to(self.device))[:, 0].cpu().numpy()
            for index, share in enumerate(shares, start=begin):
                unsure += int(((share > 0.1) & (share < 0.9)).sum())
                sure += int((share >= 0.5).sum())
                pieces += cv2.connectedComponents((share >= 0.5).astype(np.uint8))[0] - 1
                found[index] = cv2.resize(share, (columns, rows), interpolation=cv2.INTER_LINEAR) >= 0.5
        if not found.any():
            raise NotFound("the embedded segmenter sees no animal that this project rendered")
        if unsure > MOST_UNSURE * sure or pieces > MOST_PIECES * len(frames):
            raise NotFound(
                f"the embedded segmenter does not know what it sees ({pieces / len(frames):.1f} pieces, unsure of "
                f"{unsure / max(1, sure):.0%}): it was trained on animals that this project rendered"
            )
        return found
