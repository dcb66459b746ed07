"""Text alignment: how well frames show what the prompt says."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from maskvid.metrics.base import ClipMean


def text_alignment(images: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Mean over frames of cosine(CLIP image, CLIP text) x 100.

    The factor is 100 whatever the encoder's logit scale is.

    Args:
        images: float (f, d), embeddings of all frames, of any length.
        text: float (d,) or (1, d), embedding of the prompt.

    Returns:
        Scalar in [-100, 100]; higher is better.
    """
    return 100 * F.cosine_similarity(images.float(), text.float().reshape(1, -1), dim=-1).mean()


class TextAlignment(ClipMean):
    """`text_alignment`, averaged over clips."""

    def update(self, images: torch.Tensor, text: torch.Tensor) -> None:
        """Count one clip: embeddings (f, d) of its frames, (d,) of its prompt."""
        self.add(text_alignment(images, text))
