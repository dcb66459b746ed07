"""The first-frame conditional loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def first_frame_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    *,
    masks: torch.Tensor | None = None,
    foreground_weight: float = 0.0,
    clean_frames: int = 1,
) -> torch.Tensor:
    """L = E || eps_{2:n} - eps_theta_{2:n}(x_t, t, c_p) ||^2 (arXiv 2503.18386): the first frame is never scored.

    Every timestep weighs the same: min-SNR weights starve the noisy steps, where layout is decided.

    Args:
        prediction: (b, f, c, h, w), noise or velocity, whatever the backbone predicts.
        target: Same shape.
        masks: (b, f, 1, H, W), needed where the foreground weighs more.
        foreground_weight: w of the weight 1 + w m(p); a clip's weights have mean 1. Ours; 0 is the paper's loss.
        clean_frames: Frames at the front that are given clean, hence not scored; 0 scores all, as Tune-A-Video does.

    Returns:
        A scalar.
    """
    error = (prediction[:, clean_frames:].float() - target[:, clean_frames:].float()) ** 2
    if masks is None or foreground_weight == 0:
        return error.mean()
    b, f, _, h, w = error.shape
    small = F.adaptive_avg_pool2d(masks[:, clean_frames:].flatten(0, 1), (h, w)).unflatten(0, (b, f))
    weight = 1 + foreground_weight * small
    return (error * (weight / weight.mean((1, 2, 3, 4), keepdim=True))).mean()
