"""The mask as further input channels of the U-Net, at full resolution."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class MaskInput(nn.Module):
    """A zero-started convolution from the mask to the features behind `conv_in`.

    Convolution is linear, so adding this to `conv_in`'s output is the same as giving `conv_in` further input channels.
    `pixel_unshuffle` by the VAE's factor keeps the mask's full resolution: 16 channels at factor 4, 64 at 8. Beside the
    frame's own mask the first frame's mask is given, which says what the clean frame shows where.

    Args:
        channels: Output channels of `conv_in`.
        factor: The VAE's spatial factor.
    """

    def __init__(self, channels: int, *, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(2 * factor**2, channels, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        """(b, f, 1, H, W) in [0, 1] -> (b f, channels, H / factor, W / factor); zero for frame 0, the reference."""
        b, f = masks.shape[:2]
        signs = F.pixel_unshuffle(2 * masks.flatten(0, 1) - 1, self.factor).unflatten(0, (b, f))
        signs = torch.cat([signs, signs[:, :1].expand(-1, f, -1, -1, -1)], 2)
        features = self.conv(signs[:, 1:].flatten(0, 1)).unflatten(0, (b, f - 1))
        return torch.cat([torch.zeros_like(features[:, :1]), features], 1).flatten(0, 1)
