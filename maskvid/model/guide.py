"""What the attention processors and temporal layers must know of the clip in flight."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from maskvid.clip import softened


@dataclass
class Guide:
    """One forward pass's frame count, masks and subject tokens, shared by every layer of one inflated U-Net.

    It stays set after the forward pass, because gradient checkpointing runs layers again during backward.

    Attributes:
        num_frames: f, or None while the U-Net is used as the plain 2-D model.
        masks: (b, f, 1, H, W) in [0, 1], drawn in as far as they are rough, or None when no mask steers.
        outlines: The same as they were given.
        rough: Whether the encoders for rough masks read them.
        mask_tokens: for each attention grid, keyed by its number of tokens n: masks of shape (b, f, n), averaged over
            the area that a token covers, 1 = foreground. Empty when no mask steers.
        first_frame: (b, c, h, w), the latents of frame 0, or None.
        first_steered: Index of the first frame that the steering alters: 1 where frame 0 is the clean reference, which
            keeps the 2-D model's own weights, 0 where all frames are denoised alike.
        subject: (b, tokens), 1 at the prompt's tokens that name the foreground, or None.
        words: (b, d), the mean of the subject's hidden states, or None: what temporal layers hear of the prompt.
    """

    num_frames: int | None = None
    masks: torch.Tensor | None = None
    outlines: torch.Tensor | None = None
    rough: bool = False
    mask_tokens: dict[int, torch.Tensor] = field(default_factory=dict)
    first_frame: torch.Tensor | None = None
    first_steered: int = 1
    subject: torch.Tensor | None = None
    words: torch.Tensor | None = None

    def set(
        self,
        latents: torch.Tensor,
        masks: torch.Tensor | None,
        subject: torch.Tensor | None,
        text: torch.Tensor | None = None,
        roughness: torch.Tensor | None = None,
    ) -> None:
        """Describe the next forward pass.

        Args:
            latents: (b, f, c, h, w); every attention grid is a halving of (h, w).
            masks: (b, f, 1, H, W) in [0, 1], or None.
            subject: (b, tokens) in {0, 1} with a one in each row, or None; see `Backbone.encode_text`.
            text: (b, tokens, d), the prompts' hidden states.
            roughness: (b,) in [0, 1] of rough masks, None for exact ones.
        """
        self.num_frames, self.outlines, self.first_frame = latents.shape[1], masks, latents[:, 0]
        self.rough = roughness is not None
        if masks is not None and roughness is not None:
            masks = softened(masks, roughness)
        self.masks = masks
        self.mask_tokens = {} if masks is None else token_masks(masks, (latents.shape[-2], latents.shape[-1]))
        self.subject = self.words = None
        if subject is not None:
            self.subject = subject
            if text is not None:
                weights = (self.subject / self.subject.sum(1, keepdim=True)).to(text)
                self.words = torch.einsum("bn,bnd->bd", weights, text)

    def clear(self) -> None:
        """Return to the plain 2-D model."""
        self.num_frames = self.masks = self.outlines = self.first_frame = self.subject = self.words = None
        self.rough = False
        self.mask_tokens = {}


def token_masks(masks: torch.Tensor, latent_size: tuple[int, int]) -> dict[int, torch.Tensor]:
    """Average masks to every attention grid of a U-Net.

    Args:
        masks: (b, f, 1, H, W).
        latent_size: (h, w) of the latents; stride-2 convolutions halve it, rounding up.

    Returns:
        {n: (b, f, n)} for the n = h * w of each level.
    """
    b, f = masks.shape[:2]
    flat = masks.reshape(b * f, 1, *masks.shape[-2:])
    grids = {}
    h, w = latent_size
    while h * w > 1:
        grids[h * w] = F.adaptive_avg_pool2d(flat, (h, w)).reshape(b, f, h * w)
        h, w = (h + 1) // 2, (w + 1) // 2
    return grids
