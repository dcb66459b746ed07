"""What a request asks of a pipeline: its settings for one video, and what it is given brought to the model's form."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch

from maskvid.clip import ClipBatch
from maskvid.diffusion.scheduler import SAMPLERS
from maskvid.errors import UserError
from maskvid.inputs import picture_given
from maskvid.masks.fitting import fitted
from maskvid.masks.given import masks_given
from maskvid.masks.precision import precision_of
from maskvid.masks.video import read_subjects
from maskvid.media.times import evenly
from maskvid.model import Embedded
from maskvid.prompt import marked_in
from maskvid.sampled import Sampled
from maskvid.settings import ROUGHNESS


class Asked(Sampled):
    """What `MaskVidPipeline` makes of the arguments of a call."""

    def asked(self, *, seed: int | None = None, negative: Embedded | None = None, **sampling: Any) -> Self:
        """The same pipeline with other settings for one request, over the same weights.

        Args:
            seed: None keeps this one's.
            negative: None keeps this one's.
            sampling: Fields of `Sampling`; None keeps this one's.

        Raises:
            UserError: A value is out of range or has no effect, or the scheduler is none whose noise a seed decides.
        """
        if type(self.scheduler).__name__ not in SAMPLERS:
            raise UserError(f"scheduler={type(self.scheduler).__name__}: choose one of {', '.join(SAMPLERS)}.")
        for name, nothing in (("mask_scale", 1), ("mask_precision", "exact")):
            if sampling.get(name) not in (None, nothing) and not self.inflated.sees_masks:
                raise UserError(f"{name}={sampling[name]}: the run's method sees no masks; leave it out.")
        other = copy.copy(self)
        other.sampling = replace(self.sampling, **{name: one for name, one in sampling.items() if one is not None})
        other.seed = self.seed if seed is None else seed
        other.negative = self.negative if negative is None else negative
        precision = other.sampling.mask_precision
        if ROUGHNESS[precision] is not None and not self.inflated.knows_rough_masks:
            raise UserError(
                f"mask_precision={precision}: the run knows exact masks only; tune with method.rough_masks=0.5, or "
                "leave it out."
            )
        return other

    def looking_at(self, masks: torch.Tensor) -> Self:
        """The same pipeline, believing masks as far as they look precise; says so where that is not to the pixel.

        Args:
            masks: (f, k, H, W) in [0, 1]; of several subjects those of the least precise count.
        """
        looks = self._looks_of(masks) if self.inflated.sees_masks else "exact"
        if looks == "exact":
            return self
        like = {"box": "like boxes", "rough": "rough, without limbs", "soft": "soft"}[looks]
        if self.inflated.knows_rough_masks:
            warnings.warn(
                f"the masks look {like}: mask_precision={looks} is taken; give exact to follow them to the pixel.",
                stacklevel=2,
            )
            return self.asked(mask_precision=looks)
        warnings.warn(
            f"the masks look {like}, and this run follows masks to the pixel: the foreground will be forced into them. "
            "Give exact ones (python -m maskvid.draw), or tune with method.rough_masks=0.5.",
            stacklevel=2,
        )
        return self

    def fitted(self, batch: ClipBatch, pictures: torch.Tensor) -> ClipBatch:
        """The batch with its rough masks fitted to given first frames, see `maskvid.masks.fitting.fitted`.

        Boxes stay, for they are read as boxes; exact masks stay, and so do those of several subjects, for a segmenter
        does not say whose foreground it finds.

        Args:
            batch: Clips asked for.
            pictures: (b, 3, H, W) in [-1, 1], their first frames.
        """
        if self.find is None or batch.objects is not None or self.sampling.mask_precision not in ("drawn", "rough"):
            return batch
        found = self.find(pictures, batch.masks[:, 0])
        masks = torch.stack([fitted(own, shown[0]) for own, shown in zip(batch.masks, found, strict=True)])
        if not torch.equal(masks, batch.masks):
            warnings.warn(
                "the masks are rough and do not lie where the first frame shows the foreground: they were moved and "
                "resized to fit it; mask_precision=exact takes them as they are.",
                stacklevel=2,
            )
        return replace(batch, masks=masks)

    def _looks_of(self, masks: torch.Tensor) -> str:
        """How precise the masks of the least precise subject look."""
        return max((precision_of(own) for own in masks.split(1, 1)), key=list(ROUGHNESS).index)

    def _size(self, masks: Any, height: int | None, width: int | None, num_frames: int | None) -> tuple[int, int, int]:
        """Rows, columns and frames asked for, where nothing else is said the run's."""
        clips = self.run.clips
        several = masks is not None and not _paths(masks) and len(masks) > 1
        frames = num_frames or (len(masks) if several else clips.num_frames)
        return height or clips.height, width or clips.width, frames

    def _believing(
        self, masks: Any, prompts: Sequence[str | None], height: int, width: int, num_frames: int, precision: str | None
    ) -> tuple[Self, torch.Tensor]:
        """Masks of any kind, (num_frames, k, height, width) in [0, 1] of the subjects that the prompts mark.

        With them comes the pipeline that believes them as far as they look precise, where no precision was asked for.
        """
        subjects, most = max(map(marked_in, prompts)), self.run.clips.max_foreground
        if _paths(masks):
            at = evenly(num_frames, self.run.clips.fps)
            given = read_subjects(masks, subjects, at, height, width, max_foreground=most)
        else:
            given = masks_given(masks, num_frames, height, width, max_foreground=most, subjects=subjects)
        return self.looking_at(given) if precision is None else self, given

    def _first_frame(self, batch: Any, image: Any, size: tuple[int, int]) -> torch.Tensor:
        """The picture given, or one that is painted."""
        if image is None:
            if not batch.prompts[0]:
                raise UserError("image=None: a first frame is painted from a prompt; give prompt, or the picture.")
            return self.first_frame(batch)
        return self.backbone.encode_frames(picture_given(image, size))


def _paths(masks: Any) -> bool:
    """Whether masks are files: one, or a list of one for each subject."""
    each = masks if isinstance(masks, (list, tuple)) and masks else [masks]
    return all(isinstance(one, (str, Path)) for one in each)
