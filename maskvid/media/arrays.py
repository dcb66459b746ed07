"""Masks kept as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskvid.errors import UserError, first_line


def masks_of_npz(path: Path) -> Iterator[np.ndarray]:
    """Masks of an npz file, see `maskvid.masks.read.iter_masks`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if name != "fps"]
            if not names:
                raise UserError(f"{path} holds no array; expected `masks` of shape (frames, height, width)")
            array = archive["masks" if "masks" in archive.files else names[0]]
    except UserError:
        raise
    except Exception as error:  # numpy raises ValueError, OSError, BadZipFile, EOFError and zlib.error for a broken npz
        raise UserError(f"unreadable npz {path}: {first_line(error)}") from error
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array[:, 0] if array.shape[1] == 1 else array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise UserError(f"{path} has shape {array.shape}; expected masks of shape (frames, height, width)")
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also true for NaN
        raise UserError(f"{path} has values from {low} to {high}; expected 0 to 1, or 0 to 255")
    yield from np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)
