"""Training of the miniature's segmenter on renders that the backbone never saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from maskvid.judges.segmenter import Segmenter
from maskvid.miniature.augment import colour_jitter, soften
from maskvid.miniature.stage import Stage
from maskvid.world.stills import Pictures


def dice_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice coefficient per picture, averaged; both (n, 1, h, w), the mask in [0, 1]."""
    probability = logits.sigmoid()
    both = (probability * mask).sum((1, 2, 3))
    either = probability.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    return (1 - (2 * both + 1) / (either + 1)).mean()


class SegmenterStage(Stage):
    """Cross-entropy plus Dice on augmented renders.

    Args:
        pictures: Corpus of the encoders.
        channels: Width per level.
        batch: Pictures per step.
        jitter: Strength of the colour jitter.
        start: Folder of a segmenter of these channels to start from, or None.
        settings: Keyword arguments of `Stage`.
    """

    def __init__(
        self,
        pictures: Pictures,
        *,
        channels: Sequence[int],
        batch: int = 16,
        jitter: float = 0.25,
        start: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.segmenter = Segmenter(tuple(channels))
        if start is not None:
            self.segmenter.load_state_dict(Segmenter.from_pretrained(start).state_dict())
        self.segmenter.to(memory_format=torch.channels_last)
        self.images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
        self.masks = torch.from_numpy(pictures.masks)[:, None]
        self.batch, self.jitter = batch, jitter

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Binary cross-entropy plus Dice; mirrored half of the time."""
        index = torch.randint(len(self.images), (self.batch,), generator=draw)
        frames, masks = self.images[index].float() / 127.5 - 1, self.masks[index].float() / 255
        if torch.rand((), generator=draw) < 0.5:
            frames, masks = frames.flip(-1), masks.flip(-1)
        frames = soften(colour_jitter(frames, draw, strength=self.jitter), draw)
        frames, masks = frames.to(self.device), masks.to(self.device)
        logits = self.segmenter.logits(frames).float()
        value = F.binary_cross_entropy_with_logits(logits, masks) + dice_loss(logits, masks)
        guess, truth = logits.detach() > 0, masks >= 0.5
        iou = (guess & truth).sum() / (guess | truth).sum().clamp(min=1)
        return value, {"iou": iou}

    def export(self, folder: Path) -> None:
        """Write `folder/mini_segmenter`."""
        segmenter = self.averaged("segmenter")
        assert isinstance(segmenter, Segmenter)
        segmenter.save_pretrained(folder / "mini_segmenter")
