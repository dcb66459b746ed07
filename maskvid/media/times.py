"""Time is seconds: which frame of a source is shown when, so that clips of any frame rate become windows of one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from maskvid.errors import UserError
from maskvid.media.arrays import ARRAY_SUFFIXES, frame_rate
from maskvid.media.container import open_video
from maskvid.media.pictures import IMAGE_SUFFIXES
from maskvid.media.regular import is_folder
from maskvid.media.rle import RLE_SUFFIX

_SLACK = 1e-3  # seconds: time stamps are rounded, 1/12 s to 0.083333; no two frames of a video lie so close


def frame_times(path: Path, count: int, *, fps: float | None = None) -> np.ndarray | None:
    """When each frame of a source is shown.

    A video's own time stamps are taken, so that a variable frame rate is right too. An npz may hold its frame rate as a
    number named `fps`; what this project writes does. Folders of pictures and other arrays do not say.

    Args:
        path: Video, folder of pictures, array, run lengths or picture, which can be read.
        count: Number of its frames.
        fps: Frames a second, where they are known better than by the file.

    Returns:
        float64 (count,), seconds from the first frame on, rising; None where neither the file nor `fps` says.

    Raises:
        UserError: A rate that is no positive number.
    """
    if fps is not None:
        return evenly(count, fps, f"{path}: fps")
    folder = is_folder(path)
    if folder or path.suffix.lower() in {*IMAGE_SUFFIXES, *ARRAY_SUFFIXES, RLE_SUFFIX}:
        rate = None if folder else frame_rate(path)
        return None if rate is None else evenly(count, rate, f"{path}: fps")
    video = open_video(path)
    if video.times is not None and len(video.times) == count:
        return video.times
    if video.rate is None:
        raise UserError(f"{path}: it does not say when its frames are shown; write it anew (ffmpeg -i).")
    return evenly(count, video.rate, f"{path}: fps")  # a container without usable time stamps


def evenly(count: int, fps: float, name: str = "fps") -> np.ndarray:
    """Times of `count` frames at a constant rate.

    Raises:
        UserError: The rate is no positive number; `name` says whose.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"{name}={fps:g}: give a positive number of frames a second.")
    return np.arange(count) / fps


def rate_of(times: np.ndarray) -> float:
    """Mean frames a second; infinite for a single frame, which is shown for ever."""
    return (len(times) - 1) / times[-1] if len(times) > 1 else math.inf


def shown_at(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Indices of the frames that a viewer sees at the times wanted; before the first frame the first."""
    return np.maximum(np.searchsorted(times, wanted + _SLACK, side="right") - 1, 0)


def window(times: np.ndarray, start: int, num_frames: int, fps: float) -> list[int]:
    """Indices of `num_frames` frames at `fps`, beginning with frame `start`."""
    return shown_at(times, times[start] + np.arange(num_frames) / fps).tolist()


def num_starts(times: np.ndarray, num_frames: int, fps: float) -> int:
    """How many of the first frames can begin a window of `num_frames` frames at `fps`."""
    return int(np.searchsorted(times, times[-1] + _SLACK - (num_frames - 1) / fps, side="right"))


def lasts(times: np.ndarray) -> float:
    """Seconds until the last frame has been shown as long as the others."""
    return times[-1] + 1 / rate_of(times)


def covered(times: np.ndarray, wanted: np.ndarray) -> int:
    """How many of the times wanted lie within a source, the first always."""
    return max(1, int(np.searchsorted(wanted, lasts(times) - _SLACK)))


def following(times: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """For each frame of one source the frame of another that is shown with it, as for masks of another frame rate.

    Returns:
        int (len(times),), or None where the two do not last equally long, to one frame of the slower, or where their
        rates are equal: then one of them lacks frames, and nobody knows which.
    """
    if len(times) < 2 or len(other) < 2 or abs(rate_of(times) / rate_of(other) - 1) < 0.01:
        return None
    slower = 1 / min(rate_of(times), rate_of(other))
    return None if abs(lasts(times) - lasts(other)) > slower + _SLACK else shown_at(other, times)
