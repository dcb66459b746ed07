"""Optical flow between adjacent frames, which the motion and warp metrics measure by."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from maskvid.errors import UserError


def grey_frames(frames: torch.Tensor) -> list[np.ndarray]:
    """Frames (f, 3, h, w) in [-1, 1] as uint8 (h, w) each.

    Raises:
        UserError: Fewer than two frames, between which nothing flows.
    """
    if len(frames) < 2:
        raise UserError(f"optical flow needs at least 2 frames, got {len(frames)}")
    pixels = frames.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pixels.permute(0, 2, 3, 1).contiguous().numpy()]


def flows(frames: torch.Tensor, *, backward: bool = False) -> Iterator[np.ndarray]:
    """Dense inverse search (Kroeger et al., ECCV 2016; OpenCV's `MEDIUM` preset) on grey frames.

    Args:
        frames: float (f, 3, h, w) in [-1, 1], f >= 2.
        backward: From each frame to the one before instead of from each to the next.

    Yields:
        f - 1 of float32 (h, w, 2): columns and rows that each pixel moves by.

    Raises:
        UserError: Fewer than two frames.
    """
    grey = grey_frames(frames)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for earlier, later in zip(grey[:-1], grey[1:], strict=True):
        pair = (later, earlier) if backward else (earlier, later)
        yield search.calc(*pair, np.zeros((*earlier.shape, 2), np.float32))
