"""The miniature's mask ControlNet: what makes its first frames stand where the first mask says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline
from torch import nn

from maskvid.files import atomic_write
from maskvid.miniature.backbone_stage import build_scheduler, tokenize
from maskvid.miniature.stage import Stage
from maskvid.model.control import control_picture

EMBEDDING = (16, 32, 64)
"""Widths of the ControlNet's picture encoder: two halvings, as in the miniature's VAE."""


class ControlNetStage(Stage):
    """Trains a `ControlNetModel` on filled masks; U-Net and text encoder stay frozen.

    Args:
        pipeline: The miniature.
        latents: Scaled latents (2, n, c, h, w), plain and mirrored.
        masks: uint8 (n, 1, H, W) at full resolution.
        captions: n captions.
        batch: Pictures per step.
        drop: Share of captions replaced by the empty prompt; so is led what the text leaves open.
        settings: Keyword arguments of `Stage`.
    """

    hot = ("controlnet",)

    def __init__(
        self,
        pipeline: StableDiffusionPipeline,
        latents: torch.Tensor,
        masks: torch.Tensor,
        captions: list[str],
        *,
        batch: int = 32,
        drop: float = 0.3,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        unet, text = pipeline.unet.requires_grad_(False), pipeline.text_encoder.requires_grad_(False)
        self.controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=EMBEDDING)
        # In a tuple they are no submodules, hence neither trained nor in the checkpoint.
        self.frozen: tuple[nn.Module, ...] = (unet, text)
        self.latents, self.masks = latents, masks
        self.tokens, self.empty = tokenize(pipeline.tokenizer, captions), tokenize(pipeline.tokenizer, [""])
        self.alphas = build_scheduler().alphas_cumprod
        self.batch, self.drop = batch, drop

    def on_fit_start(self) -> None:
        """Lightning moves submodules only."""
        for module in self.frozen:
            module.to(self.device)

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Squared error of v over uniformly drawn timesteps."""
        index = torch.randint(self.latents.shape[1], (self.batch,), generator=draw)
        mirror = torch.randint(2, (self.batch,), generator=draw)
        clean = self.latents[mirror, index].float()
        masks = self.masks[index].float() / 255
        masks = torch.where(mirror.view(-1, 1, 1, 1) == 1, masks.flip(-1), masks)
        empty = torch.rand(self.batch, generator=draw) < self.drop
        tokens = torch.where(empty[:, None], self.empty, self.tokens[index])
        # One timestep from each of `batch` equal strata, as in the backbone's training.
        steps = (torch.arange(self.batch) + torch.rand(self.batch, generator=draw)) / self.batch
        timesteps = (steps * len(self.alphas)).long()
        noise = torch.randn(clean.shape, generator=draw)
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        noisy, target, timesteps, tokens, masks = (x.to(self.device) for x in (noisy, target, timesteps, tokens, masks))
        unet, text = self.frozen
        with torch.no_grad():
            states = text(tokens).last_hidden_state
        down, mid = self.controlnet(
            noisy, timesteps, states, controlnet_cond=control_picture(masks, "filled"), return_dict=False
        )
        prediction = unet(
            noisy, timesteps, states, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample
        error = (prediction.float() - target).square().mean()
        return error, {"v": error.detach()}

    def export(self, folder: Path) -> None:
        """Write `folder/mini_controlnet`."""
        controlnet = self.averaged("controlnet")
        assert isinstance(controlnet, ControlNetModel)
        with atomic_write(folder / "mini_controlnet") as temporary:
            controlnet.half().save_pretrained(temporary)
