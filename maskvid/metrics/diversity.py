"""Diversity: how much videos of one prompt and mask differ."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean


def diversity(videos: list[torch.Tensor]) -> torch.Tensor:
    """Mean pairwise cosine x 100 between videos of one prompt and mask; **lower is more diverse** (LAMP's convention).

    A video counts as the normalised mean of its frames' embeddings.

    Args:
        videos: Two or more of float (f, d), CLIP embeddings of the frames.

    Returns:
        Scalar in [-100, 100].

    Raises:
        UserError: Fewer than two videos.
    """
    if len(videos) < 2:
        raise UserError(f"diversity of {len(videos)} video: sample two or more for each prompt, with different seeds.")
    means = torch.stack([F.normalize(frames.float().mean(0), dim=-1) for frames in videos])
    similar = means @ means.T
    n = len(means)
    return 100 * (similar.sum() - similar.diagonal().sum()) / (n * (n - 1))


class Diversity(ClipMean):
    """`diversity`, averaged over prompts."""

    def update(self, videos: list[torch.Tensor]) -> None:
        """Count the videos of one prompt."""
        self.add(diversity(videos))
