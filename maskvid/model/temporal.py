"""Temporal layers: what lets a frame know of the others. Both start as zero, so an untrained one changes nothing."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from maskvid.model.roles import Role, declare


def frame_positions(num_frames: int, width: int, device: torch.device) -> torch.Tensor:
    """Sinusoidal position code of frames 0..f-1, (f, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(1000.0) * torch.arange(half, device=device) / max(half, 1))
    angles = torch.arange(num_frames, device=device)[:, None] * frequencies[None]
    return F.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, width - 2 * half))


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def add_from(x: torch.Tensor, residual: torch.Tensor, first_steered: int) -> torch.Tensor:
    """Add a residual to frames `first_steered`.. of (b, f, ...)."""
    if first_steered == 0:
        return x + residual.to(x.dtype)
    return torch.cat([x[:, :first_steered], x[:, first_steered:] + residual[:, first_steered:].to(x.dtype)], 1)


class TemporalAttention(nn.Module):
    """Attention over frames at each position, with a position code; output weight and bias start at zero.

    Args:
        channels: c of the feature map.
        width: Inner width; c would double the trained parameters for little.
        heads: Attention heads; must divide `width`.
        text_width: d of the prompt's hidden states where the subject's words scale and shift what is attended to, so
            that a verb can choose among the motions of one adapter; None leaves them out. They start without effect.
    """

    role = Role.LAYER

    def __init__(self, channels: int, *, width: int, heads: int, text_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.to_in = nn.Linear(channels, width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, channels)
        _zero(self.to_out)
        self.from_words = None
        if text_width is not None:
            heard = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, 2 * width))
            _zero(heard[1])
            self.from_words = declare(heard, Role.GUIDE)

    def forward(self, x: torch.Tensor, words: torch.Tensor | None = None) -> torch.Tensor:
        """(b, f, c, h, w) and the subject's words (b, d) -> the residual to add, same shape as the first."""
        b, f, _, h, w = x.shape
        tokens = self.to_in(self.norm(x.permute(0, 3, 4, 1, 2)))  # b h w f width
        if self.from_words is not None and words is not None:
            scale, shift = self.from_words(words)[:, None, None, None].chunk(2, -1)
            tokens = tokens * (1 + scale) + shift
        tokens = tokens + frame_positions(f, tokens.shape[-1], x.device).to(tokens.dtype)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(-2, -3).flatten(0, 2)
            for part in self.to_qkv(tokens).chunk(3, -1)
        )
        out = F.scaled_dot_product_attention(query, key, value)  # bhw heads f d
        out = self.to_out(out.transpose(1, 2).flatten(2))
        return out.reshape(b, h, w, f, -1).permute(0, 3, 4, 1, 2)


class TemporalConv(nn.Module):
    """Gated causal convolution over the present and the two frames before; its output starts at zero.

    A bottleneck keeps it small; the gate is a one-channel sigmoid, so that still regions stay still.

    Args:
        channels: c of the feature map.
        groups: Groups of the normalisation, which sees one frame at a time.
        width: Of the bottleneck.
    """

    role = Role.LAYER

    def __init__(self, channels: int, *, groups: int, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.down = nn.Conv2d(channels, width, 1)
        self.over_frames = nn.Conv3d(width, width, (3, 1, 1))
        self.up = nn.Conv2d(width, channels, 1)
        self.gate = nn.Conv2d(channels, 1, 1)
        _zero(self.up)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, f, c, h, w) -> the residual to add, same shape."""
        b, f = x.shape[:2]
        frames = self.norm(x.flatten(0, 1))
        hidden = self.down(frames).unflatten(0, (b, f)).transpose(1, 2)  # b width f h w
        hidden = self.over_frames(F.pad(hidden, (0, 0, 0, 0, 2, 0)))
        hidden = F.silu(hidden).transpose(1, 2).flatten(0, 1)
        return (torch.sigmoid(self.gate(frames)) * self.up(hidden)).unflatten(0, (b, f))


class TemporalLayer(nn.Module):
    """The temporal convolution and attention that follow one spatial transformer block.

    Args:
        channels: c of the feature map.
        attention: Whether temporal attention exists.
        conv: Whether the temporal convolution exists.
        groups: Groups of the convolution's normalisation.
        text_width: See `TemporalAttention`.
        rank: Where given, the attention is at most four times and the convolution twice as wide.
    """

    def __init__(
        self,
        channels: int,
        *,
        attention: bool,
        conv: bool,
        groups: int,
        text_width: int | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        width, inner = max(channels // 2, 32), max(channels // 4, 16)
        if rank is not None:
            width, inner = min(width, 4 * rank), min(inner, 2 * rank)
        self.conv = TemporalConv(channels, groups=groups, width=inner) if conv else None
        heads = max(width // 32, 1)
        self.attention = (
            TemporalAttention(channels, width=width, heads=heads, text_width=text_width) if attention else None
        )

    def forward(self, x: torch.Tensor, first_steered: int = 1, words: torch.Tensor | None = None) -> torch.Tensor:
        """(b, f, c, h, w) -> same shape; frames before `first_steered` pass unaltered."""
        if self.conv is not None:
            x = add_from(x, self.conv(x), first_steered)
        if self.attention is not None:
            x = add_from(x, self.attention(x, words), first_steered)
        return x
