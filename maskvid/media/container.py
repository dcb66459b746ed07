"""Video files, decoded as a player shows them.

decord decodes. PyAV goes through the whole file first: how many frames are shown, when, and whether they are sound. It
also gives the pictures where the file says what decord does not heed (frames hidden by an edit list, pixels that are
not square, a display matrix, a cut, more than eight bits), where decord fails (AV1, GIF, MPEG streams), and of long
clips, which decord may hold whole. Its pictures come out of FFmpeg's own filters, and equal decord's where both are
right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.filter
import decord
import numpy as np

from maskvid.errors import UserError, said
from maskvid.media.regular import refuse_special

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".ogv"}
)

LARGEST = 2**26
"""Pixels of a frame; 8K has half as many. A header may claim anything, and room is made for what it claims."""

_DECORDS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"})
"""Containers that decord reads rightly, by FFmpeg's names; of MPEG streams it repeats frames."""

DECORDS_SHARE = 2**29
"""Bytes of all frames of a clip that decord is given: it decodes ahead of a slow reader without end, to the last."""

_FAULTS = (av.FFmpegError, decord.DECORDError, OSError, ValueError, IndexError, RuntimeError, MemoryError)

Filter = tuple[str, str]
"""A filter of FFmpeg and its arguments."""

decord.logging.set_level(decord.logging.QUIET)
av.logging.set_level(av.logging.PANIC)  # what matters is raised


@dataclass(frozen=True)
class Video:
    """A video file whose frames can all be decoded, and how they are shown.

    Attributes:
        path: Of the file.
        count: Frames that are shown.
        times: float64 (count,), seconds at which they are shown, from the first on; None where it does not say.
        rate: Mean frames a second by the container, or None.
        size: Rows and columns as they are shown.
        plain: Whether decord decodes it, rightly and within bounds.
        filters: What makes a decoded frame the one that is shown.
    """

    path: Path
    count: int
    times: np.ndarray | None
    rate: float | None
    size: tuple[int, int]
    plain: bool
    filters: tuple[Filter, ...]


def open_video(path: Path) -> Video:
    """Go through a video file once; what was found is remembered as long as the file stays as it is.

    Raises:
        UserError: The file is missing, no video that can be decoded, cut off or damaged.
    """
    refuse_special(path)
    try:
        state = path.stat()
        return _surveyed(path, state.st_mtime_ns, state.st_size)
    except UserError:
        raise
    except _FAULTS as error:
        raise UserError(f"unreadable video {path}: {said(error)}") from error


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
    except UserError:
        raise
    except _FAULTS as error:
        raise UserError(f"unreadable video {video.path}: frame {index}: {said(error)}") from error


@dataclass
class _Seen:
    """What a pass over the frames finds.

    Attributes:
        first: The first frame; None in a file without any.
        stamps: Time stamps of the frames that are shown.
        hidden: Whether there are others.
    """

    first: Any = None
    stamps: list[int | None] = field(default_factory=list)
    hidden: bool = False


@lru_cache(maxsize=64)
def _surveyed(path: Path, changed: int, size: int) -> Video:
    with _opened(path) as container:
        stream = _stream(container)
        seen = _go_through(container, stream)
        if seen.first is None:
            raise ValueError("it holds no frames")
        filters = _filters(container, stream, seen.first)
        shown = next(_filtered(stream, [seen.first], filters))
        rate, base, kind = stream.average_rate, stream.time_base, container.format.name
        deep = max(part.bits for part in seen.first.format.components) > 8
    whole = len(seen.stamps) * shown.size
    simple = kind in _DECORDS and not (seen.hidden or filters or deep) and whole <= DECORDS_SHARE
    return Video(
        path=path,
        count=len(seen.stamps),
        times=_from_first(seen.stamps, base),
        rate=float(rate) if rate else None,
        size=shown.shape[:2],
        plain=simple and _decords_count(path) == len(seen.stamps),
        filters=filters,
    )


def _go_through(container: Any, stream: Any) -> _Seen:
    """Decode everything and keep nothing; decord would show a damaged frame as best it can, without a word.

    Raises:
        ValueError: A frame is damaged or of another size, or the file ends too early.
    """
    seen = _Seen()
    try:
        for packet in container.demux(stream):
            seen.hidden |= packet.is_discard
            if packet.is_corrupt:
                raise ValueError("it is cut off or damaged")
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise ValueError("it is damaged")
                seen.first = seen.first or frame
                if (frame.width, frame.height) != (seen.first.width, seen.first.height):
                    raise ValueError(f"it is {frame.width}x{frame.height}, the first {_size(seen.first)}")
                seen.stamps.append(frame.pts)
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(f"frame {len(seen.stamps)}: {said(error)}") from error
    return seen


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


