"""Which objects masks tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskvid.masks.read import VOID, drawing_in
from maskvid.media.arrays import ARRAY_SUFFIXES, find_stack
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, page, pages
from maskvid.media.regular import is_folder
from maskvid.media.rle import RLE_SUFFIX, read_runs


def objects_in(path: Path) -> list[int]:
    """Numbers of the objects of masks, ascending, as `iter_masks` takes them; none where there is one mask only.

    Args:
        path: Of the masks, see `iter_masks`.

    Raises:
        UserError: Missing or unreadable source.
    """
    folder, suffix = is_folder(path), path.suffix.lower()
    if folder or suffix in IMAGE_SUFFIXES:
        images = map(page, images_in(path)) if folder else pages(path)
        indexed = (np.unique(np.asarray(image)) for image in images if image.mode == "P")
        return sorted({int(number) for numbers in indexed for number in numbers} - {0, VOID})
    if (drawing := drawing_in(path)) is not None:
        count = sum(not line.occluder for line in drawing.objects)
    elif suffix in ARRAY_SUFFIXES:
        stack = find_stack(path)
        count = stack.shape[1] if len(stack.shape) == 4 and not stack.trailing else 1
    elif suffix == RLE_SUFFIX:
        count = max(len(runs) for runs in read_runs(path))
    else:
        count = 1
    return list(range(1, count + 1)) if count > 1 else []
