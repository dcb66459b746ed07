"""Zooms: windows in which the foreground is large, cut from clips in which it is small (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskvid.data.checked import CheckedClip
from maskvid.masks.read import iter_masks
from maskvid.media.decode import frames_at
from maskvid.media.resample import pick
from maskvid.media.times import num_starts, window
from maskvid.settings import Requirements

ZOOMS = 6
"""Of each clip, encoded once like the clip itself."""
LEAST, MOST = 1.25, 2.25
"""How many times larger: a foreground of 7 % of the picture comes to 11 to 35 %, cut off at the border beyond that."""


@dataclass(frozen=True)
class Zoom:
    """A window of a clip, shown larger.

    Attributes:
        frames: Indices of its frames in the clip.
        rows: Of the whole picture, enlarged.
        columns: Likewise.
        top: First row of what is shown.
        left: First column.
    """

    frames: tuple[int, ...]
    rows: int
    columns: int
    top: int
    left: int

    def cut(self, pictures: np.ndarray, height: int, width: int) -> np.ndarray:
        """What is shown (f, height, width, ...) of pictures (f, rows, columns, ...)."""
        return pictures[:, self.top : self.top + height, self.left : self.left + width]


def zooms_of(clip: CheckedClip, wanted: Requirements) -> list[Zoom]:
    """`ZOOMS` of a clip: each shows as much of the foreground of one window as there is room for.

    Where it lies in the picture is drawn, within what shows most of it. What is drawn is a function of the clip's name,
    so that all runs share what is encoded.
    """
    generator = np.random.default_rng(list(clip.triple.id.encode()))
    starts = num_starts(clip.times, wanted.num_frames, wanted.fps)
    found = []
    for _ in range(ZOOMS):
        frames = window(clip.times, int(generator.integers(starts)), wanted.num_frames, wanted.fps)
        scale = generator.uniform(LEAST, MOST)
        rows, columns = round(wanted.height * scale), round(wanted.width * scale)
        solid = clip.masks[frames] > 127
        corner = [
            _corner(np.asarray(solid.any((0, 2 - axis))), enlarged, shown, generator)
            for axis, enlarged, shown in ((0, rows, wanted.height), (1, columns, wanted.width))
        ]
        found.append(Zoom(tuple(frames), rows, columns, *corner))
    return found


def _corner(present: np.ndarray, enlarged: int, shown: int, generator: np.random.Generator) -> int:
    """Where along one axis to begin, so that what is present is shown, or as much of it as there is room for."""
    places = np.flatnonzero(present) if present.any() else np.arange(len(present))
    scale = enlarged / len(present)
    first, last = places[0] * scale, (places[-1] + 1) * scale
    low, high = sorted((first, last - shown))
    return int(np.clip(round(generator.uniform(low, high)), 0, enlarged - shown))


def zoomed_frames(clip: CheckedClip, zoom: Zoom, height: int, width: int) -> np.ndarray:
    """Its frames, uint8 (f, height, width, 3), from the clip's own pixels."""
    frames = frames_at(clip.triple.video, np.asarray(zoom.frames), zoom.rows, zoom.columns)
    return zoom.cut(frames, height, width)


def zoomed_masks(clip: CheckedClip, zoom: Zoom, height: int, width: int) -> np.ndarray:
    """Its masks, uint8 (f, height, width), from the masks' own pixels."""
    assert clip.triple.mask is not None, "a clip that has passed the check has masks"
    numbers = np.asarray(zoom.frames) if clip.order is None else clip.order[list(zoom.frames)]
    masks = pick(iter_masks(clip.triple.mask, objects=clip.triple.objects), numbers, zoom.rows, zoom.columns)
    return zoom.cut(masks, height, width)
