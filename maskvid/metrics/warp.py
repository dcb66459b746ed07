"""Warp error: what flickers although it only moved."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from maskvid.metrics.base import ClipMean
from maskvid.metrics.flow import flows


def warp_error(frames: torch.Tensor) -> torch.Tensor:
    """Mean squared difference x 100 between each frame and the one before warped onto it, occlusions left out.

    After Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018), with pixels in [0, 1]. Flow is that of
    the video itself; a pixel counts as occluded where the flows there and back do not cancel, by more than 0.01 of
    their squared lengths and half a squared pixel (Sundaram et al., ECCV 2010), or where it came from outside the
    picture.

    Args:
        frames: float (f, 3, h, w) in [-1, 1], f >= 2.

    Returns:
        Scalar >= 0 on the CPU; lower is steadier, 0 is a frozen video. A pair without a visible pixel does not count;
        NaN where that holds for all.

    Raises:
        UserError: Fewer than two frames.
    """
    pixels = frames.detach().float().cpu().clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1).contiguous().numpy()
    height, width = pixels.shape[1:3]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    errors = []
    pairs = zip(pixels[:-1], pixels[1:], flows(frames), flows(frames, backward=True), strict=True)
    for earlier, later, there, back in pairs:
        x, y = columns + back[..., 0], rows + back[..., 1]
        warped = cv2.remap(earlier, x, y, cv2.INTER_LINEAR)
        returned = cv2.remap(there, x, y, cv2.INTER_LINEAR)
        missed = np.square(back + returned).sum(-1)
        allowed = 0.01 * (np.square(back).sum(-1) + np.square(returned).sum(-1)) + 0.5
        visible = (missed < allowed) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        if visible.any():
            errors.append(float(np.square(later - warped)[visible].mean()))
    return 100 * torch.tensor(errors).mean()


class WarpError(ClipMean):
    """`warp_error`, averaged over clips; lower is steadier."""

    higher_is_better = False

    def update(self, frames: torch.Tensor) -> None:
        """Count one clip: float (f, 3, h, w) in [-1, 1]."""
        self.add(warp_error(frames))
