"""Files to arrays: frames and masks out of videos, frame folders, single pictures and npz files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import decord
import numpy as np
from PIL import Image, UnidentifiedImageError

from maskvid.errors import UserError

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

# A lossy codec leaves a haze of a few levels around pure black and pure white; without clipping it would count as a
# little foreground everywhere.
_CODEC_HAZE = 12


@dataclass(frozen=True)
class Extent:
    """Number of frames and native size of a video or a mask sequence, in pixels."""

    frames: int
    height: int
    width: int


def images_in(folder: Path) -> list[Path]:
    """The pictures of a frame folder in numeric order, so that `frame2` comes before `frame10`."""

    def order(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]

    return sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=order)


def open_video(path: Path) -> decord.VideoReader:
    """Open a video file with decord.

    Raises:
        UserError: The file is missing or no video that can be decoded.
    """
    if not path.is_file():
        raise UserError(f"missing file: {path}")
    try:
        return decord.VideoReader(str(path), num_threads=1)
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        raise UserError(f"unreadable video {path}: {_first_line(error)}") from error


def probe(path: Path) -> Extent:
    """Frame count and native size, from the container or the first picture alone.

    Raises:
        UserError: Missing or unreadable source.
    """
    if path.is_dir():
        pictures = images_in(path)
        if not pictures:
            raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
        first = _read_image(pictures[0])
        return Extent(len(pictures), first.height, first.width)
    reader = open_video(path)
    if len(reader) == 0:
        raise UserError(f"unreadable video {path}: it holds no frames")
    height, width, _ = next(_decoded(reader, path)).shape
    return Extent(len(reader), height, width)


def iter_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, a frame folder or a single picture one at a time, so that long clips fit in memory.

    Yields:
        uint8 (h, w, 3), RGB, at native size.

    Raises:
        UserError: Missing or unreadable source, or pictures of different sizes in one folder.
    """
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        yield np.asarray(_read_image(path).convert("RGB"))
        return
    if not path.is_dir():
        yield from _decoded(open_video(path), path)
        return
    expected = probe(path)
    for picture in images_in(path):
        frame = np.asarray(_read_image(picture).convert("RGB"))
        if frame.shape[:2] != (expected.height, expected.width):
            raise UserError(
                f"{picture} is {frame.shape[1]}x{frame.shape[0]} but the first picture of its folder is "
                f"{expected.width}x{expected.height}; every frame of a clip must have one size"
            )
        yield frame


def iter_masks(path: Path) -> Iterator[np.ndarray]:
    """Yield the masks of a video, a PNG folder, an npz file or a single picture one at a time.

    Palette PNGs (DAVIS) hold object numbers: every number above 0 is foreground. Arrays and grey pictures whose
    largest value is 1 are taken as 0/1. The npz array is the one named `masks`, or else the first that is not `fps`.

    Yields:
        uint8 (h, w), 255 is foreground, at native size.

    Raises:
        UserError: Missing or unreadable source, values outside the range, or pictures of different sizes.
    """
    if not path.exists():
        raise UserError(f"missing file: {path}")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        yield from _picture_masks(path)
    elif path.suffix.lower() == ".npz":
        yield from _npz_masks(path)
    else:
        for frame in _decoded(open_video(path), path):
            grey = frame.mean(axis=2)
            stretched = (grey - _CODEC_HAZE) * (255 / (255 - 2 * _CODEC_HAZE))
            yield np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def _decoded(reader: decord.VideoReader, path: Path) -> Iterator[np.ndarray]:
    for index in range(len(reader)):
        try:
            frame = reader[index].asnumpy()
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise UserError(f"unreadable video {path}: frame {index}: {_first_line(error)}") from error
        if frame.shape[2] != 3:
            # decord takes FFmpeg's padded rows for more channels where the padding is as wide as the picture, e.g. at
            # widths 16, 24, 48, 72 (github.com/dmlc/decord/issues/336): the pixels are the first part of each row
            rows, columns = frame.shape[:2]
            frame = frame.reshape(rows, -1)[:, : columns * 3].reshape(rows, columns, 3)
        yield frame


def _read_image(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG
        raise UserError(f"unreadable picture {path}: {_first_line(error)}") from error


def _picture_masks(path: Path) -> Iterator[np.ndarray]:
    pictures = images_in(path) if path.is_dir() else [path]
    if not pictures:
        raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
    size: tuple[int, ...] | None = None
    loaded = []
    for picture in pictures:
        image = _read_image(picture)
        if image.mode == "P":
            mask = np.where(np.asarray(image) > 0, 255, 0).astype(np.uint8)
        elif image.mode.startswith("I"):
            mask = np.rint(np.asarray(image) / 257).astype(np.uint8)  # 16 bits to 8
        else:
            mask = np.asarray(image.convert("L"))
        size = size or mask.shape
        if mask.shape != size:
            raise UserError(
                f"{picture} is {mask.shape[1]}x{mask.shape[0]} but the first mask of its folder is "
                f"{size[1]}x{size[0]}; every mask of a clip must have one size"
            )
        loaded.append(mask)
    # 0/1 pictures: judged over the whole sequence, since a single frame may hold no foreground at all
    binary = max(int(mask.max()) for mask in loaded) == 1
    yield from (mask * np.uint8(255) if binary else mask for mask in loaded)


def _npz_masks(path: Path) -> Iterator[np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if name != "fps"]
            if not names:
                raise UserError(f"{path} holds no array; expected `masks` of shape (frames, height, width)")
            array = archive["masks" if "masks" in archive.files else names[0]]
    except UserError:
        raise
    except Exception as error:  # numpy raises ValueError, OSError, BadZipFile, EOFError and zlib.error for a broken npz
        raise UserError(f"unreadable npz {path}: {_first_line(error)}") from error
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array[:, 0] if array.shape[1] == 1 else array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise UserError(f"{path} has shape {array.shape}; expected masks of shape (frames, height, width)")
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also true for NaN
        raise UserError(f"{path} has values from {low} to {high}; expected 0 to 1, or 0 to 255")
    yield from np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
