"""Clips decoded to the size of the model."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from maskvid.masks.read import iter_frames
from maskvid.masks.resample import resize_crop

DECODE_VERSION = 1
"""Raise it when decoding changes the numbers it returns: cached latents are then encoded anew."""


def decode_frames(video: Path, height: int, width: int, *, limit: int | None = None) -> np.ndarray:
    """Decode a video file or frame folder, aspect ratio kept by a centre crop.

    Args:
        video: Video file or frame folder.
        height: Rows in pixels.
        width: Columns in pixels.
        limit: Number of frames to stop after, or None for all.

    Returns:
        uint8 (f, height, width, 3), RGB.

    Raises:
        UserError: Missing or unreadable video.
    """
    return np.stack([resize_crop(frame, height, width) for frame in islice(iter_frames(video), limit)])


def frames_to_float(frames: np.ndarray) -> torch.Tensor:
    """Turn uint8 (f, h, w, 3) into float32 (f, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
