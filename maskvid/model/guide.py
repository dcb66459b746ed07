"""What the attention processors and temporal layers must know of the clip in flight."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from maskvid.clip import softened
from maskvid.model.regions import Regions, parted, regions_of


@dataclass
class Guide:
    """One forward pass's frame count, masks and subject tokens, shared by every layer of one inflated U-Net.

    It stays set after the forward pass, because gradient checkpointing runs layers again during backward.

    Attributes:
        num_frames: f, or None while the U-Net is used as the plain 2-D model.
        masks: (b, f, 1, H, W) in [0, 1], drawn in as far as they are rough, or None when no mask steers.
        outlines: (b, f, k, H, W) as they were given, one for each of k subjects.
        rough: Whether the encoders for rough masks read them.
        regions: For each attention grid, by its number of tokens. Empty when no mask steers.
        first_frame: (b, c, h, w), the latents of frame 0, or None.
        first_steered: Index of the first frame that the steering alters: 1 where frame 0 is the clean reference, which
            keeps the 2-D model's own weights, 0 where all frames are denoised alike.
        subjects: (b, tokens, k), 1 at the prompt's tokens that name each subject, or None.
        words: (b, d), the mean of the subject's hidden states, or None: what temporal layers hear of the prompt.
    """

    num_frames: int | None = None
    masks: torch.Tensor | None = None
    outlines: torch.Tensor | None = None
    rough: bool = False
    regions: dict[int, Regions] = field(default_factory=dict)
    first_frame: torch.Tensor | None = None
    first_steered: int = 1
    subjects: torch.Tensor | None = None
    words: torch.Tensor | None = None

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
        self.num_frames, self.first_frame, self.rough = latents.shape[1], latents[:, 0], roughness is not None
        self.outlines = masks if objects is None else objects
        self.masks, self.regions = None, {}
        if self.outlines is not None:
            self.masks = parted(self.outlines)
            if roughness is not None:
                self.masks = softened(self.masks, roughness)
            self.regions = regions_of(self.outlines, (latents.shape[-2], latents.shape[-1]), roughness)
        self.subjects = self.words = None
        if subject is not None:
            self.subjects = subject.unsqueeze(-1) if subjects is None else subjects.transpose(1, 2)
            if text is not None:
                weights = (subject / subject.sum(1, keepdim=True)).to(text)
                self.words = torch.einsum("bn,bnd->bd", weights, text)

    def clear(self) -> None:
        """Return to the plain 2-D model."""
        self.num_frames = self.masks = self.outlines = self.first_frame = self.subjects = self.words = None
        self.rough = False
        self.regions = {}
