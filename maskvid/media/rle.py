"""Masks as run lengths, in COCO's format: a JSON list with an entry for each frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maskvid.errors import UserError
from maskvid.json_reading import read_json
from maskvid.media.regular import refuse_special

RLE_SUFFIX = ".json"

LARGEST = 2**26
"""Bytes of a file, and pixels of a picture."""


def read_runs(path: Path) -> Iterator[np.ndarray]:
    """Yield the masks of a JSON file, uint8 (k, h, w) in {0, 1} for the k objects of a frame.

    The list holds for each frame an object `{"size": [h, w], "counts": ...}`, compressed or not, or a list of those,
    one for each object of the picture.

    Raises:
        UserError: The file is no such list, or a size is out of range.
    """
    refuse_special(path)
    entries = read_json(path, largest=LARGEST)
    if not isinstance(entries, list) or not entries:
        raise UserError(f'{path}: expected a list with {{"size": [h, w], "counts": ...}} for each frame.')
    for index, entry in enumerate(entries):
        members = entry if isinstance(entry, list) else [entry]
        masks = [_decode(member, f"{path}: frame {index}") for member in members]
        if not masks or len({mask.shape for mask in masks}) > 1:
            raise UserError(f"{path}: frame {index} holds no mask, or masks of several sizes.")
        yield np.stack(masks)


def _decode(entry: Any, place: str) -> np.ndarray:
    size, counts = (entry.get("size"), entry.get("counts")) if isinstance(entry, dict) else (None, None)
    whole = isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    height, width = size if isinstance(size, list) and whole else (0, 0)
    if not 0 < height * width <= LARGEST:
        raise UserError(f'{place}: expected {{"size": [h, w], "counts": ...}} of at most {LARGEST} pixels.')
    if isinstance(counts, list):
        if not all(type(run) is int and 0 <= run <= height * width for run in counts):
            raise UserError(f"{place}: its counts are no run lengths.")
        runs = np.asarray(counts, np.int64)
    elif isinstance(counts, str) and counts.isascii():
        runs = _uncompressed(counts)
    else:
        raise UserError(f"{place}: its counts are neither a list nor a text.")
    if (runs < 0).any() or runs.sum() != height * width:
        raise UserError(f"{place}: its run lengths do not fill {height} x {width} pixels.")
    # by hand, because COCO's own C code writes wherever the counts lead it
    values = np.arange(len(runs), dtype=np.uint8) % 2  # background first
    return np.repeat(values, runs).reshape(width, height).T


def _uncompressed(text: str) -> np.ndarray:
    """Run lengths of COCO's compressed text: five bits a letter, each count the difference to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for letter in text.encode():
        bits = letter - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return np.asarray(runs, np.int64)
