"""The mask as further input channels of the U-Net."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import distributed, nn
from torch.nn import functional as F

from maskvid.model.roles import Role

KEPT = 3
"""Most extreme training examples that are remembered of each channel; the least of them bounds the range.

After 200 steps on the horse (400 examples) the third is at 0.96 of the first, the eighth at 0.89 (medians of channels).
"""


class MaskInput(nn.Module):
    """Zero-started convolutions from the masks to a feature map of the U-Net (ours).

    At the latents' own size `pixel_unshuffle` by the VAE's factor keeps the mask's full resolution (16 channels at
    factor 4, 64 at 8); since convolution is linear, adding to a convolution's output is the same as giving it further
    input channels. Deeper in the U-Net the mask is averaged to `factor` times the feature map's size. Beside the
    frame's own mask the first frame's is given, which says what the clean frame shows where.

    A few clips show few shapes, and beyond them convolutions go anywhere: for an elephant that stands still, and whose
    solid body no horse has, features grew to six times what tuning had ever seen, and the picture burst. So tuning
    remembers the range of each channel (buffers `low` and `high`), and sampling stays within it. A single mask that is
    wrong, or a step that went astray, must not widen the range: each channel's bounds are those that `KEPT` examples of
    the training reached, or as many as there were so far.

    A forward pass in training notes its examples on its own process. `merge_ranges` makes the range of them, which all
    processes share; it runs before whatever looks at the range.

    Args:
        channels: Channels of the feature map.
        factor: Mask pixels along an edge of one of its cells.
        rank: Channels between the layers that look at the shape and the feature map; None leads straight there, from
            wider ones.
    """

    role = Role.GUIDE
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, channels: int, *, factor: int, rank: int | None = None) -> None:
        super().__init__()
        width = 64 if rank is None else 48
        self.factor = factor
        self.shape = nn.Sequential(
            nn.Conv2d(2 * factor**2, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
        )
        self.conv: nn.Module
        if rank is None:
            self.conv = last = nn.Conv2d(width, channels, 3, padding=1)
        else:
            last = nn.Conv2d(rank, channels, 1)
            self.conv = nn.Sequential(nn.Conv2d(width, rank, 3, padding=1, bias=False), last)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("low", torch.zeros(channels))
        self.register_buffer("high", torch.zeros(channels))
        # (2, KEPT, channels), falling: the largest of minus the features, and of the features, each of another example.
        # No buffers: DDP would overwrite them with those of the first process.
        self.merged = torch.full((2, KEPT, channels), -torch.inf)  # of all processes, until the last merge
        self.noted = self.merged.clone()  # of this process, since then

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
            self._note(features.detach().unflatten(0, (b, later)))
        else:
            features = features.clamp(self.low[:, None, None], self.high[:, None, None])
        features = features.unflatten(0, (b, later))
        return torch.cat([torch.zeros_like(features[:, :first_steered]), features], 1).flatten(0, 1)

    @torch.no_grad()
    def _note(self, features: torch.Tensor) -> None:
        """Remember the extremes of examples (b, f, channels, h, w); what overflowed is no value."""
        found = torch.stack([-features.amin((1, 3, 4)), features.amax((1, 3, 4))]).to(self.low)
        self.noted = _largest(self.noted, found.masked_fill(~found.isfinite(), -torch.inf))

    def settle(self, noted: torch.Tensor) -> None:
        """Take in what all processes have noted (2, n, channels) since the last time; where nothing, change nothing."""
        if noted.isfinite().any():
            self.remember(_largest(self.merged, noted))

    def remember(self, merged: torch.Tensor) -> None:
        """Begin from these extremes (2, KEPT, channels), with nothing noted since."""
        self.merged = merged.to(self.low)
        self.noted = torch.full_like(self.merged, -torch.inf)
        last = (self.merged.isfinite().sum(1, keepdim=True) - 1).clamp(min=0)
        low, high = self.merged.gather(1, last).squeeze(1).clamp(min=0)  # the range holds zero, which nothing adds
        self.low.copy_(-low)
        self.high.copy_(high)


def mask_inputs(module: nn.Module) -> Iterator[MaskInput]:
    """The mask inputs within a module, in a fixed order."""
    return (layer for layer in module.modules() if isinstance(layer, MaskInput))


def merge_ranges(module: nn.Module) -> None:
    """Make the range of every mask input from what all processes have noted: one collective operation.

    The most extreme of a union are the most extreme of the parts' most extreme, so that n processes have the range of
    one with n times the batch.
    """
    layers = list(mask_inputs(module))
    if not layers:
        return
    noted = torch.cat([layer.noted.to(layer.low) for layer in layers], -1)
    if distributed.is_available() and distributed.is_initialized():
        parts = [torch.empty_like(noted) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, noted)
        noted = torch.cat(parts, 1)
    for layer, own in zip(layers, noted.split([len(layer.low) for layer in layers], -1), strict=True):
        layer.settle(own)


def _largest(kept: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
    """The `KEPT` largest of (2, n, channels) and (2, m, channels), falling."""
    return torch.cat([kept.to(more), more], 1).topk(KEPT, 1).values
