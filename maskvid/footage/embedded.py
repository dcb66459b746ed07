"""Foreground by the segmenter that ships with this project."""

from __future__ import annotations

from importlib import resources

import cv2
import numpy as np
import torch

from maskvid.footage.finders import Lead, NotFound
from maskvid.judges.segmenter import CHUNK, Segmenter
from maskvid.media.decode import frames_to_float

SHORT_SIDE = 64
"""Rows of what it was trained on."""


class Embedded:
    """Marks animals that this project rendered, at any size.

    Args:
        device: Where it runs.
    """

    def __init__(self, device: torch.device) -> None:
        folder = resources.files("maskvid") / "assets" / "mini_segmenter"
        self.network = Segmenter.from_pretrained(str(folder)).to(device).requires_grad_(False)
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
        for begin in range(0, len(frames), CHUNK):
            shares = self.network(small[begin : begin + CHUNK].to(self.device))[:, 0].cpu().numpy()
            for index, share in enumerate(shares, start=begin):
                found[index] = cv2.resize(share, (columns, rows), interpolation=cv2.INTER_LINEAR) >= 0.5
        if not found.any():
            raise NotFound("the embedded segmenter sees no animal that this project rendered")
        return found
