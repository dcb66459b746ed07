"""Augmentations that make the encoders fair judges of generated frames, which are softer and noisier than renders."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def colour_jitter(frames: torch.Tensor, draw: torch.Generator, *, strength: float) -> torch.Tensor:
    """Random contrast and brightness per frame and gain per channel.

    Args:
        frames: (n, 3, h, w) in [-1, 1].
        draw: Random numbers.
        strength: Largest relative change; the gains of the channels change by a third of it.
    """
    n = len(frames)

    def spread(*shape: int) -> torch.Tensor:
        return 2 * torch.rand(shape, generator=draw) - 1

    mean = frames.mean((2, 3), keepdim=True)
    contrast = 1 + strength * spread(n, 1, 1, 1)
    gain = 1 + strength / 3 * spread(n, 3, 1, 1)
    shifted = (frames - mean) * contrast + mean + strength / 2 * spread(n, 1, 1, 1)
    return ((shifted + 1) * gain - 1).clamp(-1, 1)


def blur(frames: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur with a standard deviation of `sigma` pixels."""
    radius = max(1, round(2.5 * sigma))
    grid = torch.arange(-radius, radius + 1, dtype=frames.dtype)
    kernel = torch.exp(-0.5 * (grid / sigma).square())
    kernel = (kernel / kernel.sum()).repeat(frames.shape[1], 1, 1, 1)
    padded = F.pad(frames, (radius,) * 4, mode="replicate")
    with torch.autocast(frames.device.type, enabled=False):  # pictures, not activations: they keep their precision
        rows = F.conv2d(padded, kernel.transpose(2, 3).contiguous(), groups=frames.shape[1])
        return F.conv2d(rows, kernel, groups=frames.shape[1])


def soften(frames: torch.Tensor, draw: torch.Generator, *, share: float = 0.5, noise: float = 0.08) -> torch.Tensor:
    """Blur one half of the chosen frames, shrink and enlarge the other, then add noise to all of them.

    Both imitate what a VAE does to a picture. One strength is drawn per call.

    Args:
        frames: (n, 3, h, w) in [-1, 1].
        draw: Random numbers.
        share: Share of the frames that are changed.
        noise: Largest standard deviation of the noise.
    """
    frames = frames.clone()
    chosen = torch.randperm(len(frames), generator=draw)[: round(share * len(frames))]
    blurred, shrunk = chosen.chunk(2) if len(chosen) > 1 else (chosen, chosen[:0])
    first, second, third = torch.rand(3, generator=draw).tolist()
    if len(blurred):
        frames[blurred] = blur(frames[blurred], 0.3 + 0.7 * first)
    if len(shrunk):
        small = F.interpolate(frames[shrunk], scale_factor=0.5 + 0.4 * second, mode="area")
        frames[shrunk] = F.interpolate(small, size=frames.shape[-2:], mode="bilinear", align_corners=False)
    disturbance = torch.randn(frames[chosen].shape, generator=draw)
    # A VAE's errors are smooth blotches, not salt: half of the noise is blurred.
    if third < 0.5:
        disturbance = 3 * blur(disturbance, 1.0)
    frames[chosen] = frames[chosen] + noise * third * disturbance
    return frames.clamp(-1, 1)
