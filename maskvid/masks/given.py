"""Masks that are in memory already: pictures, arrays and tensors of every usual kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from maskvid.errors import UserError
from maskvid.masks.faults import mask_faults
from maskvid.masks.video import to_float
from maskvid.media.resample import resize_crop
from maskvid.settings import MAX_FOREGROUND


def masks_given(
    masks: Sequence[Any] | np.ndarray | torch.Tensor,
    num_frames: int,
    height: int,
    width: int,
    *,
    max_foreground: float = MAX_FOREGROUND,
    subjects: int = 1,
) -> torch.Tensor:
    """Bring masks to a video's length and size.

    Args:
        masks: White is foreground: a list of PIL pictures or arrays (h, w), or one array or tensor (f, h, w),
            (f, 1, h, w) or (f, h, w, 1); booleans, reals from 0 to 1, or whole numbers from 0 to 255 (0 and 1 alone are
            0 and 255). One mask is held for all frames.
        num_frames: Of the video; there are as many masks, or more, of which the first are taken.
        height: Rows in pixels.
        width: Columns in pixels.
        max_foreground: Mean foreground share above which they are taken for inverted.
        subjects: Of the prompt; of several each has its own, an array or tensor (f, subjects, h, w).

    Returns:
        float32 (num_frames, subjects, height, width) in [0, 1].

    Raises:
        UserError: They are none of these, too few, empty or inverted.

    Examples:
        >>> import numpy as np
        >>> box = np.zeros((4, 64, 96), bool)
        >>> box[:, 20:40, 30:60] = True
        >>> masks_given(box, 4, 32, 48).shape
        torch.Size([4, 1, 32, 48])
    """
    if subjects > 1:
        if not isinstance(masks, (np.ndarray, torch.Tensor)) or masks.ndim != 4 or masks.shape[1] != subjects:
            shape = tuple(getattr(masks, "shape", ())) or type(masks).__name__
            raise UserError(
                f"masks: {shape} for the {subjects} subjects that the prompt marks; give a mask for each, an array "
                f"(f, {subjects}, h, w), or mark one subject."
            )
        each = [
            masks_given(masks[:, index], num_frames, height, width, max_foreground=max_foreground)
            for index in range(subjects)
        ]
        return torch.cat(each, 1)
    pictures = _stacked(masks)
    if len(pictures) == 1:
        pictures = np.repeat(pictures, num_frames, axis=0)
    if len(pictures) < num_frames:
        raise UserError(f"masks: {len(pictures)} for {num_frames} frames; give one for each, or ask for fewer frames.")
    resized = np.stack([resize_crop(picture, height, width) for picture in pictures[:num_frames]])
    if faults := mask_faults(resized, max_foreground=max_foreground):
        raise UserError(f"masks: {'; '.join(faults)}")
    return to_float(resized)


def _stacked(masks: Sequence[Any] | np.ndarray | torch.Tensor) -> np.ndarray:
    """uint8 (f, h, w), 255 is foreground."""
    if isinstance(masks, torch.Tensor):
        values = masks.detach().cpu().float().numpy() if masks.is_floating_point() else masks.cpu().numpy()
    elif isinstance(masks, np.ndarray):
        values = masks
    else:
        pictures = [np.asarray(one.convert("L") if isinstance(one, Image.Image) else one) for one in masks]
        if len({picture.shape for picture in pictures}) != 1:
            raise UserError(f"masks: {len(pictures)} pictures of several sizes, or none; give them all in one.")
        values = np.stack(pictures)
    if values.ndim == 2:
        values = values[None]
    if values.ndim == 4 and 1 in (values.shape[1], values.shape[-1]):
        values = values[:, 0] if values.shape[1] == 1 else values[..., 0]
    if values.ndim != 3 or values.dtype.kind not in "buif":
        raise UserError(f"masks: an array {values.shape} of {values.dtype}; give (f, h, w) of numbers.")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also true for NaN
        raise UserError(f"masks: values from {low:g} to {high:g}; give 0 to 1, or 0 to 255.")
    return np.rint(values.astype(np.float32) * (255 if high <= 1 else 1)).astype(np.uint8)
