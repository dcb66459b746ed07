"""Motion: how much a video moves. The figure that must stand beside every consistency figure."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean


def flow_magnitude(frames: torch.Tensor) -> torch.Tensor:
    """Mean length of the optical flow between adjacent frames, in pixels per frame at the video's own size.

    Dense inverse search (Kroeger et al., ECCV 2016; OpenCV's `MEDIUM` preset) on grey frames, averaged over all
    pixels and all f - 1 pairs. The figure grows with resolution and falls with frame rate: compare it only between
    videos of one size and rate, best as a ratio to the real clip's.

    Args:
        frames: float (f, 3, h, w) in [-1, 1], f >= 2.

    Returns:
        Scalar >= 0 on the CPU; 0 is a frozen video.

    Raises:
        UserError: Fewer than two frames.
    """
    if len(frames) < 2:
        raise UserError(f"flow magnitude needs at least 2 frames, got {len(frames)}")
    pixels = frames.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pixels.permute(0, 2, 3, 1).contiguous().numpy()]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    lengths = []
    for earlier, later in zip(grey[:-1], grey[1:], strict=True):
        flow = search.calc(earlier, later, np.zeros((*earlier.shape, 2), np.float32))
        lengths.append(float(np.hypot(flow[..., 0], flow[..., 1]).mean()))
    return torch.tensor(lengths).mean()


class FlowMagnitude(ClipMean):
    """`flow_magnitude`, averaged over clips. More is not better: compare it with the real clip's."""

    higher_is_better = None

    def update(self, frames: torch.Tensor) -> None:
        """Count one clip: float (f, 3, h, w) in [-1, 1]."""
        self.add(flow_magnitude(frames))
