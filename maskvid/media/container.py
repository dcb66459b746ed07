"""Video files, decoded as a player shows them.

decord decodes. PyAV looks at the container first, and decodes where that says what decord does not heed (frames hidden
by an edit list, pixels that are not square, a display matrix), or where decord fails (AV1, GIF, MPEG streams).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np

from maskvid.errors import UserError, said
from maskvid.media.regular import refuse_special

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".ogv"}
)

LARGEST_SIDE = 2**14
"""Pixels. A header may claim anything, and what it claims is made room for before the first frame is read."""

_MATRIX = "DISPLAYMATRIX"

_DECORDS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"})
"""Containers that decord reads rightly, by FFmpeg's names; of MPEG streams it repeats frames."""

decord.logging.set_level(decord.logging.QUIET)
av.logging.set_level(av.logging.PANIC)  # what matters is raised


@dataclass(frozen=True)
class Video:
    """A video file that can be opened, and how it is shown.

    Attributes:
        path: Of the file.
        times: float64 (n,), seconds at which its frames are shown, from the first on; None where it does not say.
        rate: Mean frames a second by the container, or None.
        size: Rows and columns as they are shown.
        plain: Whether decord decodes it rightly.
        matrix: The display matrix [a, b, u, c, d, v, x, y, w] in its fixed point numbers, or None.
    """

    path: Path
    times: np.ndarray | None
    rate: float | None
    size: tuple[int, int]
    plain: bool
    matrix: tuple[int, ...] | None


def open_video(path: Path) -> Video:
    """Look at a video file: its first frame, and the time stamps of all.

    Raises:
        UserError: The file is missing or no video that can be decoded.
    """
    refuse_special(path)
    try:
        with av.open(str(path.absolute())) as container:
            stream = _stream(container, path)
            codec = stream.codec_context
            if not (0 < codec.width <= LARGEST_SIDE and 0 < codec.height <= LARGEST_SIDE):
                raise UserError(
                    f"unreadable video {path}: pictures of {codec.width}x{codec.height}; sides of 1 to {LARGEST_SIDE} "
                    "are read."
                )
            packets = [packet for packet in container.demux(stream) if packet.size]
            hidden = any(packet.is_discard for packet in packets)
            stamps = [packet.pts for packet in packets if not packet.is_discard]
            del packets
            container.seek(0)
            first = next(container.decode(stream), None)
            if first is None:
                raise UserError(f"unreadable video {path}: it holds no frames.")
            matrix = _matrix(first)
            pixels = stream.sample_aspect_ratio or Fraction(1)
            turned = matrix is not None and _turn(matrix, path) % 180 == 90
            rows, columns = _square(first.height, first.width, pixels)
            rate, base, kind = stream.average_rate, stream.time_base, container.format.name
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error
    plain = kind in _DECORDS and not hidden and pixels == 1 and matrix is None and _decord_reads(path)
    return Video(
        path=path,
        times=_from_first(stamps, base),
        rate=float(rate) if rate else None,
        size=(columns, rows) if turned else (rows, columns),
        plain=plain,
        matrix=matrix,
    )


def decoded(video: Video) -> Iterator[np.ndarray]:
    """The frames of a video as they are shown, one at a time.

    Yields:
        uint8 (h, w, 3), RGB.

    Raises:
        UserError: A frame cannot be decoded; the message names it.
    """
    index = 0
    try:
        for frame in _by_decord(video.path) if video.plain else _by_pyav(video):
            yield frame
            index += 1
    except (decord.DECORDError, av.FFmpegError, RuntimeError, IndexError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"unreadable video {video.path}: frame {index}: {said(error)}") from error


def _by_decord(path: Path) -> Iterator[np.ndarray]:
    reader = decord.VideoReader(str(path.absolute()), num_threads=1)
    for index in range(len(reader)):
        frame = reader[index].asnumpy()
        if frame.shape[2] != 3:
            # decord takes FFmpeg's padded rows for more channels where the padding is as wide as the picture, e.g. at
            # widths 16, 24, 48, 72 (github.com/dmlc/decord/issues/336): the pixels are the first part of each row
            rows, columns = frame.shape[:2]
            frame = frame.reshape(rows, -1)[:, : columns * 3].reshape(rows, columns, 3)
        yield frame


