"""Foreground by SAM 2, led by a detector, a box or points."""

from __future__ import annotations

import numpy as np
import torch
from transformers.utils import logging as transformers_logging

from maskvid.errors import UserError
from maskvid.footage.detector import Detection, Detector
from maskvid.footage.finders import LOST, Lead, NotFound
from maskvid.hub import check_model
from maskvid.judges.sam2 import Sam2Segmenter
from maskvid.media.strips import spaced

LOOKS = 4
"""Frames of a window that the detector is shown; SAM 2 follows from the one where it is surest, in both directions."""

WITHOUT = (
    "Where no hub can be reached give local folders (model=FOLDER detector=FOLDER); foreground=grabcut "
    "box=[left,top,right,bottom] needs no download."
)


class Tracked:
    """Follows what a detector finds by the subject's words, or what a person shows.

    What a person shows in the first frame of a shot is followed from window to window; the detector looks at each
    window anew, so that what was hidden is found again, and where it sees nothing the window before leads.

    Args:
        path: Hub id or local folder of SAM 2.
        detector: Of the detector; None where a person shows the foreground.
        subject: Words that the detector looks for.
        device: Where both run.

    Raises:
        UserError: One of them cannot be had.
    """

    def __init__(self, path: str, *, detector: str | None, subject: str, device: torch.device) -> None:
        transformers_logging.disable_progress_bar()  # it would tear the run's own
        try:
            check_model(path, f"model={path!r}")
            self.segmenter = Sam2Segmenter(path, device, key="model")
            self.detector = None if detector is None else Detector(detector, device)
        except UserError as error:
            raise UserError(f"{error} {WITHOUT}") from error
        self.subject = subject

    def __call__(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        """See `Finder`."""
        found = self._follow(frames, lead)
        if not found.any():
            raise NotFound("SAM 2 lost it at once")
        return found

    def _follow(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        seen = None if self.detector is None else self._detect(frames)
        if seen is not None:
            index, detection = seen
            return self.segmenter.follow(frames, index, box=detection.box)
        if lead.earlier is not None:
            if not lead.earlier.mask.any():
                raise NotFound(LOST if self.detector is None else f"the detector sees no {self.subject!r}")
            # the frame before stands in front, where its mask is known
            joined = np.concatenate([lead.earlier.frame[None], frames])
            return self.segmenter.follow(joined, 0, mask=lead.earlier.mask)[1:]
        if self.detector is not None:
            raise NotFound(f"the detector sees no {self.subject!r}")
        return self.segmenter.follow(frames, 0, box=lead.box, points=lead.points)

    def _detect(self, frames: np.ndarray) -> tuple[int, Detection] | None:
        """The surest of some looks: index of the frame, and what is there."""
        assert self.detector is not None
        looks = [(index, self.detector(frames[index], self.subject)) for index in spaced(len(frames), LOOKS)]
        seen = [(index, detection) for index, detection in looks if detection is not None]
        return max(seen, key=lambda one: one[1].score, default=None)
