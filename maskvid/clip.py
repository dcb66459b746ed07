"""The one batch type. Every shape, range and polarity of the project is stated here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch

UNKNOWN = 0.5
"""Value of a mask where nobody knows: between background and foreground."""
SOFTEST = 0.8
"""How far the roughest masks are drawn in towards it."""


def softened(masks: torch.Tensor, roughness: torch.Tensor) -> torch.Tensor:
    """Masks that say how far they are to be believed: drawn in towards `UNKNOWN` by how rough they are.

    Args:
        masks: (b, ...) in [0, 1].
        roughness: (b,) in [0, 1].
    """
    return UNKNOWN + (masks - UNKNOWN) * (1 - SOFTEST * roughness.view(-1, *[1] * (masks.ndim - 1)))


def layered(masks: torch.Tensor) -> torch.Tensor:
    """What is seen of each of several subjects where their masks overlap: later ones stand in front.

    Args:
        masks: (f, k, h, w) in [0, 1].
    """
    seen = masks.clone()
    for index in range(masks.shape[1] - 1):
        seen[:, index] *= 1 - masks[:, index + 1 :].amax(1)
    return seen


@dataclass
class ClipBatch:
    """A batch of video clips with the masks that steer them.

    Axis order is `b f c h w` everywhere, so that folding the frames into the batch is a view. Frame 1 of the papers
    is index 0 here; it is given clean to the model and never scored.

    Attributes:
        ids: b names, unique within a data set; noise for validation is drawn per name.
        masks: float (b, f, 1, H, W) in [0, 1] at full resolution; **white (1) is foreground**.
        text: float (b, n, d), embedded prompts: the text encoder's hidden states.
        subject: float (b, n) in {0, 1}, one at the tokens of the prompt that name the foreground; each row has some: a
            prompt without a subject, the empty one too, stands as a whole for it.
        latents: float (b, f, c, h, w), frames encoded by the backbone's VAE and multiplied by its scaling factor, or
            None where only a first frame is known.
        frames: float (b, f, 3, H, W) in [-1, 1], or None where training needs only latents.
        prompts: b captions as text.
        pooled: float (b, p), pooled text embedding for backbones that ask for one (SDXL), else None.
        positions: b global positions of training windows, of which all that is drawn in training is a function; None
            elsewhere.
        roughness: float (b,) in [0, 1], how imprecise the masks are, which the encoders for rough masks then read; None
            for exact ones.
        objects: float (b, f, k, H, W) in [0, 1], a mask for each of k subjects, of which `masks` is the union; None
            where there is one subject.
        subjects: float (b, k, n) in {0, 1} with them, each subject's own tokens, of which `subject` is the union.
    """

    ids: list[str]
    masks: torch.Tensor
    text: torch.Tensor
    subject: torch.Tensor
    latents: torch.Tensor | None
    frames: torch.Tensor | None
    prompts: list[str]
    pooled: torch.Tensor | None = None
    positions: list[int] | None = None
    roughness: torch.Tensor | None = None
    objects: torch.Tensor | None = None
    subjects: torch.Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> ClipBatch:
        """Move every tensor; Lightning calls this to transfer a batch to its device."""
        moved: dict[str, Any] = {
            field.name: value.to(*args, **kwargs) if isinstance(value, torch.Tensor) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
        }
        return ClipBatch(**moved)

    def __len__(self) -> int:
        """Number of clips, b."""
        return len(self.ids)

    @property
    def outlines(self) -> torch.Tensor:
        """(b, f, k, H, W), a mask for each subject."""
        return self.masks if self.objects is None else self.objects

    def at(self, frames: slice | list[int]) -> ClipBatch:
        """The masks of some frames; nobody asks for the latents of part of a clip."""
        objects = None if self.objects is None else self.objects[:, frames]
        return replace(self, masks=self.masks[:, frames], objects=objects)

    def unknown(self) -> ClipBatch:
        """The same clips with masks that say nothing."""
        return replace(self, masks=torch.full_like(self.masks, UNKNOWN), objects=None, subjects=None)


@dataclass
class Sample:
    """One video that was made; `MaskVidModule.validation_step` returns a list of them.

    Attributes:
        set_name: Validation set the clip belongs to; metrics are averaged within it.
        clip_id: Name of the clip, unique within its set.
        prompt: Caption the video was made from.
        frames: float (f, 3, h, w) in [-1, 1], on the CPU; frame 0 was given to the model.
        masks: float (f, 1, h, w) in [0, 1], requested foreground, white (1) is foreground.
        reference: float (f, 3, h, w) in [-1, 1], the real clip the masks were taken from, or None.
        fps: Frames per second to play it at.
        seed: Seed it was sampled with.
    """

    set_name: str
    clip_id: str
    prompt: str
    frames: torch.Tensor
    masks: torch.Tensor
    reference: torch.Tensor | None = None
    fps: float = 8.0
    seed: int = 0
