"""Motion: how much a video moves. The figures that must stand beside every consistency figure."""

from __future__ import annotations

import numpy as np
import torch

from maskvid.metrics.base import ClipMean
from maskvid.metrics.flow import flows

FASTEST = 0.05  # VBench looks at the fastest twentieth of the pixels
THRESHOLD = 6 / 256  # of the shorter side, a pair


def flow_magnitude(frames: torch.Tensor) -> torch.Tensor:
    """Mean length of the optical flow between adjacent frames, in pixels per frame at the video's own size.

    Averaged over all pixels and all f - 1 pairs, see `maskvid.metrics.flow`. The figure grows with resolution and falls
    with frame rate: compare it only between videos of one size and rate, best as a ratio to the real clip's.

    Args:
        frames: float (f, 3, h, w) in [-1, 1], f >= 2.

    Returns:
        Scalar >= 0 on the CPU; 0 is a frozen video.

    Raises:
        UserError: Fewer than two frames.
    """
    return torch.tensor([float(_lengths(flow).mean()) for flow in flows(frames)]).mean()


def dynamic_degree(frames: torch.Tensor) -> torch.Tensor:
    """1 for a video that moves, 0 for one that stands still (VBench, arXiv 2311.17982).

    A pair of frames moves when its fastest 5 percent of pixels flow by more than 6/256 of the shorter side on average;
    a video does when a quarter of its frames' worth of pairs do. Ours: dense inverse search in place of RAFT, and every
    frame in place of eight a second.

    Args:
        frames: float (f, 3, h, w) in [-1, 1], f >= 2.

    Returns:
        Scalar, 0 or 1, on the CPU.

    Raises:
        UserError: Fewer than two frames.
    """
    fastest = []
    for flow in flows(frames):
        lengths = np.sort(_lengths(flow), axis=None)
        fastest.append(float(lengths[-max(1, int(FASTEST * lengths.size)) :].mean()))
    moving = sum(length > THRESHOLD * min(frames.shape[-2:]) for length in fastest)
    return torch.tensor(float(moving >= max(1, round(len(frames) / 4))))


def _lengths(flow: np.ndarray) -> np.ndarray:
    return np.hypot(flow[..., 0], flow[..., 1])


class FlowMagnitude(ClipMean):
    """`flow_magnitude`, averaged over clips. More is not better: compare it with the real clip's."""

    higher_is_better = None

    def update(self, frames: torch.Tensor) -> None:
        """Count one clip: float (f, 3, h, w) in [-1, 1]."""
        self.add(flow_magnitude(frames))


class DynamicDegree(ClipMean):
    """`dynamic_degree`, averaged over clips: the share of videos that move."""

    higher_is_better = None

    def update(self, frames: torch.Tensor) -> None:
        """Count one clip: float (f, 3, h, w) in [-1, 1]."""
        self.add(dynamic_degree(frames))
