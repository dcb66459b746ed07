"""A user's masks for generation."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.masks.check import MAX_FOREGROUND, mask_faults
from maskvid.masks.read import IMAGE_SUFFIXES, iter_masks
from maskvid.masks.resample import resize_crop


def read_masks(
    path: str | Path,
    num_frames: int | None,
    height: int,
    width: int,
    *,
    frame_stride: int = 1,
    max_foreground: float = MAX_FOREGROUND,
) -> torch.Tensor:
    """Read the masks of a video to be generated: a video, a PNG folder, an npz file or a single picture.

    A single picture is held for all frames. Every `frame_stride`-th mask is used, from the first on; masks beyond
    the last frame are left out with a warning. The aspect ratio is kept by a centre crop.

    Args:
        path: Source of the masks, white is foreground.
        num_frames: Number of frames wanted, or None for all there are.
        height: Rows in pixels.
        width: Columns in pixels.
        frame_stride: Distance between used masks, in source frames.
        max_foreground: See `mask_faults`.

    Returns:
        float32 (f, 1, height, width) in [0, 1], 1 is foreground.

    Raises:
        UserError: Missing, unreadable, too short, empty or inverted masks.
    """
    path = Path(path).expanduser()
    masks = [resize_crop(mask, height, width) for mask in iter_masks(path)]
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        masks = masks * (num_frames or 1)
    elif num_frames is not None:
        needed = (num_frames - 1) * frame_stride + 1
        if len(masks) < needed:
            raise UserError(
                f"masks={path} has {len(masks)} frames; num_frames={num_frames} at frame_stride={frame_stride} needs "
                f"{needed}. Give longer masks or ask for fewer frames"
            )
        if len(masks) >= needed + frame_stride:
            warnings.warn(f"masks={path} has {len(masks)} frames; only the first {needed} are used", stacklevel=2)
        masks = masks[:needed:frame_stride]
    else:
        masks = masks[::frame_stride]
    stack = np.stack(masks)
    faults = mask_faults(stack, max_foreground=max_foreground)
    if faults:
        raise UserError(f"masks={path}: " + "; ".join(faults))
    return to_float(stack)


def to_float(masks: np.ndarray) -> torch.Tensor:
    """Turn uint8 (f, h, w), 255 is foreground, into float32 (f, 1, h, w) in [0, 1]."""
    return torch.from_numpy(masks).float().div(255).unsqueeze(1)
