"""What all metrics share: a score per clip, averaged over clips on every rank."""

from __future__ import annotations

import torch
from torchmetrics import Metric


class ClipMean(Metric):
    """Mean over clips of one score per clip.

    The states are sums, so ranks that saw different numbers of clips (or none) reduce to what one process would have
    computed. Subclasses turn their inputs into a score and call `add`.
    """

    full_state_update = False
    higher_is_better: bool | None = True
    is_differentiable = False
    total: torch.Tensor
    clips: torch.Tensor

    def __init__(self) -> None:
        """Start without clips."""
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("clips", torch.tensor(0), dist_reduce_fx="sum")

    def add(self, score: torch.Tensor) -> None:
        """Count one clip with its score, a scalar."""
        self.total += score.detach().to(self.total)
        self.clips += 1

    def compute(self) -> torch.Tensor:
        """Mean score, a scalar; NaN when no rank has seen a clip."""
        return self.total / self.clips
