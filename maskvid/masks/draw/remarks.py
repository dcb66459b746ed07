"""What will go wrong with masks, before anything is generated from them: empty, tiny, cut off, too large, too fast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

TINY = 0.005
"""Share of the picture below which a foreground is hardly seen: the shipped clips' are 3 to 12 %."""
_MARGIN = 1.25
"""So much more than tuning saw is a little more."""


@dataclass(frozen=True)
class Seen:
    """What masks are like, those of a tuning or those of a request.

    Attributes:
        smallest: Share of the picture that the smallest foreground covers.
        largest: Likewise.
        fastest: Heights of the picture a second, of the foreground's centre.
    """

    smallest: float
    largest: float
    fastest: float

    def __or__(self, other: Seen) -> Seen:
        """What both are like."""
        return Seen(
            min(self.smallest, other.smallest), max(self.largest, other.largest), max(self.fastest, other.fastest)
        )


def seen_in(masks: Iterable[np.ndarray], fps: float) -> Seen:
    """What masks are like; what touches the picture's edge is left out, as the rest of it is not seen.

    Args:
        masks: uint8 (h, w) each, 255 is foreground.
        fps: Frames a second.
    """
    areas, cut, speeds = _facts(masks, fps)
    whole = areas[(areas > 0) & ~cut]
    return Seen(float(whole.min(initial=1.0)), float(whole.max(initial=0.0)), float(speeds.max(initial=0.0)))


def remarks(masks: Iterable[np.ndarray], fps: float, tuned: Seen | None = None) -> list[str]:
    """What will go wrong, a sentence each; none where all is well.

    Args:
        masks: uint8 (h, w) each, 255 is foreground.
        fps: Frames a second.
        tuned: What the masks of the tuning were like; None leaves speed and size out.
    """
    areas, cut, speeds = _facts(masks, fps)
    found = []
    if areas[0] == 0:
        found.append("frame 0 is empty: the first frame says what the foreground looks like; begin with some of it.")
    if (empty := areas == 0).any():
        found.append(f"{_frames(empty)} empty: nothing of the foreground is in the picture.")
    if (tiny := (areas > 0) & (areas < TINY) & ~cut).any():
        found.append(f"{_frames(tiny)} tiny: less than {TINY:.1%} of the picture; make it larger (scale).")
    if cut.any():
        found.append(f"{_frames(cut)} cut off by the picture's edge: right if it enters or leaves, else move it in.")
    if tuned is not None and (large := ~cut & (areas > tuned.largest * _MARGIN)).any():
        found.append(
            f"{_frames(large)} larger than anything that tuning saw: {areas[large].max():.0%} of the picture, "
            f"{tuned.largest:.0%} there; such a foreground may tear."
        )
    if tuned is not None and (fast := speeds > tuned.fastest * _MARGIN).any():
        found.append(
            f"{_frames(fast)} faster than anything that tuning saw: {speeds.max():.2f} of the picture's height a "
            f"second, {tuned.fastest:.2f} there; take more frames for the same way."
        )
    return found


def _facts(masks: Iterable[np.ndarray], fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each frame: share of the picture, whether its edge cuts the foreground, and heights a second since the last.

    Where the foreground is cut or empty its centre says nothing of its speed, which is 0 then.
    """
    areas, cut, places = [], [], []
    for mask in masks:
        solid = mask >= 128
        rows, columns = np.nonzero(solid)
        areas.append(solid.mean())
        cut.append(bool(solid[0].any() or solid[-1].any() or solid[:, 0].any() or solid[:, -1].any()))
        whole = len(rows) > 0 and not cut[-1]
        places.append((rows.mean(), columns.mean()) if whole else (np.nan, np.nan))
        height = mask.shape[0]
    steps = np.diff(np.asarray(places), axis=0, prepend=places[:1]) / height
    return np.asarray(areas), np.asarray(cut), np.nan_to_num(np.hypot(*steps.T) * fps)


def _frames(which: np.ndarray) -> str:
    """`frames 0-3, 7 are`."""
    numbers = np.flatnonzero(which)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    text = ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"frame {text} is" if len(numbers) == 1 else f"frames {text} are"
