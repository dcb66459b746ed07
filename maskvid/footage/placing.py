"""Where a place that a person showed in a clip's picture lies in the windows cut from it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from maskvid.footage.finders import Box
from maskvid.preparation import Preparation

Size = tuple[int, int]
"""Rows and columns."""


def window_size(source: Size, wanted: Preparation) -> Size:
    """Rows and columns of what is written of a clip of this size.

    Without a wanted size the proportions are kept, to an even number of rows and columns as H.264 has them, and
    nothing is enlarged.

    Example:
        >>> window_size((2160, 3840), Preparation(subject="it"))
        (360, 640)
        >>> window_size((272, 641), Preparation(subject="it", height=64, width=96))
        (64, 96)
    """
    if wanted.height is not None and wanted.width is not None:
        return wanted.height, wanted.width
    scale = min(1.0, wanted.largest_side / max(source))
    rows, columns = (max(2, round(side * scale) // 2 * 2) for side in source)
    return rows, columns


def work_size(source: Size, wanted: Preparation) -> Size:
    """Rows and columns in which the foreground is looked for: the same picture, larger.

    As large as `largest_side` and the clip allow: the 64 rows of the miniature show a network little.

    Example:
        >>> work_size((720, 1280), Preparation(subject="it", height=64, width=96))
        (427, 640)
        >>> work_size((144, 176), Preparation(subject="it", height=64, width=96))
        (117, 176)
    """
    height, width = window_size(source, wanted)
    scale = max(1.0, min(source[0] / height, source[1] / width, wanted.largest_side / max(height, width)))
    return round(height * scale), round(width * scale)


def resized(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask, bool (h, w), at another size of the same proportions: a pixel is foreground where most of it was."""
    if mask.shape == size:
        return mask
    kind = cv2.INTER_AREA if mask.shape[0] > size[0] else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=kind) >= 0.5


def placed(point: Sequence[float], source: Size, window: Size, *, shares: bool) -> tuple[float, float]:
    """Where x and y of a clip's picture lie in a window, which `maskvid.media.resample.resize_crop` cut from it.

    Example:
        >>> placed([0.5, 0.5], (100, 300), (50, 50), shares=True)  # 100 columns of its 300 are left
        (25.0, 25.0)
        >>> placed([100, 0], (100, 300), (50, 50), shares=False)
        (0.0, 0.0)
    """
    (rows, columns), (height, width) = source, window
    scale = min(rows / height, columns / width)
    cut_rows, cut_columns = min(rows, round(height * scale)), min(columns, round(width * scale))
    x, y = (point[0] * columns, point[1] * rows) if shares else (point[0], point[1])
    return (x - (columns - cut_columns) // 2) * width / cut_columns, (y - (rows - cut_rows) // 2) * height / cut_rows


def box_in(wanted: Preparation, source: Size, window: Size) -> Box | None:
    """The box in pixels of the window."""
    if wanted.box is None:
        return None
    shares = max(wanted.box) <= 1
    left, top = placed(wanted.box[:2], source, window, shares=shares)
    right, bottom = placed(wanted.box[2:], source, window, shares=shares)
    return left, top, right, bottom


def points_in(wanted: Preparation, source: Size, window: Size) -> tuple[tuple[float, float, int], ...]:
    """The points in pixels of the window, with 1 on the foreground and 0 on the background."""
    points = wanted.points or []
    shares = all(max(point[:2]) <= 1 for point in points)
    return tuple(
        (*placed(point, source, window, shares=shares), 1 if len(point) == 2 else int(point[2])) for point in points
    )
