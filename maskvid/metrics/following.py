"""How far one video follows what was asked for, frame by frame, while it is being made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from maskvid.metrics.mask import boundary_f, mask_iou
from maskvid.metrics.subjects import looks_like_itself, object_ious, subject_crops
from maskvid.metrics.suite import CHUNK, Encoders


@dataclass(frozen=True)
class Followed:
    """How far a video of f frames followed.

    Attributes:
        mask_iou: Of each frame (f,), see `maskvid.metrics.mask.mask_iou`.
        boundary_f: Likewise, see `maskvid.metrics.mask.boundary_f`.
        text_alignment: Of the video, see `maskvid.metrics.text`; None where there was no prompt.
        given_frames: Leading frames that were given, which no mean counts.
        detected: Foreground probability (1, h, w) of the frames that were to be kept, by number.
        subjects: Of each of several: its words, its `mask_iou`, and how often it looks like them rather than another's,
            means over the frames that were not given; see `maskvid.metrics.subjects`.
    """

    mask_iou: list[float]
    boundary_f: list[float]
    text_alignment: float | None
    given_frames: int
    detected: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)
    subjects: list[dict[str, Any]] = field(default_factory=list)

    def mean(self, name: str) -> float:
        """Mean of `mask_iou` or `boundary_f` over the frames that were not given; of all, where all were."""
        values: list[float] = getattr(self, name)
        scored = values[self.given_frames :] or values
        return sum(scored) / len(scored)

    @property
    def score(self) -> float:
        """Mask IoU times text alignment, by which the best of several videos is chosen.

        A product puts videos in the same order whatever the unit of text alignment, which differs from CLIP to CLIP;
        a sum would let one of the two decide alone. Where there is no prompt it is mask IoU.
        """
        return self.mean("mask_iou") * (1.0 if self.text_alignment is None else max(self.text_alignment, 0.0))

    def as_dict(self) -> dict[str, Any]:
        """The figures, for a file."""
        alignment = {} if self.text_alignment is None else {"text_alignment": self.text_alignment}
        means = {name: self.mean(name) for name in ("mask_iou", "boundary_f")}
        frames = {"mask_iou": self.mask_iou, "boundary_f": self.boundary_f, "given": self.given_frames}
        subjects = {"subjects": self.subjects} if self.subjects else {}
        return {**means, **alignment, "score": self.score, **subjects, "frames": frames}


class Following:
    """Scores a video piece by piece, so that a long one costs no more memory than a short one.

    A tracker (SAM 2) looks at a whole video, whose frames are then kept, a byte a value.

    Examples:
        >>> import torch
        >>> from maskvid.judges.panel import MetricEncoders
        >>> frames, masks = torch.zeros(3, 3, 32, 48), torch.zeros(3, 1, 32, 48)
        >>> following = Following(MetricEncoders(), "[a fox] runs", given_frames=1)
        >>> following.add(frames, masks)
        >>> len(following.done().mask_iou)
        3
    """

    def __init__(
        self,
        encoders: Encoders,
        prompt: str | None,
        *,
        given_frames: int,
        kept: frozenset[int] = frozenset(),
        shaped: Callable[[torch.Tensor], torch.Tensor] | None = None,
        subjects: Sequence[str] = (),
    ) -> None:
        """Begin with a video's first frame.

        Args:
            encoders: Segmenter and CLIP.
            prompt: What the video is to show, without brackets; None measures no text alignment.
            given_frames: Leading frames that are given to the model.
            kept: Numbers of frames whose detected foreground is wanted.
            shaped: Makes of detected foregrounds (1, 1, h, w) what is held against the masks, such as their boxes where
                boxes were asked for; None takes them as they are.
            subjects: The words of each of several subjects that have masks of their own.
        """
        self._encoders, self._kept, self._given, self._shaped = encoders, kept, given_frames, shaped
        self._text = None if prompt is None else encoders.clip.texts([prompt])[0].float()
        self._iou: list[float] = []
        self._boundary: list[float] = []
        self._cosines: list[float] = []
        self._detected: dict[int, torch.Tensor] = {}
        self._whole: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._subjects = subjects
        self._words = encoders.clip.texts(list(subjects)).float() if subjects else None
        self._own: list[torch.Tensor] = []  # mask IoU of each subject, (k,) a frame
        self._likeness: list[list[float]] = [[] for _ in subjects]
        self._looked = 0

    @torch.no_grad()
    def add(self, frames: torch.Tensor, masks: torch.Tensor) -> None:
        """Score the next frames.

        Args:
            frames: float (n, 3, h, w) in [-1, 1].
            masks: float (n, k, h, w) in [0, 1], as they were asked for, one for each subject.
        """
        frames = frames.to(self._encoders.device).float()
        if self._text is not None:
            for chunk in frames.split(CHUNK):
                looks = self._encoders.clip.images(chunk).float()
                self._cosines += F.cosine_similarity(looks, self._text.reshape(1, -1), dim=-1).tolist()
        if self._words is not None:
            self._look_at_subjects(frames, masks)
        if getattr(self._encoders.segmenter, "tracks", False):
            pixels = frames.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
            self._whole.append((pixels.cpu(), masks.cpu()))
        else:
            self._score(self._encoders.segmenter(frames, masks.amax(1, keepdim=True)), masks)

    def done(self) -> Followed:
        """How far the video followed."""
        if self._whole:
            pixels, masks = (torch.cat(parts) for parts in zip(*self._whole, strict=True))
            union = masks.amax(1, keepdim=True)
            self._score(self._encoders.segmenter(pixels.float().div(127.5).sub(1), union), masks)
            self._whole = []
        alignment = 100 * sum(self._cosines) / len(self._cosines) if self._cosines else None
        subjects = [
            {
                "words": words,
                "mask_iou": float(own.mean()),
                "looks_like_itself": sum(seen) / len(seen) if seen else None,
            }
            for words, own, seen in zip(self._subjects, self._of_subjects(), self._likeness, strict=True)
        ]
        return Followed(self._iou, self._boundary, alignment, self._given, self._detected, subjects)

    def _score(self, detected: torch.Tensor, masks: torch.Tensor) -> None:
        detected, masks = detected.float().cpu(), masks.float().cpu()
        if self._subjects:
            self._own.extend(object_ious(detected, masks))
        masks = masks.amax(1, keepdim=True)
        for index in range(len(detected)):
            found = detected[index : index + 1]
            pair = found if self._shaped is None else self._shaped(found), masks[index : index + 1]
            number = len(self._iou)
            self._iou.append(float(mask_iou(*pair, given_frames=0)))
            self._boundary.append(float(boundary_f(*pair, given_frames=0)))
            if number in self._kept:
                self._detected[number] = detected[index]

    def _look_at_subjects(self, frames: torch.Tensor, masks: torch.Tensor) -> None:
        given = max(self._given - self._looked, 0)
        self._looked += len(frames)
        crops, whose = subject_crops(frames[given:], masks[given:].to(frames))
        for part, owners in zip(crops.split(CHUNK), whose.split(CHUNK), strict=True):
            if len(part):
                assert self._words is not None
                right = looks_like_itself(self._encoders.clip.images(part), owners, self._words)
                for owner, hit in zip(owners.tolist(), right.tolist(), strict=True):
                    self._likeness[owner].append(hit)

    def _of_subjects(self) -> torch.Tensor:
        """Mask IoU (k, n) over the frames that were not given; of all, where all were."""
        return torch.stack(self._own[self._given :] or self._own, 1) if self._own else torch.zeros(0, 0)
