"""Masks and pictures at another size: cut to an aspect ratio, averaged to an attention grid."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import cv2
import numpy as np

from maskvid.errors import UserError


def pick(pictures: Iterable[np.ndarray], indices: np.ndarray, height: int, width: int) -> np.ndarray:
    """Some of a sequence at another size, see `resize_crop`; the others are neither kept nor read beyond the last.

    Args:
        pictures: uint8 (h, w) or (h, w, 3), one at a time.
        indices: int (n,), rising; repeated ones are allowed.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        uint8 (n, height, width) or (n, height, width, 3).

    Raises:
        UserError: The sequence ends before the last index.
    """
    picked, last = np.empty(0), int(indices[-1])
    count = 0
    for index, picture in enumerate(islice(pictures, last + 1)):
        if (places := indices == index).any():
            resized = resize_crop(picture, height, width)
            # room is made once, because small arrays kept between large ones that go leave holes in the memory
            picked = picked if picked.size else np.empty((len(indices), *resized.shape), np.uint8)
            picked[places] = resized
        count = index + 1
    if count <= last:
        raise UserError(f"it ends after {count} frames; {last + 1} are needed.")
    return picked


def resize_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the largest centred region of the wanted aspect ratio, then resize it.

    Nothing is stretched beyond the rounding of the cut to whole source pixels. Shrinking averages areas (no
    aliasing); enlarging is bilinear.

    Args:
        image: uint8 (h, w) or (h, w, 3).
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        uint8 (height, width) or (height, width, 3).
    """
    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    cut_rows, cut_columns = min(rows, round(height * scale)), min(columns, round(width * scale))
    top, left = (rows - cut_rows) // 2, (columns - cut_columns) // 2
    cut = image[top : top + cut_rows, left : left + cut_columns]
    if cut.shape[:2] == (height, width):
        return np.ascontiguousarray(cut)
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
