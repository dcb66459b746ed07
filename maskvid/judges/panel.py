"""The networks that judge videos, loaded when first needed and kept out of every module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from maskvid.metrics.suite import Detect

if TYPE_CHECKING:
    from maskvid.judges.clip_encoder import ClipEncoder
    from maskvid.judges.dino_encoder import DinoEncoder

ASSETS = Path(__file__).resolve().parents[1] / "assets"
MINI_CLIP = ASSETS / "mini_clip"
MINI_SEGMENTER = ASSETS / "mini_segmenter"


class MetricEncoders:
    """CLIP, segmenter and DINO of the metrics, by name, loaded on first use.

    Deliberately not an `nn.Module` and shared instead of copied: inside a LightningModule they would enter the
    checkpoint and the averaged weights. Figures of different encoders are not comparable: the embedded ones
    compare methods with each other, published text alignments use `clip="ViT-L-14", pretrained="openai"`.
    """

    def __init__(
        self,
        *,
        clip: str | Path | None = None,
        pretrained: str | None = None,
        segmenter: str | Path | Detect | None = None,
        dino: str | Path | None = None,
    ) -> None:
        """Name the encoders; nothing is loaded yet.

        Args:
            clip: open_clip model name, hub id ("hf-hub:owner/name") or a folder; None is the embedded miniature.
            pretrained: open_clip's name of the weights, or a file of weights, where `clip` is a model name; see
                `maskvid.judges.clip_encoder.load_clip`.
            segmenter: Folder written by `Segmenter.save_pretrained`, folder or hub id of SAM 2, or an object called as
                `maskvid.metrics.suite.Detect` is (in a configuration: a node with `_target_`); None is the embedded
                miniature.
            dino: Folder or hub id of a vision transformer for subject consistency; None measures none.
        """
        self.names: dict[str, Any] = {
            "clip": MINI_CLIP if clip is None else clip,
            "pretrained": pretrained,
            "segmenter": MINI_SEGMENTER if segmenter is None else segmenter,
            "dino": dino,
        }
        self._device = torch.device("cpu")
        self._loaded: dict[str, Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> MetricEncoders:
        """Share: the weights are frozen."""
        return self

    @property
    def device(self) -> torch.device:
        """Where all encoders are."""
        return self._device

    def to(self, device: torch.device | str) -> MetricEncoders:
        """Use the encoders on a device; what was loaded on another is dropped and loaded again there when needed."""
        if torch.device(device) != self._device:
            self._device = torch.device(device)
            self._loaded = {}
        return self

    def describe(self) -> dict[str, str | None]:
        """Which encoders judge, for the files that figures are kept in."""
        embedded = {str(MINI_CLIP): "maskvid miniature CLIP", str(MINI_SEGMENTER): "maskvid miniature segmenter"}
        return {key: name and embedded.get(str(name), str(name)) for key, name in self.names.items()}

    @property
    def clip(self) -> ClipEncoder:
        """Image and text encoder."""
        if "clip" not in self._loaded:
            from maskvid.judges.clip_encoder import load_clip  # open_clip takes seconds to import: only when scoring

            pretrained = self.names["pretrained"]
            self._loaded["clip"] = load_clip(str(self.names["clip"]), pretrained=pretrained, device=str(self._device))
        return self._loaded["clip"]

    @property
    def segmenter(self) -> Detect:
        """Finds the foreground."""
        if "segmenter" not in self._loaded:
            from maskvid.judges.segmenter import load_segmenter

            name = self.names["segmenter"]
            self._loaded["segmenter"] = name if callable(name) else load_segmenter(name, self._device)
        return self._loaded["segmenter"]

    @property
    def dino(self) -> DinoEncoder | None:
        """Image encoder for subject consistency, if one was named."""
        if self.names["dino"] is None:
            return None
        if "dino" not in self._loaded:
            from maskvid.judges.dino_encoder import DinoEncoder

            self._loaded["dino"] = DinoEncoder(self.names["dino"], self._device)
        return self._loaded["dino"]
