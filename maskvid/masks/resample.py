"""Masks and pictures at another size: cut to an aspect ratio, averaged to an attention grid."""

from __future__ import annotations

import cv2
import numpy as np


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
