"""A user's masks for a video to be made, edited or scored."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.files import expanded
from maskvid.masks.faults import mask_faults
from maskvid.masks.objects import objects_in
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
    objects: Collection[int] | None = None,
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
        objects: See `iter_masks`.

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
    stack = pick(iter_masks(path, objects=objects), chosen, height, width)
    faults = mask_faults(stack, max_foreground=max_foreground)
    if faults:
        which = "" if objects is None else f" (object {', '.join(map(str, objects))})"
        raise UserError(f"masks={path}{which}: " + "; ".join(faults))
    return to_float(stack)


def read_subjects(
    masks: str | Path | Sequence[str | Path], count: int, at: np.ndarray, height: int, width: int, **options: Any
) -> torch.Tensor:
    """Read a mask for each subject of a prompt.

    Args:
        masks: One source that holds as many objects, in the order of the subjects; or a source for each subject.
        count: Subjects; of one all objects are the foreground.
        at: See `read_masks`.
        height: Rows in pixels.
        width: Columns in pixels.
        options: See `read_masks`.

    Returns:
        float32 (f, count, height, width) in [0, 1]; (f, 1, height, width) of one subject.

    Raises:
        UserError: There are more or fewer objects than subjects, or see `read_masks`.
    """
    sources: list[tuple[str | Path, list[int] | None]]
    if isinstance(masks, (str, Path)):
        numbers = objects_in(expanded(masks)) if count > 1 else []
        sources = [(masks, [number]) for number in numbers] or [(masks, None)]
    else:
        sources = [(path, None) for path in masks]
    if count > 1 and len(sources) != count:
        raise UserError(
            f"masks={masks}: the prompt marks {count} subjects, and the masks are of {len(sources)}; give a mask for "
            "each, in the prompt's order: objects of an npz (f, k, h, w), of indexed pictures or of a drawing, or "
            "a list of files, masks=[A,B]; or mark one subject."
        )
    read = [read_masks(path, at, height, width, objects=objects, **options) for path, objects in sources]
    return torch.cat(read, 1) if count > 1 else torch.stack(read).amax(0)


def to_float(masks: np.ndarray) -> torch.Tensor:
    """Turn uint8 (f, h, w), 255 is foreground, into float32 (f, 1, h, w) in [0, 1]."""
    return torch.from_numpy(masks).float().div_(255).unsqueeze(1)
