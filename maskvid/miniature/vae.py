"""The miniature's VAE: factor 4, four latent channels, small enough to decode a clip on a laptop in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL

from maskvid.files import atomic_write
from maskvid.miniature.stage import Stage
from maskvid.world.stills import Pictures


def build(channels: Sequence[int], *, layers: int = 1, latent_channels: int = 4) -> AutoencoderKL:
    """An untrained `AutoencoderKL` that halves the picture once less than it has levels."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=latent_channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        norm_num_groups=8,
        sample_size=96,
        mid_block_add_attention=False,
    )


def corners(boxes: torch.Tensor, size: tuple[int, int], crop: tuple[int, int], draw: torch.Generator) -> torch.Tensor:
    """Random crop positions that overlap the animal.

    Args:
        boxes: long (n, 4), top, left, bottom, right of each animal, ends excluded.
        size: Height and width of the pictures.
        crop: Height and width of a crop.
        draw: Random numbers.

    Returns:
        long (n, 2), top and left of each crop.
    """
    columns = []
    for axis in (0, 1):
        low = (boxes[:, axis] - crop[axis] // 3).clamp(0, size[axis] - crop[axis])
        high = (boxes[:, axis + 2] - 2 * crop[axis] // 3).clamp(0, size[axis] - crop[axis])
        high = torch.maximum(low, high)
        columns.append(low + ((high - low + 1) * torch.rand(len(boxes), generator=draw)).long())
    return torch.stack(columns, 1)


def bounding_boxes(masks: np.ndarray) -> torch.Tensor:
    """Top, left, bottom, right (ends excluded) of each mask, long (n, 4); the whole picture where it is empty."""
    solid: np.ndarray = np.greater_equal(masks, 128)
    n, h, w = masks.shape
    rows, columns = np.asarray(solid.any(2)), np.asarray(solid.any(1))
    boxes = np.stack(
        [
            rows.argmax(1),
            columns.argmax(1),
            h - np.flip(rows, 1).argmax(1),
            w - np.flip(columns, 1).argmax(1),
        ],
        1,
    )
    return torch.from_numpy(np.where(rows.max(1, keepdims=True), boxes, [0, 0, h, w])).long()


def reconstruction_loss(
    output: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, *, fidelity: float = 0.0
) -> torch.Tensor:
    """L1, L1 of the picture's gradients, and squared error, the animal counted more.

    The gradient term keeps silhouettes, the squared one is what PSNR counts.

    Args:
        output: (n, 3, h, w) in [-1, 1].
        target: The same shape.
        mask: (n, 1, h, w), how much more each pixel counts.
        fidelity: Weight of the mean of the pictures' own log squared errors, which is minus the mean PSNR but for a
            factor: every picture then counts by the share of its error that goes, not by the error's size.
    """
    weight = 1 + mask
    difference = output - target
    rows = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
    columns = (difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]
    point = (weight * difference.abs()).mean() + 4 * (weight * difference.square()).mean()
    own = difference.square().mean((1, 2, 3)).clamp(min=1e-8).log().mean() if fidelity else 0.0
    return point + 0.5 * (rows.mean() + columns.mean()) + fidelity * own


@torch.no_grad()
def widen(narrow: AutoencoderKL, wide: AutoencoderKL) -> None:
    """Copy a VAE into one with more latent channels or residual blocks.

    Further channels start at small random weights, further blocks as the identity.

    The encoder's last layers hold means, then log-variances, so the two halves are copied apart.
    """
    old, new = narrow.state_dict(), wide.state_dict()
    for name, value in new.items():
        if name not in old and ".conv2." in name:  # a further residual block starts as the identity
            value.zero_()
    fewer, more = narrow.config.latent_channels, wide.config.latent_channels
    for name, value in old.items():
        target = new[name]
        if target.shape == value.shape:
            target.copy_(value)
            continue
        outputs = [(0, 0)] if target.shape[0] == more else [(0, 0), (fewer, more)]
        outputs = outputs if target.shape[0] != value.shape[0] else [(0, 0)]
        rows = fewer if target.shape[0] != value.shape[0] else value.shape[0]
        halves = [(0, 0)]
        columns = 0
        if value.ndim > 1 and target.shape[1] != value.shape[1]:
            halves = [(0, 0), (fewer, more)] if target.shape[1] == 2 * more else [(0, 0)]
            columns = fewer
        for row_old, row_new in outputs:
            for column_old, column_new in halves:
                if value.ndim == 1:
                    target[row_new : row_new + rows] = value[row_old : row_old + rows]
                else:
                    span = columns or value.shape[1]
                    target[row_new : row_new + rows, column_new : column_new + span] = value[
                        row_old : row_old + rows, column_old : column_old + span
                    ]
    wide.load_state_dict(new)


class VaeStage(Stage):
    """Trains the VAE, first on crops around the animal, the last part on full pictures.

    Args:
        pictures: Corpus of the backbone.
        channels: Width per level.
        layers: Residual blocks per level.
        latent_channels: Channels of the latents.
        start: Folder of a VAE with as many or fewer latent channels and residual blocks to start from, or None.
        freeze_encoder: Train the decoder alone; latents and scaling factor then stay what they are in `start`, so
            that a U-Net trained on them stays valid.
        foreground_weight: The animal counts 1 + this.
        crop: Height and width of the crops.
        batch: Crops per step.
        full_batch: Pictures per step of the last part.
        full_from: Share of the steps after which full pictures are shown.
        kl: Weight of the mean KL divergence per latent element.
        fidelity: See `reconstruction_loss`.
        settings: Keyword arguments of `Stage`.
    """

    hot = ("vae.encoder", "vae.decoder")

    def __init__(
        self,
        pictures: Pictures,
        *,
        channels: Sequence[int],
        layers: int = 1,
        latent_channels: int = 4,
        start: str | None = None,
        freeze_encoder: bool = False,
        foreground_weight: float = 1.0,
        crop: tuple[int, int] = (32, 48),
        batch: int = 32,
        full_batch: int = 8,
        full_from: float = 0.85,
        kl: float = 1e-3,
        fidelity: float = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        vae = build(channels, layers=layers, latent_channels=latent_channels)
        self.scaling_factor: float | None = None
        if start is not None:
            given = AutoencoderKL.from_pretrained(start, use_safetensors=True).float()
            widen(given, vae)
            if freeze_encoder:
                self.scaling_factor = float(given.config.scaling_factor)
        if freeze_encoder:
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)
        self.vae = vae.to(memory_format=torch.channels_last)  # 10 % faster on CPU
        self.foreground_weight, self.fidelity = foreground_weight, fidelity
        self.images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
        self.masks = torch.from_numpy(pictures.masks)[:, None]
        self.boxes = bounding_boxes(pictures.masks)
        self.crop, self.batch, self.full_batch, self.full_from, self.kl = tuple(crop), batch, full_batch, full_from, kl

    def pieces(self, draw: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures or crops, mirrored half of the time: (n, 3, h, w) in [-1, 1] and masks (n, 1, h, w) in [0, 1]."""
        whole = self.global_step >= self.full_from * self.max_steps
        index = torch.randint(len(self.images), (self.full_batch if whole else self.batch,), generator=draw)
        images, masks = self.images[index], self.masks[index]
        if not whole:
            h, w = self.crop
            height, width = images.shape[-2:]
            places = corners(self.boxes[index], (height, width), (h, w), draw).tolist()
            images = torch.stack([x[:, t : t + h, q : q + w] for x, (t, q) in zip(images, places, strict=True)])
            masks = torch.stack([x[:, t : t + h, q : q + w] for x, (t, q) in zip(masks, places, strict=True)])
        if torch.rand((), generator=draw) < 0.5:
            images, masks = images.flip(-1), masks.flip(-1)
        return images.to(self.device) / 127.5 - 1, masks.to(self.device) / 255

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Reconstruction from a sampled latent plus a small KL term."""
        images, masks = self.pieces(draw)
        posterior = self.vae.encode(images).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=draw).to(self.device)
        output = self.vae.decode(posterior.mean + posterior.std * noise).sample.float()
        divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        value = reconstruction_loss(output, images, self.foreground_weight * masks, fidelity=self.fidelity)
        value = value + self.kl * divergence
        error = ((output.detach().clamp(-1, 1) - images) / 2).square().mean((1, 2, 3))
        return value, {"psnr": -10 * error.log10().mean(), "kl": divergence.detach()}

    def export(self, folder: Path) -> None:
        """Write `folder/mini/vae` with the scaling factor that gives latents unit variance."""
        vae = self.averaged("vae")
        assert isinstance(vae, AutoencoderKL)
        scale = self.scaling_factor
        if scale is None:
            latents = encode(vae, self.images[:: max(1, len(self.images) // 256)][:256])
            scale = round(1 / float(latents.std()), 5)
        vae.register_to_config(scaling_factor=scale)
        with atomic_write(folder / "mini" / "vae") as temporary:
            vae.half().to(memory_format=torch.contiguous_format).save_pretrained(temporary)


@torch.no_grad()
def encode(vae: AutoencoderKL, images: torch.Tensor, *, batch: int = 32, mirror: bool = False) -> torch.Tensor:
    """Means of the latents of uint8 pictures (n, 3, h, w): float (n, c, h / 4, w / 4), not yet scaled."""
    device = next(vae.parameters()).device
    parts = []
    for part in images.split(batch):
        frames = part.to(device).float() / 127.5 - 1
        parts.append(vae.encode(frames.flip(-1) if mirror else frames).latent_dist.mean.float().cpu())
    return torch.cat(parts)
