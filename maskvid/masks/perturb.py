"""Coarser masks than exact ones, as people draw them."""

from __future__ import annotations

import torch


def boxes(masks: torch.Tensor) -> torch.Tensor:
    """Each frame's foreground replaced by its bounding box.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.

    Returns:
        The same shape, 0 or 1; an empty frame stays empty.
    """
    solid = masks >= 0.5
    box = _between(solid.any(-1)).unsqueeze(-1) & _between(solid.any(-2)).unsqueeze(-2)
    return box.to(masks.dtype)


def _between(present: torch.Tensor) -> torch.Tensor:
    """Everything from the first place present to the last, along the last axis."""
    return (present.cumsum(-1) > 0) & (present.flip(-1).cumsum(-1) > 0).flip(-1)
