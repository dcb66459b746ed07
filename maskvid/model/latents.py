"""Between pictures and latents, by a frozen VAE, a few frames at a time."""

from __future__ import annotations

from typing import Any

import torch

PIXELS = 512 * 512
"""That a VAE takes at once: in half precision it decodes a picture of 320 x 512 in 0.25 GB, eight at once in 2.0."""
MOST = 8
"""Frames that it takes at once, however small."""


def place_of(module: Any) -> torch.device:
    """Where a part computes, which is not where it lies while diffusers offloads it."""
    place = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
    return torch.device(module.device if place is None else place)


def pieces(frames: torch.Tensor, factor: int = 1) -> tuple[torch.Tensor, ...]:
    """Frames (f, c, h, w) in pieces that a VAE takes at once; a cell of latents has `factor` pixels to an edge."""
    h, w = frames.shape[-2:]
    return frames.split(max(1, min(MOST, PIXELS // (h * w * factor**2))))


@torch.no_grad()
def encode(vae: Any, frames: torch.Tensor) -> torch.Tensor:
    """(f, 3, H, W) in [-1, 1] -> scaled latents (f, c, h, w) in float32: the posterior's mode."""
    place, shift = place_of(vae), getattr(vae.config, "shift_factor", None) or 0.0
    latents = [vae.encode(piece.to(place, vae.dtype)).latent_dist.mode().float() for piece in pieces(frames)]
    return (torch.cat(latents) - shift) * vae.config.scaling_factor


@torch.no_grad()
def decode(vae: Any, latents: torch.Tensor, factor: int) -> torch.Tensor:
    """Scaled latents (f, c, h, w) -> frames (f, 3, H, W) in [-1, 1], float32; `factor` pixels to an edge of a cell."""
    place, shift = place_of(vae), getattr(vae.config, "shift_factor", None) or 0.0
    latents = latents.float() / vae.config.scaling_factor + shift
    frames = [vae.decode(piece.to(place, vae.dtype)).sample.float() for piece in pieces(latents, factor)]
    return torch.cat(frames).clamp(-1, 1)
