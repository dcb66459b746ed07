"""What the attention processors and temporal layers must know of the clip in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from maskvid.clip import softened
from maskvid.model.mask_input import MaskInput
from maskvid.model.regions import Regions, parted, regions_of


@dataclass(frozen=True)
class Seen:
    """What the masks of a pass say to all layers.

    Attributes:
        given: Masks, objects and roughness that it was made of.
        outlines: (b, f, k, H, W) as they were given, one for each of k subjects.
        masks: (b, f, 1, H, W) in [0, 1], what mask encoders read: drawn in as far as they are rough, bodies parted.
        rough: Whether the encoders for rough masks read them.
        regions: For each attention grid, by its number of tokens.
        features: What mask encoders made of them, see `Guide.remembering`.
    """

    given: tuple[torch.Tensor | None, ...]
    outlines: torch.Tensor
    masks: torch.Tensor
    rough: bool
    regions: dict[int, Regions]
    features: dict[nn.Module, torch.Tensor] = field(default_factory=dict)


@dataclass
class Guide:
    """One forward pass's frame count, masks and subject tokens, shared by every layer of one inflated U-Net.

    It stays set after the forward pass, because gradient checkpointing runs layers again during backward.

    Attributes:
        num_frames: f, or None while the U-Net is used as the plain 2-D model.
        seen: What the masks say, or None when no mask steers.
        first_frame: (b, c, h, w), the latents of frame 0, or None.
        first_steered: Index of the first frame that the steering alters: 1 where frame 0 is the clean reference, which
            keeps the 2-D model's own weights, 0 where all frames are denoised alike.
        subjects: (b, tokens, k), 1 at the prompt's tokens that name each subject, or None.
        words: (b, d), the mean of the subject's hidden states, or None: what temporal layers hear of the prompt.
    """

    num_frames: int | None = None
    seen: Seen | None = None
    first_frame: torch.Tensor | None = None
    first_steered: int = 1
    subjects: torch.Tensor | None = None
    words: torch.Tensor | None = None
    _kept: list[Seen] | None = None

    def set(
        self,
        latents: torch.Tensor,
        masks: torch.Tensor | None,
        subject: torch.Tensor | None,
        text: torch.Tensor | None = None,
        roughness: torch.Tensor | None = None,
        objects: torch.Tensor | None = None,
        subjects: torch.Tensor | None = None,
    ) -> None:
        """Describe the next forward pass.

        Args:
            latents: (b, f, c, h, w); every attention grid is a halving of (h, w).
            masks: (b, f, 1, H, W) in [0, 1], or None.
            subject: (b, tokens) in {0, 1} with a one in each row, or None; see `Backbone.encode_text`.
            text: (b, tokens, d), the prompts' hidden states.
            roughness: (b,) in [0, 1] of rough masks, None for exact ones.
            objects: (b, f, k, H, W), of which `masks` is the union, where there are several subjects.
            subjects: (b, k, tokens) with them, each subject's own words.
        """
        self.num_frames, self.first_frame = latents.shape[1], latents[:, 0]
        size = (latents.shape[-2], latents.shape[-1])
        self.seen = None if masks is None else self._look(masks, objects, roughness, size)
        self.subjects = self.words = None
        if subject is not None:
            self.subjects = subject.unsqueeze(-1) if subjects is None else subjects.transpose(1, 2)
            if text is not None:
                weights = (subject / subject.sum(1, keepdim=True)).to(text)
                self.words = torch.einsum("bn,bnd->bd", weights, text)

    def _look(
        self,
        masks: torch.Tensor,
        objects: torch.Tensor | None,
        roughness: torch.Tensor | None,
        size: tuple[int, int],
    ) -> Seen:
        given = (masks, objects, roughness)
        for seen in self._kept or ():
            if all(one is other for one, other in zip(seen.given, given, strict=True)):
                return seen
        outlines = masks if objects is None else objects
        read = parted(outlines)
        if roughness is not None:
            read = softened(read, roughness)
        seen = Seen(given, outlines, read, roughness is not None, regions_of(outlines, size, roughness))
        if self._kept is not None:
            self._kept.append(seen)
        return seen

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Within it masks say in every pass what they said in the first: those of one video do not change.

        They do not depend on the noise, so what encoders make of them is made once a video and not once a step. Masks
        are told apart by being the same tensors, which nobody may alter meanwhile, nor train.
        """
        self._kept = []
        try:
            yield
        finally:
            self._kept = None

    def regions_at(self, tokens: int) -> Regions | None:
        """The masks at the attention grid of so many tokens; None where no mask steers."""
        return None if self.seen is None else self.seen.regions.get(tokens)

    def features(self, encoder: MaskInput, size: tuple[int, int]) -> torch.Tensor:
        """What an encoder makes of the masks for a feature map of `size`."""
        assert self.seen is not None
        found = self.seen.features.get(encoder)
        if found is None:
            found = encoder(self.seen.masks, size, self.first_steered)
            if self._kept is not None:
                self.seen.features[encoder] = found
        return found

    def clear(self) -> None:
        """Return to the plain 2-D model."""
        self.num_frames = self.seen = self.first_frame = self.subjects = self.words = None
