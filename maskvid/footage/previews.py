"""What is written of a window: the video and its masks, and pictures of both for the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from maskvid.files import atomic_write
from maskvid.media.decode import frames_to_float
from maskvid.media.strips import overlay, spaced, strip
from maskvid.media.writing import write_mask_array, write_video

COLUMNS, STRIP_ROWS = 8, 120
"""Frames of a strip, and their rows."""

OVERLAY_ROWS = 240


def write_triple(out: Path, name: str, frames: np.ndarray, masks: np.ndarray, fps: float) -> None:
    """Write `videos/NAME.mp4` and `masks/NAME.npz`.

    Args:
        out: Folder of the triples.
        name: Of the window.
        frames: uint8 (f, h, w, 3).
        masks: bool (f, h, w).
        fps: Frames a second.
    """
    write_video(out / "videos" / f"{name}.mp4", (frames_to_float(frame[None]) for frame in frames), fps, scale=1)
    write_mask_array(out / "masks" / f"{name}.npz", masks.astype(np.uint8) * 255, fps)


def write_previews(out: Path, name: str, frames: np.ndarray, masks: np.ndarray | None, fps: float) -> None:
    """Write `strips/NAME.jpg` and, where there are masks, `overlays/NAME.mp4`, with the masks outlined."""
    shown = spaced(len(frames), COLUMNS)
    pieces = list(_drawn(frames[shown], None if masks is None else masks[shown], STRIP_ROWS))
    drawn = strip(torch.cat(pieces), columns=None, scale=1)
    with atomic_write(out / "strips" / f"{name}.jpg") as temporary:
        Image.fromarray(drawn).save(temporary, quality=85)
    if masks is not None:
        write_video(out / "overlays" / f"{name}.mp4", _drawn(frames, masks, OVERLAY_ROWS), fps, scale=1, crf=24)


def _drawn(frames: np.ndarray, masks: np.ndarray | None, rows: int) -> Iterator[torch.Tensor]:
    """Frames of about so many rows, one at a time, float (1, 3, h, w), the mask outlined where there is one."""
    height, width = frames.shape[1:3]
    size = max(2, round(width * rows / height)), rows
    for index, frame in enumerate(frames):
        kind = cv2.INTER_AREA if height > rows else cv2.INTER_CUBIC
        small = frames_to_float(cv2.resize(frame, size, interpolation=kind)[None])
        if masks is not None:
            mask = cv2.resize(masks[index].astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
            small = overlay(small, torch.from_numpy(mask)[None, None], scale=1)
        yield small
