"""Clips decoded to the size of the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.files import expanded
from maskvid.media.frames import frame_count, iter_frames
from maskvid.media.resample import pick, resize_crop
from maskvid.media.times import covered, frame_times, rate_of, shown_at

DECODE_VERSION = 3
"""Raise it when decoding changes the numbers it returns: cached latents are then encoded anew."""


def decode_frames(video: Path, height: int, width: int, *, limit: int | None = None) -> np.ndarray:
    """Decode a video file or frame folder, aspect ratio kept by a centre crop.

    Args:
        video: Video file or frame folder.
        height: Rows in pixels.
        width: Columns in pixels.
        limit: Number of frames to stop after, or None for all.

    Returns:
        uint8 (f, height, width, 3), RGB.

    Raises:
        UserError: Missing or unreadable video.
    """
    count = frame_count(video) if limit is None else min(limit, frame_count(video))
    return frames_at(video, np.arange(count), height, width)


def stream_frames(video: Path, height: int, width: int) -> Iterator[np.ndarray]:
    """The frames of `decode_frames` one at a time: clips may be long."""
    return (resize_crop(frame, height, width) for frame in iter_frames(video))


def read_clip(
    path: str | Path, at: np.ndarray, height: int, width: int, *, source_fps: float | None = None
) -> tuple[torch.Tensor, np.ndarray]:
    """What a clip shows at given times, whatever its own frame rate.

    Args:
        path: Video file or frame folder.
        at: float64 (f,), seconds.
        height: Rows in pixels.
        width: Columns in pixels.
        source_fps: Frames a second of the clip, where the file does not say or says wrong.

    Returns:
        float32 (f, 3, height, width) in [-1, 1], and the times float64 (n,) of all frames of the clip.

    Raises:
        UserError: Missing or unreadable, too short, or of unknown rate and another number of frames.
    """
    path = expanded(path)
    count = frame_count(path)
    times = frame_times(path, count, fps=source_fps)
    if times is None:
        if count != len(at):
            raise UserError(
                f"source={path} has {count} frames for the video's {len(at)} and does not say its frame rate; "
                "give source_fps."
            )
        times = at
    if covered(times, at) < len(at):
        raise UserError(
            f"source={path} has {count} frames at {rate_of(times):.4g} a second, enough for {covered(times, at)} "
            f"of the {len(at)} asked for; give a longer one, or ask for fewer (num_frames)."
        )
    return frames_to_float(frames_at(path, shown_at(times, at), height, width)), times


def frames_at(path: Path, indices: np.ndarray, height: int, width: int) -> np.ndarray:
    """The frames of a clip by rising indices, see `pick`.

    Returns:
        uint8 (len(indices), height, width, 3), RGB.
    """
    return pick(iter_frames(path), indices, height, width)


def frames_to_float(frames: np.ndarray) -> torch.Tensor:
    """Turn uint8 (f, h, w, 3) into float32 (f, 3, h, w) in [-1, 1]."""
    count, height, width, channels = frames.shape
    values = torch.empty(count, channels, height, width).copy_(torch.from_numpy(frames).permute(0, 3, 1, 2))
    return values.div_(127.5).sub_(1)