def _decords_count(path: Path) -> int:
    try:
        return len(decord.VideoReader(str(path.absolute()), num_threads=1))
    except (decord.DECORDError, RuntimeError, IndexError):
        return 0


def _by_pyav(video: Video) -> Iterator[np.ndarray]:
    with _opened(video.path) as container:
        stream = _stream(container)
        yield from _filtered(stream, container.decode(stream), video.filters)


def _filtered(stream: Any, frames: Iterator[Any] | list[Any], filters: tuple[Filter, ...]) -> Iterator[np.ndarray]:
    graph = av.filter.Graph()
    steps = [graph.add(name, arguments) for name, arguments in (*filters, ("format", "rgb24"))]
    graph.link_nodes(graph.add_buffer(template=stream), *steps, graph.add("buffersink")).configure()
    for frame in frames:
        graph.push(frame)
        yield graph.pull().to_ndarray()


def _opened(path: Path) -> Any:
    return av.open(str(path.absolute()), options={"max_pixels": str(LARGEST)})


def _stream(container: Any) -> Any:
    stream = container.streams.best("video")
    if stream is None:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "nothing"
        raise ValueError(f"it holds no pictures, only {kinds}")
    codec = stream.codec_context
    if codec is None:
        raise ValueError("no decoder knows its codec; write it as H.264 (ffmpeg -i IN -c:v libx264 OUT.mp4)")
    if not codec.width * codec.height:
        raise ValueError(f"no picture of its {codec.name} can be decoded; it may be cut off")
    if codec.width * codec.height > LARGEST:
        raise ValueError(f"pictures of {_size(codec)}; at most {LARGEST} pixels are read")
    return stream


def _size(of: Any) -> str:
    return f"{of.width}x{of.height}"


def _from_first(stamps: list[int | None], base: Fraction) -> np.ndarray | None:
    """Seconds from the first frame on; None where a time stamp is missing or used twice."""
    if None in stamps:
        return None
    times = np.sort(np.asarray(stamps, np.float64)) * float(base)
    return times - times[0] if (np.diff(times) > 0).all() else None


def _filters(container: Any, stream: Any, frame: Any) -> tuple[Filter, ...]:
    """What FFmpeg does to a frame before it shows it: cut, make pixels square, turn and mirror."""
    rows, columns, filters = frame.height, frame.width, list[Filter]()
    if cut := _cut(container, stream):
        left, right, top, bottom = cut
        rows, columns = rows - top - bottom, columns - left - right
        filters.append(("crop", f"{columns}:{rows}:{left}:{top}"))
    pixels = stream.sample_aspect_ratio or Fraction(1)
    if pixels != 1:  # one side is enlarged, so that nothing is lost
        wide = pixels > 1
        filters.append(("scale", f"{round(columns * pixels)}:{rows}" if wide else f"{columns}:{round(rows / pixels)}"))
    return (*filters, *_turns(_matrix(frame)))


def _cut(container: Any, stream: Any) -> tuple[int, ...]:
    """Pixels hidden by the container: left, right, top and bottom. PyAV tells of them in FFmpeg's description alone."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        description = container.dumps_format()
    finally:
        av.logging.set_level(level)
    own = re.search(rf"Stream #\d+:{stream.index}\D.*?(?=Stream #|\Z)", description, re.DOTALL)
    found = re.search(r"^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", own[0] if own else "", re.MULTILINE)
    return tuple(map(int, found.groups())) if found else ()


def _matrix(frame: Any) -> tuple[int, ...]:
    """The display matrix [a, b, u, c, d, v, x, y, w] of a frame, in its fixed point numbers, or nothing."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return tuple(int(value) for value in np.frombuffer(bytes(data), np.int32)[:9])
    return ()


def _turns(matrix: tuple[int, ...]) -> list[Filter]:
    """The filters of FFmpeg's `autorotate`.

    Raises:
        ValueError: The pictures are turned by an angle in between.
    """
    if not matrix:
        return []
    scales = [math.hypot(matrix[0], matrix[3]) or 1.0, math.hypot(matrix[1], matrix[4]) or 1.0]
    angle = round(math.degrees(math.atan2(matrix[1] / scales[1], matrix[0] / scales[0]))) % 360
    if angle % 90:
        raise ValueError(f"it is shown turned by {angle} degrees; write it turned (ffmpeg -i)")
    if angle == 90:
        return [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    if angle == 270:
        return [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    across = [("hflip", "")] if angle == 180 and matrix[0] < 0 else []
    return [*across, ("vflip", "")] if matrix[4] < 0 else across
