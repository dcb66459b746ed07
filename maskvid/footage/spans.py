"""Shots to windows of one length and frame rate, and the windows' frames out of a stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from maskvid.media.resample import resize_crop
from maskvid.media.times import lasts, rate_of, shown_at

_SLACK = 1e-3  # seconds, as `maskvid.media.times` has it

LEAST_RATE = 0.95
"""Of a clip, to the windows' rate, as the check of triples asks: 23.976 will do for 24."""


@dataclass(frozen=True)
class Span:
    """A window of a clip.

    Attributes:
        shot: Number of its shot, from 1 on.
        number: Of the window within the shot, from 1 on.
        start: Seconds at which it begins.
        frames: Indices of the clip's frames that are looked at; rising, repeated where the clip is slower.
        step: Every so-manyth of them is a frame of the window; those before it lead to it.
    """

    shot: int
    number: int
    start: float
    frames: tuple[int, ...]
    step: int = 1

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices of the clip's frames that the window has."""
        return self.frames[self.step - 1 :: self.step]


@dataclass(frozen=True)
class Plan:
    """What becomes of a clip.

    Attributes:
        spans: Its windows, in order.
        shots: Number of its shots.
        left_over: A line for each part that no window is cut from, with its reason.
        seconds: How long it lasts.
    """

    spans: tuple[Span, ...]
    shots: int
    left_over: tuple[str, ...]
    seconds: float


def plan_windows(
    times: np.ndarray, cuts: Sequence[int], num_frames: int, fps: float, *, densest: float | None = None
) -> Plan:
    """Cut each shot into windows, one behind the other.

    Args:
        times: float64 (f,), seconds at which the clip's frames are shown.
        cuts: First frames of shots, but for the first of all.
        num_frames: Frames of a window.
        fps: Its frames a second.
        densest: Frames a second that are looked at, at most, where what moves is followed from frame to frame; None
            looks at the windows' own alone.

    Returns:
        The windows, and what is left over.

    Example:
        >>> plan = plan_windows(np.arange(24) / 8, [10], num_frames=4, fps=4)
        >>> [(span.shot, span.start, span.frames) for span in plan.spans]
        [(1, 0.0, (0, 2, 4, 6)), (2, 1.25, (10, 12, 14, 16))]
        >>> plan.left_over
        ('shot 1: 0.25 s at its end, less than a window of 1 s', 'shot 2: 0.75 s at its end, less than a window of 1 s')
    """
    if len(times) < 2:
        return Plan((), 1, (f"it holds {len(times)} frame, and a window has {num_frames}",), 0.0)
    if rate_of(times) < LEAST_RATE * fps:
        slower = math.floor(rate_of(times) * 100) / 100
        reason = f"too few frames a second: {rate_of(times):.4g}; a window would repeat frames, set fps={slower:g}"
        return Plan((), len(cuts) + 1, (reason,), float(lasts(times)))
    spans: list[Span] = []
    left_over: list[str] = []
    length = num_frames / fps
    step = 1 if densest is None else max(1, int(min(rate_of(times) + _SLACK, densest) / fps))
    ends = [*(float(times[cut]) for cut in cuts), float(lasts(times))]
    for shot, (first, end) in enumerate(zip([0, *cuts], ends, strict=True), start=1):
        begin = float(times[first])
        count = int((end - begin + _SLACK) // length)
        for number in range(count):
            start = begin + number * length
            wanted = start + (np.arange(num_frames * step) + 1 - step) / (fps * step)
            frames = tuple(max(first, int(index)) for index in shown_at(times, wanted))
            spans.append(Span(shot, number + 1, start, frames, step))
        rest = end - begin - count * length
        if rest > _SLACK:
            where = "at its end" if count else "in all"
            left_over.append(f"shot {shot}: {rest:.3g} s {where}, less than a window of {length:.3g} s")
    return Plan(tuple(spans), len(ends), tuple(left_over), ends[-1])


def cut_windows(
    frames: Iterable[np.ndarray], spans: Sequence[Span], height: int, width: int
) -> Iterator[tuple[Span, np.ndarray]]:
    """Cut windows out of a clip that is read once, from its first frame on; one of them is in memory at a time.

    Args:
        frames: uint8 (h, w, 3) RGB of the whole clip; those beyond the last window are not read.
        spans: Windows in order.
        height: Rows of the result.
        width: Columns.

    Yields:
        A window and its frames, uint8 (f, height, width, 3).
    """
    waiting = list(reversed(spans))
    if not waiting:
        return
    pictures, filled = np.empty((len(waiting[-1].frames), height, width, 3), np.uint8), 0
    for index, frame in enumerate(frames):
        small = None
        while waiting and waiting[-1].frames[filled] == index:
            small = resize_crop(frame, height, width) if small is None else small
            pictures[filled] = small
            filled += 1
            if filled == len(waiting[-1].frames):
                yield waiting.pop(), pictures
                if waiting:
                    pictures, filled = np.empty((len(waiting[-1].frames), height, width, 3), np.uint8), 0
        if not waiting:
            return
