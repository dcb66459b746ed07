"""A user's masks for a video to be made, edited or scored."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.files import expanded
from maskvid.masks.faults import mask_faults
from maskvid.masks.read import count_masks, iter_masks, mask_times
from maskvid.media.pictures import IMAGE_SUFFIXES
from maskvid.media.resample import pick
from maskvid.media.times import covered, rate_of, shown_at
from maskvid.settings import MAX_FOREGROUND


def read_masks(
    path: str | Path,
    at: np.ndarray,
    height: int,
    width: int,
    *,
    clock: np.ndarray | None = None,
    mask_fps: float | None = None,
    max_foreground: float = MAX_FOREGROUND,
) -> torch.Tensor:
    """Read the masks of a video, from whatever `iter_masks` reads.

    A single picture is held for all frames. Of masks that say their frame rate (videos, drawings, and npz files with a
    number named `fps`) the one is taken that is shown at each frame's time; of others each stands for one frame. Masks
    beyond the last frame are left out with a warning. The aspect ratio is kept by a centre crop.

    Args:
        path: Source of the masks, white is foreground.
        at: float64 (f,), seconds at which the frames are shown.
        height: Rows in pixels.
        width: Columns in pixels.
        clock: Times of all frames of the clip that the masks were made for, where there is one: as many masks as
            frames belong to its frames, and masks that do not say their rate must be as many.
        mask_fps: Frames a second of the masks, where they do not say or another speed is wanted.
        max_foreground: See `mask_faults`.

    Returns:
        float32 (f, 1, height, width) in [0, 1], 1 is foreground.

    Raises:
        UserError: Missing, unreadable, too short, empty or inverted masks.
    """
    path = expanded(path)
    count = count_masks(path)
    if count == 1 and path.suffix.lower() in IMAGE_SUFFIXES:
        chosen = np.zeros(len(at), int)
    else:
        times = mask_times(path, count, fps=mask_fps)
        if times is None and clock is not None and count != len(clock):
            raise UserError(
                f"masks={path} has {count} frames for the clip's {len(clock)} and does not say its frame rate; "
                "give mask_fps."
            )
        if times is None or (mask_fps is None and clock is not None and count == len(clock)):
            times = (at if clock is None else clock)[:count]
        if covered(times, at) < len(at):
            rate = f" at {rate_of(times):.4g} a second" if len(times) > 1 else ""
            raise UserError(
                f"masks={path} has {count} frames{rate}, enough for {covered(times, at)} of the {len(at)} asked "
                "for. Give longer masks, ask for fewer frames (num_frames), or slow them down (mask_fps)."
            )
        chosen = shown_at(times, at)
        if len(np.unique(chosen)) < len(chosen):
            warnings.warn(
                f"masks={path} has {rate_of(times):.4g} frames a second, the video {rate_of(at):.4g}: some masks are "
                "held for several frames",
                stacklevel=2,
            )
        if covered(at, times) < len(times) or len(times) < count:
            warnings.warn(f"masks={path} has {count} frames; those beyond the video's are not used", stacklevel=2)
    stack = pick(iter_masks(path), chosen, height, width)
    faults = mask_faults(stack, max_foreground=max_foreground)
    if faults:
        raise UserError(f"masks={path}: " + "; ".join(faults))
    return to_float(stack)


def to_float(masks: np.ndarray) -> torch.Tensor:
    """Turn uint8 (f, h, w), 255 is foreground, into float32 (f, 1, h, w) in [0, 1]."""
    return torch.from_numpy(masks).float().div_(255).unsqueeze(1)
