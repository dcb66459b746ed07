"""Where a film is cut, by the detectors of PySceneDetect, which are fed with frames of our own reader.

Their own readers know less: edit lists, display matrices, folders of pictures. Cuts are found, and fades through black;
dissolves are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode, ThresholdDetector

LARGEST = 256
"""Columns that a frame is looked at with."""

AROUND = 2
"""Frames on each side that a frame is compared with."""


def find_cuts(frames: Iterable[np.ndarray], threshold: float) -> list[int]:
    """Indices of the first frames of shots, but for the first of all.

    Args:
        frames: uint8 (h, w, 3) RGB, one at a time; none is kept.
        threshold: How many times a frame must differ more from the one before than those around it do.

    Returns:
        Rising. A cut may lie at any frame: short shots are no fault here, because no window is cut from them.
    """
    # every cut counts, however soon after another: a window must not hold one
    sudden = AdaptiveDetector(adaptive_threshold=threshold, min_scene_len=1, window_width=AROUND)
    faded = ThresholdDetector(min_scene_len=1)
    cuts, count = set[int](), 0
    for index, small in enumerate(_held(map(_small, frames))):
        time = FrameTimecode(index, fps=25.0)  # frames are counted here; what rate they have plays no part
        for detector in (sudden, faded):
            cuts.update(int(cut.frame_num) - AROUND for cut in detector.process_frame(time, small))
        count = index + 1 - 2 * AROUND
    return sorted(cut for cut in cuts if 0 < cut < count)


def _held(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The first and the last frame held a little: else the detector judges no frame so near to an end."""
    last = None
    for frame in frames:
        yield from itertools.repeat(frame, 1 if last is not None else 1 + AROUND)
        last = frame
    if last is not None:
        yield from itertools.repeat(last, AROUND)


def _small(frame: np.ndarray) -> np.ndarray:
    rows, columns = frame.shape[:2]
    scale = min(1.0, LARGEST / columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