def _by_pyav(video: Video) -> Iterator[np.ndarray]:
    with av.open(str(video.path.absolute())) as container:
        stream = _stream(container, video.path)
        pixels = stream.sample_aspect_ratio or Fraction(1)
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ValueError("it is damaged")
            rows, columns = _square(frame.height, frame.width, pixels)
            picture = frame.reformat(columns, rows, "rgb24", interpolation="BICUBIC").to_ndarray()
            yield picture if video.matrix is None else _turned(picture, video.matrix, video.path)


def _stream(container: Any, path: Path) -> Any:
    stream = container.streams.best("video")
    if stream is None:
        raise UserError(f"unreadable video {path}: it holds no pictures, only {_kinds(container)}.")
    return stream


def _kinds(container: Any) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _decord_reads(path: Path) -> bool:
    try:
        return len(decord.VideoReader(str(path.absolute()), num_threads=1)) > 0
    except (decord.DECORDError, RuntimeError, IndexError):
        return False


def _unreadable(path: Path, error: Exception) -> UserError:
    return error if isinstance(error, UserError) else UserError(f"unreadable video {path}: {said(error)}")


def _from_first(stamps: list[int | None], base: Fraction) -> np.ndarray | None:
    """Seconds from the first frame on; None where a time stamp is missing or used twice."""
    if not stamps or None in stamps:
        return None
    times = np.sort(np.asarray(stamps, np.float64)) * float(base)
    return times - times[0] if (np.diff(times) > 0).all() else None


def _square(rows: int, columns: int, pixels: Fraction) -> tuple[int, int]:
    """Size in square pixels, by enlarging one side, so that nothing is lost."""
    if pixels > 1:
        return rows, round(columns * pixels)
    return round(rows / pixels), columns


def _matrix(frame: Any) -> tuple[int, ...] | None:
    """The display matrix that comes with a frame, None where it is the identity."""
    for data in frame.side_data:
        if data.type.name == _MATRIX:
            matrix = tuple(int(value) for value in np.frombuffer(bytes(data), np.int32)[:9])
            return None if matrix[:2] + matrix[3:5] == (1 << 16, 0, 0, 1 << 16) else matrix
    return None


def _turn(matrix: tuple[int, ...], path: Path) -> int:
    """By how many degrees clockwise the pictures are shown turned, as FFmpeg reckons it: 0, 90, 180 or 270.

    Raises:
        UserError: By an angle in between.
    """
    scales = [math.hypot(matrix[0], matrix[3]) or 1.0, math.hypot(matrix[1], matrix[4]) or 1.0]
    angle = round(math.degrees(math.atan2(matrix[1] / scales[1], matrix[0] / scales[0]))) % 360
    if angle % 90:
        raise UserError(f"unreadable video {path}: it is shown turned by {angle} degrees; write it turned (ffmpeg -i).")
    return angle


def _turned(picture: np.ndarray, matrix: tuple[int, ...], path: Path) -> np.ndarray:
    """A picture as its display matrix shows it, mirrored ones too; the cases are those of FFmpeg's `autorotate`."""
    angle = _turn(matrix, path)
    if angle == 90:
        shown = picture.swapaxes(0, 1) if matrix[3] > 0 else np.rot90(picture, -1)
    elif angle == 270:
        shown = np.rot90(picture, -1)[::-1] if matrix[3] < 0 else np.rot90(picture, 1)
    elif angle == 180:
        shown = picture[:: -1 if matrix[4] < 0 else 1, :: -1 if matrix[0] < 0 else 1]
    else:
        shown = picture[::-1] if matrix[4] < 0 else picture
    return np.ascontiguousarray(shown)
