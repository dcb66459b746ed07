"""Video files, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import decord
import numpy as np

from maskvid.errors import UserError, first_line

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif"})


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
        raise UserError(f"unreadable video {path}: {first_line(error)}") from error


def decoded(reader: decord.VideoReader, path: Path) -> Iterator[np.ndarray]:
    """The frames of a video, uint8 (h, w, 3), RGB.

    Raises:
        UserError: A frame cannot be decoded; the message names it.
    """
    for index in range(len(reader)):
        try:
            frame = reader[index].asnumpy()
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise UserError(f"unreadable video {path}: frame {index}: {first_line(error)}") from error
        if frame.shape[2] != 3:
            # decord takes FFmpeg's padded rows for more channels where the padding is as wide as the picture, e.g. at
            # widths 16, 24, 48, 72 (github.com/dmlc/decord/issues/336): the pixels are the first part of each row
            rows, columns = frame.shape[:2]
            frame = frame.reshape(rows, -1)[:, : columns * 3].reshape(rows, columns, 3)
        yield frame
