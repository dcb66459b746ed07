"""What masks say to attention: to which region each token of a grid belongs, for one subject or for several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from maskvid.clip import softened


@dataclass(frozen=True)
class Regions:
    """The masks of k subjects at one attention grid of n tokens.

    Attributes:
        masks: (b, f, n, k) in [0, 1], averaged over the area that a token covers.
        agreement: (b, f, n, k) in [-1, 1]. The bias of self-attention is its product with the masks of the keys, summed
            over k: what is constant over keys, which softmax does not see, is left out of
            A(p, q) = sum_k m_k(p) m_k(q) + g(p) g(q), where g = 1 - sum_k m_k is the ground.
    """

    masks: torch.Tensor
    agreement: torch.Tensor


def regions_of(
    masks: torch.Tensor, latent_size: tuple[int, int], roughness: torch.Tensor | None = None
) -> dict[int, Regions]:
    """Regions at every attention grid of a U-Net.

    Args:
        masks: (b, f, k, H, W) in [0, 1], one for each subject.
        latent_size: (h, w) of the latents; stride-2 convolutions halve it, rounding up.
        roughness: (b,) in [0, 1], how far they are not to be believed; None believes them wholly.

    Returns:
        By the number of tokens n = h w of each level.
    """

    def believed(values: torch.Tensor) -> torch.Tensor:
        return values if roughness is None else softened(values, roughness)

    soft = believed(masks)
    ground = None if masks.shape[2] == 1 else believed((1 - masks.sum(2, keepdim=True)).clamp_min(0))
    grids = {}
    h, w = latent_size
    while h * w > 1:
        own = _tokens(soft, (h, w))
        # of one subject the ground is the rest
        agreement = 2 * own - 1 if ground is None else own - _tokens(ground, (h, w))
        grids[h * w] = Regions(own, agreement)
        h, w = (h + 1) // 2, (w + 1) // 2
    return grids


def _tokens(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(b, f, k, H, W) -> (b, f, h w, k)."""
    b, f, k = masks.shape[:3]
    return F.adaptive_avg_pool2d(masks.flatten(0, 1), size).reshape(b, f, k, -1).transpose(2, 3)


def parted(masks: torch.Tensor) -> torch.Tensor:
    """The union of several subjects' masks, with a gap where they touch: what one encoder can read.

    Tuned on one subject, the mask input knows outlines; where two bodies touch or cross the union has none, so one is
    drawn: whatever lies within a pixel (of 64 rows) of both is left out.

    Args:
        masks: (b, f, k, H, W) in [0, 1].

    Returns:
        (b, f, 1, H, W).
    """
    union = masks.amax(2, keepdim=True)
    if masks.shape[2] == 1:
        return union
    reach = max(1, round(masks.shape[-2] / 64))
    wide = F.max_pool2d(masks.flatten(0, 1), 2 * reach + 1, 1, reach).view_as(masks)
    met = wide.sum(2, keepdim=True) - wide.amax(2, keepdim=True)  # how far a second subject reaches here
    return union * (1 - met.clamp(0, 1))
