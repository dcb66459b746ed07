"""Frames of whatever holds some: a video, a folder of pictures, a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskvid.errors import UserError
from maskvid.media.container import decoded, open_video
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, read_image


@dataclass(frozen=True)
class Extent:
    """Number of frames and native size of a video or a mask sequence, in pixels."""

    frames: int
    height: int
    width: int


def probe(path: Path) -> Extent:
    """Frame count and native size, from the container or the first picture alone.

    Raises:
        UserError: Missing or unreadable source.
    """
    if path.is_dir():
        pictures = images_in(path)
        if not pictures:
            raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
        first = read_image(pictures[0])
        return Extent(len(pictures), first.height, first.width)
    reader = open_video(path)
    if len(reader) == 0:
        raise UserError(f"unreadable video {path}: it holds no frames")
    height, width, _ = next(decoded(reader, path)).shape
    return Extent(len(reader), height, width)


def iter_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, a frame folder or a single picture one at a time, so that long clips fit in memory.

    Yields:
        uint8 (h, w, 3), RGB, at native size.

    Raises:
        UserError: Missing or unreadable source, or pictures of different sizes in one folder.
    """
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        yield np.asarray(read_image(path).convert("RGB"))
        return
    if not path.is_dir():
        yield from decoded(open_video(path), path)
        return
    expected = probe(path)
    for picture in images_in(path):
        frame = np.asarray(read_image(picture).convert("RGB"))
        if frame.shape[:2] != (expected.height, expected.width):
            raise UserError(
                f"{picture} is {frame.shape[1]}x{frame.shape[0]} but the first picture of its folder is "
                f"{expected.width}x{expected.height}; every frame of a clip must have one size"
            )
        yield frame
