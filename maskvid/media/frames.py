"""Frames of whatever holds some: a video, a folder of pictures, a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskvid.errors import UserError
from maskvid.media.container import decoded, open_video
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, read_frame
from maskvid.media.regular import is_folder


def iter_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, a frame folder or a single picture one at a time, so that long clips fit in memory.

    Yields:
        uint8 (h, w, 3), RGB, as it is shown: turned and with square pixels where the file says so.

    Raises:
        UserError: Missing or unreadable source, or pictures of different sizes in one folder.
    """
    pictures = _pictures(path)
    if pictures is None:
        yield from decoded(open_video(path))
        return
    size: tuple[int, ...] | None = None
    for picture in pictures:
        frame = read_frame(picture)
        size = size or frame.shape
        if frame.shape != size:
            raise UserError(
                f"{picture} is {frame.shape[1]}x{frame.shape[0]} but the first picture of its folder is "
                f"{size[1]}x{size[0]}; every frame of a clip must have one size"
            )
        yield frame


def frame_count(path: Path) -> int:
    """How many frames `iter_frames` yields.

    Raises:
        UserError: Missing or unreadable source.
    """
    pictures = _pictures(path)
    return open_video(path).count if pictures is None else len(pictures)


def measure(path: Path) -> tuple[int, int, int]:
    """Number, rows and columns of what `iter_frames` yields, all of which is decoded for it.

    Raises:
        UserError: See `iter_frames`.
    """
    if _pictures(path) is None:
        video = open_video(path)
        return video.count, *video.size
    sizes = [frame.shape[:2] for frame in iter_frames(path)]
    return len(sizes), *sizes[0]


def _pictures(path: Path) -> list[Path] | None:
    """The pictures that a folder holds or a path names; None for a video."""
    if not is_folder(path):
        return [path] if path.suffix.lower() in IMAGE_SUFFIXES else None
    found = images_in(path)
    if not found:
        raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
    return found
