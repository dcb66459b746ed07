"""Frames of whatever holds some: a video, a folder of pictures, a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskvid.errors import UserError
from maskvid.media.container import decoded, open_video
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, is_picture, read_frame


def iter_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, a frame folder or a single picture one at a time, so that long clips fit in memory.

    Yields:
        uint8 (h, w, 3), RGB, as it is shown: turned and with square pixels where the file says so.

    Raises:
        UserError: Missing or unreadable source, or pictures of different sizes in one folder.
    """
    if not path.is_dir() and not is_picture(path):
        yield from decoded(open_video(path))
        return
    size: tuple[int, ...] | None = None
    found = images_in(path) if path.is_dir() else [path]
    if not found:
        raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
    for picture in found:
        frame = read_frame(picture)
        size = size or frame.shape
        if frame.shape != size:
            raise UserError(
                f"{picture} is {frame.shape[1]}x{frame.shape[0]} but the first picture of its folder is "
                f"{size[1]}x{size[0]}; every frame of a clip must have one size"
            )
        yield frame


def frame_count(path: Path) -> int:
    """How many frames `iter_frames` yields, without decoding them where that is known.

    Raises:
        UserError: Missing or unreadable source.
    """
    if path.is_dir():
        return len(images_in(path))
    if is_picture(path):
        return 1
    video = open_video(path)
    return sum(1 for _ in decoded(video)) if video.times is None else len(video.times)
