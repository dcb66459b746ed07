"""The networks that judge videos, loaded when first needed and kept out of every module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from maskvid.masks.segmenter import Segmenter
    from maskvid.metrics.encoders import ClipEncoder

ASSETS = Path(__file__).resolve().parents[1] / "assets"
MINI_CLIP = ASSETS / "mini_clip"
MINI_SEGMENTER = ASSETS / "mini_segmenter"


class MetricEncoders:
    """CLIP and segmenter of the metrics, by name, loaded on first use.

    Deliberately not an `nn.Module` and shared instead of copied: inside a LightningModule they would enter the
    checkpoint and the averaged weights. Figures of different encoders are not comparable: the embedded ones
    compare methods with each other, published text alignments use `clip="ViT-L-14", pretrained="openai"`.
    """

    def __init__(
        self,
        *,
        clip: str | Path | None = None,
        pretrained: str | None = None,
        segmenter: str | Path | None = None,
    ) -> None:
        """Name the encoders; nothing is loaded yet.

        Args:
            clip: open_clip model name or a folder; None is the embedded miniature.
            pretrained: open_clip's name of the weights, where `clip` is a model name.
            segmenter: Folder written by `Segmenter.save_pretrained`; None is the embedded miniature.
        """
        self.clip_name = MINI_CLIP if clip is None else clip
        self.pretrained = pretrained
        self.segmenter_folder = MINI_SEGMENTER if segmenter is None else segmenter
        self._device = torch.device("cpu")
        self._clip: ClipEncoder | None = None
        self._segmenter: Segmenter | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> MetricEncoders:
        """Share: the weights are frozen."""
        return self

    @property
    def device(self) -> torch.device:
        """Where both encoders are."""
        return self._device

    def to(self, device: torch.device | str) -> MetricEncoders:
        """Use the encoders on a device; what was loaded on another is dropped and loaded again there when needed."""
        if torch.device(device) != self._device:
            self._device = torch.device(device)
            self._clip = self._segmenter = None
        return self

    @property
    def clip(self) -> ClipEncoder:
        """Image and text encoder."""
        if self._clip is None:
            from maskvid.metrics.encoders import load_clip  # open_clip takes seconds to import: only when scoring

            self._clip = load_clip(str(self.clip_name), pretrained=self.pretrained, device=str(self._device))
        return self._clip

    @property
    def segmenter(self) -> Segmenter:
        """Frames -> foreground probability."""
        if self._segmenter is None:
            from maskvid.masks.segmenter import Segmenter

            network = Segmenter.from_pretrained(self.segmenter_folder)
            self._segmenter = network.to(self._device).eval().requires_grad_(False)
        return self._segmenter
