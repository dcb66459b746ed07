"""The mask as further input channels of the U-Net."""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn import functional as F


class MaskInput(nn.Module):
    """Zero-started convolutions from the masks to a feature map of the U-Net (ours).

    Behind `conv_in`, `pixel_unshuffle` by the VAE's factor keeps the mask's full resolution (16 channels at factor 4,
    64 at 8), and since convolution is linear, adding to `conv_in`'s output is the same as giving it further input
    channels. Deeper in the U-Net the mask is averaged to `factor` times the feature map's size. Beside the frame's own
    mask the first frame's is given, which says what the clean frame shows where.

    A few clips show few shapes, and beyond them convolutions go anywhere: for an elephant that stands still, and whose
    solid body no horse has, features grew to six times what tuning had ever seen, and the picture burst. So tuning
    remembers the range of each channel (buffers `low` and `high`), and sampling stays within it.

    Args:
        channels: Channels of the feature map.
        factor: Mask pixels along an edge of one of its cells.
        width: Channels of the two layers that look at the shape before it is added.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, channels: int, *, factor: int, width: int = 64) -> None:
        super().__init__()
        self.factor = factor
        self.shape = nn.Sequential(
            nn.Conv2d(2 * factor**2, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
        )
        self.conv = nn.Conv2d(width, channels, 3, padding=1)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("low", torch.zeros(channels))
        self.register_buffer("high", torch.zeros(channels))

    def forward(self, masks: torch.Tensor, size: tuple[int, int], first_steered: int = 1) -> torch.Tensor:
        """What to add to a feature map.

        Args:
            masks: (b, f, 1, H, W) in [0, 1].
            size: (h, w) of the feature map.
            first_steered: See `Guide`.

        Returns:
            (b f, channels, h, w); zero for frames before `first_steered`.
        """
        b, f = masks.shape[:2]
        h, w = size
        signs = F.adaptive_avg_pool2d(2 * masks.flatten(0, 1) - 1, (h * self.factor, w * self.factor))
        signs = F.pixel_unshuffle(signs, self.factor).unflatten(0, (b, f))
        later = f - first_steered
        signs = torch.cat([signs[:, first_steered:], signs[:, :1].expand(-1, later, -1, -1, -1)], 2)
        features = self.conv(self.shape(signs.flatten(0, 1)))
        if self.training:
            self._remember(features.detach())
        else:
            features = features.clamp(self.low[:, None, None], self.high[:, None, None])
        features = features.unflatten(0, (b, later))
        return torch.cat([torch.zeros_like(features[:, :first_steered]), features], 1).flatten(0, 1)

    def _remember(self, features: torch.Tensor) -> None:
        """Widen the range to what (n, channels, h, w) shows on any rank."""
        low = torch.minimum(self.low, features.amin((0, 2, 3)).to(self.low))
        high = torch.maximum(self.high, features.amax((0, 2, 3)).to(self.high))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(low, distributed.ReduceOp.MIN)
            distributed.all_reduce(high, distributed.ReduceOp.MAX)
        self.low.copy_(low)
        self.high.copy_(high)
