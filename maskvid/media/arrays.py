"""Stacks of masks in NumPy files, a picture at a time: what a header claims is looked at before anything is read."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from maskvid.errors import UserError, said
from maskvid.media.regular import refuse_special

ARRAY_SUFFIXES = frozenset({".npz", ".npy"})

LARGEST = 2**34
"""Bytes of an array: 2000 frames of 4K film. A file of a few kilobytes may unpack to any size."""

LARGEST_PICTURE = 2**28
"""Bytes of one picture of it, which is what is held in memory."""

_FPS = "fps"
_BROKEN = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Stack:
    """An array as its header describes it.

    Attributes:
        path: Of the file.
        member: Its name within an npz; None for an npy file.
        shape: (f, h, w), or (f, k, h, w) where the file holds k objects.
        dtype: Of its numbers.
        trailing: Whether one channel stands last, (f, h, w, 1).
    """

    path: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    trailing: bool = False


def find_stack(path: Path) -> Stack:
    """The masks of an npy or npz file: its array named `masks`, or else the first that is not `fps`.

    Raises:
        UserError: No such array; no numbers, objects (which would be unpickled), another shape than (f, h, w),
            (f, k, h, w) or (f, h, w, 1); or more than `LARGEST` bytes.
    """
    refuse_special(path)
    member = None if path.suffix.lower() == ".npy" else _member(path)
    with _open(path, member) as handle:
        shape, fortran, dtype = _header(handle)
    if dtype.hasobject:
        raise UserError(f"{path}: its array holds objects, which are never unpickled; save numbers.")
    if dtype.kind not in "biuf":
        raise UserError(f"{path}: its array holds {dtype}; save numbers from 0 to 1, or 0 to 255.")
    trailing = len(shape) == 4 and shape[3] == 1 and shape[1] != 1
    if len(shape) not in (3, 4) or 0 in shape:
        raise UserError(f"{path} has shape {shape}; expected masks of shape (frames, height, width)")
    size, picture = math.prod(shape) * dtype.itemsize, math.prod(shape[1:]) * dtype.itemsize
    if size > LARGEST or picture > LARGEST_PICTURE:
        raise UserError(
            f"{path} has shape {shape}, {size / 2**30:.3g} GiB; at most {LARGEST / 2**30:.3g} GiB and "
            f"{LARGEST_PICTURE / 2**20:.3g} MiB a frame are read: save smaller masks, as uint8."
        )
    if fortran and len(shape) > 1:
        raise UserError(f"{path}: its array is in Fortran order; save numpy.ascontiguousarray(masks).")
    return Stack(path, member, shape, dtype, trailing)


def pictures(stack: Stack) -> Iterator[np.ndarray]:
    """Yield the array frame by frame: (h, w), or (k, h, w) where it holds k objects.

    Raises:
        UserError: The file is damaged, or shorter than its header says.
    """
    shape = stack.shape[1:3] if stack.trailing else stack.shape[1:]
    count = math.prod(shape)
    with _open(stack.path, stack.member) as handle:
        _header(handle)
        for index in range(stack.shape[0]):
            data = handle.read(count * stack.dtype.itemsize)
            if len(data) < count * stack.dtype.itemsize:
                raise ValueError(f"it ends in frame {index} of {stack.shape[0]}")
            yield np.frombuffer(data, stack.dtype).reshape(shape)


def frame_rate(path: Path) -> float | None:
    """Frames a second by the number named `fps` in an npz file; None where there is none.

    Raises:
        UserError: It is no number, or the file is damaged.
    """
    if path.suffix.lower() != ".npz":
        return None
    refuse_special(path)
    if f"{_FPS}.npy" not in _members(path):
        return None
    with _open(path, f"{_FPS}.npy") as handle:
        shape, _, dtype = _header(handle)
        if shape or dtype.kind not in "iuf":
            raise UserError(f"{path}: fps is no number, but {dtype} of shape {shape}; give frames a second.")
        return float(np.frombuffer(handle.read(dtype.itemsize), dtype)[0])


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except _BROKEN as error:
        raise UserError(f"unreadable npz {path}: {said(error)}") from error


def _member(path: Path) -> str:
    names = [name for name in _members(path) if name.endswith(".npy") and name != f"{_FPS}.npy"]
    if not names:
        raise UserError(f"{path} holds no array; expected `masks` of shape (frames, height, width)")
    return "masks.npy" if "masks.npy" in names else names[0]


@contextmanager
def _open(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    try:
        if member is None:
            with path.open("rb") as handle:
                yield handle
        else:
            with zipfile.ZipFile(path) as archive, archive.open(member) as handle:
                yield handle
    except UserError:
        raise
    except _BROKEN as error:
        raise UserError(f"unreadable {path.suffix.lower()[1:]} {path}: {said(error)}") from error


def _header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(handle)
    if version == (1, 0):
        return npy.read_array_header_1_0(handle)
    if version == (2, 0):
        return npy.read_array_header_2_0(handle)
    raise ValueError(f"version {version} of the format is not read")
