"""Frame consistency: how alike the frames of one video look to CLIP.

A frozen video scores 100, so report it beside `maskvid.metrics.motion.flow_magnitude` only.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch.nn import functional as F

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean

Pairs = Literal["all_pairs", "adjacent"]


def frame_consistency(images: torch.Tensor, pairs: Pairs = "all_pairs") -> torch.Tensor:
    """Mean cosine of CLIP image embeddings over pairs of different frames, x 100.

    Args:
        images: float (f, d), embeddings of all frames in order, f >= 2, of any length.
        pairs: `all_pairs` is the convention of LAMP and TGVE, `adjacent` that of ControlVideo and FateZero.

    Returns:
        Scalar in [-100, 100].

    Raises:
        UserError: Fewer than two frames, or an unknown convention.
    """
    if pairs not in get_args(Pairs):
        raise UserError(f"pairs is {pairs!r}; choose from {', '.join(get_args(Pairs))}")
    count = len(images)
    if count < 2:
        raise UserError(f"frame consistency needs at least 2 frames, got {count}")
    unit = F.normalize(images.float(), dim=-1)
    if pairs == "adjacent":
        return 100 * (unit[1:] * unit[:-1]).sum(-1).mean()
    similarity = unit @ unit.T
    return 100 * (similarity.sum() - similarity.diagonal().sum()) / (count * (count - 1))


class FrameConsistency(ClipMean):
    """`frame_consistency` in one convention, averaged over clips."""

    def __init__(self, pairs: Pairs = "all_pairs") -> None:
        """Choose the convention: `all_pairs` or `adjacent`."""
        super().__init__()
        self.pairs = pairs

    def update(self, images: torch.Tensor) -> None:
        """Count one clip: embeddings (f, d) of its frames."""
        self.add(frame_consistency(images, self.pairs))
