"""What finds the foreground of a window: one protocol, one implementation a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from maskvid.preparation import Preparation

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the window."""


class NotFound(Exception):
    """There is no foreground in a window; the message says why, in words for the page."""


@dataclass(frozen=True)
class Earlier:
    """What is known from the window before, of the same shot.

    Attributes:
        frame: uint8 (h, w, 3), its last.
        mask: bool (h, w), the foreground there; empty where it was lost.
    """

    frame: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Lead:
    """What a person showed, and what is known already.

    Attributes:
        box: Around the foreground in the first frame of the shot, or None.
        points: x, y and whether the point is on the foreground (1) or the background (0), in that frame.
        earlier: None in the first window of a shot.
        step: Every so-manyth frame is asked for, the last of each step; those before it show how it came there.
    """

    box: Box | None = None
    points: tuple[tuple[float, float, int], ...] = ()
    earlier: Earlier | None = None
    step: int = 1


class Finder(Protocol):
    """Finds the foreground of one window."""

    def __call__(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        """Find the foreground.

        Args:
            frames: uint8 (f * step, h, w, 3) RGB; step is 1 but for those of `DENSEST`.
            lead: What is known of it.

        Returns:
            bool (f, h, w), True is foreground; frames without any are all False.

        Raises:
            NotFound: There is none in the window.
        """


ABOUT = {
    "sam2": (
        "SAM 2 follows one thing: the one that the detector is surest of, or that was shown. Of several alike it takes "
        "one."
    ),
    "rembg": (
        "rembg marks what is salient, each frame by itself: it does not know the subject, and where something else "
        "draws the eye, that is marked."
    ),
    "grabcut": (
        "GrabCut starts from the box in the first frame of each shot and follows by optical flow. It knows colours and "
        "motion, not things: where the background has the foreground's colour it leaks, and what was hidden is lost."
    ),
    "embedded": (
        "The embedded segmenter was trained on animals that this project rendered, and knows nothing else: of films, "
        "photographs and drawings it marks anything or nothing. For those take foreground=sam2, or "
        "foreground=grabcut with a box, which needs no download."
    ),
}
"""What each can do and what it cannot, for the page and the console."""

DENSEST = {"grabcut": 25.0}
"""Frames a second that those look at which follow by optical flow: at four a second nothing is where it was."""

LOST = "the foreground was lost in the window before; show it there by a box, in a folder of its own"


def make_finder(wanted: Preparation, device: torch.device) -> Finder:
    """The finder that is asked for; whatever is heavy is imported for it alone.

    Raises:
        UserError: A model or an extra is missing; the message says how to have it, and what does without.
    """
    if wanted.foreground == "grabcut":
        from maskvid.footage.grabcut import GrabCut

        return GrabCut()
    if wanted.foreground == "embedded":
        from maskvid.footage.embedded import Embedded

        return Embedded(device)
    if wanted.foreground == "rembg":
        from maskvid.footage.salient import Salient

        return Salient(wanted.model or "u2net")
    from maskvid.footage.tracked import Tracked

    shown = wanted.box is not None or wanted.points is not None
    return Tracked(
        wanted.model or "facebook/sam2.1-hiera-small",
        detector=None if shown else wanted.detector,
        subject=wanted.subject or "",
        device=device,
    )
