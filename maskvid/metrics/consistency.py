"""Frame consistency: how alike the frames of one video look to CLIP; subject consistency: the same asked of DINO.

A frozen video scores 100, so report it beside `maskvid.metrics.motion.flow_magnitude` only.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch.nn import functional as F

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean

Pairs = Literal["all_pairs", "adjacent", "vbench"]


def frame_consistency(images: torch.Tensor, pairs: Pairs = "all_pairs") -> torch.Tensor:
    """Mean cosine of image embeddings over pairs of different frames, x 100.

    Args:
        images: float (f, d), embeddings of all frames in order, f >= 2, of any length.
        pairs: `all_pairs` is the convention of LAMP and TGVE, `adjacent` that of ControlVideo and FateZero; `vbench`
            (arXiv 2311.17982) averages the cosines to the frame before and to the first frame, negative ones as 0; over
            DINO embeddings it is VBench's subject consistency.

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
    if pairs == "vbench":
        to_last, to_first = (unit[1:] * unit[:-1]).sum(-1), (unit[1:] * unit[:1]).sum(-1)
        return 100 * (to_last.clamp(min=0) + to_first.clamp(min=0)).mean() / 2
    similarity = unit @ unit.T
    return 100 * (similarity.sum() - similarity.diagonal().sum()) / (count * (count - 1))


class FrameConsistency(ClipMean):
    """`frame_consistency` in one convention, averaged over clips."""

    def __init__(self, pairs: Pairs = "all_pairs") -> None:
        """Choose the convention: `all_pairs`, `adjacent` or `vbench`."""
        super().__init__()
        self.pairs = pairs

    def update(self, images: torch.Tensor) -> None:
        """Count one clip: embeddings (f, d) of its frames."""
        self.add(frame_consistency(images, self.pairs))
