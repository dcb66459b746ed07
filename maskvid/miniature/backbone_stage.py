"""The miniature's text-to-image model: a small U-Net and CLIP text encoder, trained jointly on cached latents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from maskvid.files import atomic_write, json_text
from maskvid.miniature.stage import Stage
from maskvid.miniature.tokenizer import CONTEXT
from maskvid.miniature.vae import encode
from maskvid.model.known_words import KNOWN_WORDS
from maskvid.world.captions import vocabulary
from maskvid.world.stills import Pictures


def build_unet(
    channels: Sequence[int], *, width: int, size: tuple[int, int], latent_channels: int = 4, head: int = 48
) -> UNet2DConditionModel:
    """An untrained three-level U-Net.

    The way down attends from the second level on, the way up on the second and the top level: attention at full
    latent resolution is what masks steer, and its third copy on the way down cost a quarter of the step.

    Args:
        channels: Width per level.
        width: Width of the text embeddings.
        size: Height and width of the latents.
        latent_channels: Channels of the latents.
        head: Channels of an attention head.
    """
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=tuple(max(1, c // head) for c in channels),  # a historical name: the number of heads
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: CLIPTokenizer, *, width: int, layers: int) -> CLIPTextModel:
    """An untrained CLIP text model for `tokenizer`."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, width // 32),
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_scheduler() -> DPMSolverMultistepScheduler:
    """Stable Diffusion's noise schedule, predicting v, sampled by DPM-Solver++."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (n, 32), padded and cut as `StableDiffusionPipeline` does it."""
    return tokenizer(texts, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt").input_ids


def cached_latents(vae: AutoencoderKL, pictures: Pictures, path: Path) -> torch.Tensor:
    """Scaled latents (2, n, c, h, w) of the pictures and of their mirror images, computed once for one VAE.

    Args:
        vae: The trained VAE.
        pictures: Corpus of the backbone.
        path: Where to keep them; recomputed if the encoder or the corpus is another.
    """
    weights = torch.cat([p.detach().float().flatten() for p in vae.encoder.parameters()])
    key = torch.stack([weights.sum(), weights.square().sum(), torch.tensor(float(len(pictures)))])
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if torch.equal(kept["key"], key.cpu()):
            return kept["latents"]
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    latents = torch.stack([encode(vae, images, mirror=mirror) for mirror in (False, True)])
    latents *= vae.config.scaling_factor
    with atomic_write(path) as temporary:
        torch.save({"key": key.cpu(), "latents": latents}, temporary)
    return latents


class BackboneStage(Stage):
    """Trains U-Net and text encoder to predict v.

    Args:
        latents: Scaled latents (2, n, c, h, w), plain and mirrored.
        masks: float (n, 1, h, w) in [0, 1], the animals on the latents' grid.
        captions: n captions.
        tokenizer: Of the miniature.
        vae: The VAE that belongs to the latents; exported along.
        channels: Width of the U-Net per level.
        width: Width of the text embeddings.
        text_layers: Layers of the text encoder.
        batch: Pictures per step.
        drop: Share of captions replaced by the empty prompt.
        foreground: Extra weight of the animal where the noise still lets it be seen (our interpretation: the weight is
            multiplied by the signal's share of the variance, so that it does not bias what is decided from noise).
        start: Folder of an exported miniature of this architecture to start from, or None. Its latents must be those of
            `vae`.
        settings: Keyword arguments of `Stage`.
    """

    hot = ("unet",)

    def __init__(
        self,
        latents: torch.Tensor,
        masks: torch.Tensor,
        captions: list[str],
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        *,
        channels: Sequence[int],
        width: int = 128,
        text_layers: int = 3,
        batch: int = 32,
        drop: float = 0.1,
        foreground: float = 1.0,
        start: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        c, h, w = latents.shape[-3:]
        self.unet = build_unet(channels, width=width, size=(h, w), latent_channels=c)
        self.text = build_text_encoder(tokenizer, width=width, layers=text_layers)
        if start is not None:
            given = UNet2DConditionModel.from_pretrained(start, subfolder="unet", use_safetensors=True)
            self.unet.load_state_dict(given.float().state_dict())
            self.text.load_state_dict(
                CLIPTextModel.from_pretrained(start, subfolder="text_encoder", use_safetensors=True)
                .float()
                .state_dict()
            )
        self.latents, self.masks = latents, masks
        self.tokens = tokenize(tokenizer, captions)
        self.empty = tokenize(tokenizer, [""])
        self.tokenizer, self.scheduler = tokenizer, build_scheduler()
        # In a tuple the VAE is no submodule, hence neither trained nor in the checkpoint.
        self.frozen: tuple[nn.Module, ...] = (vae,)
        self.batch, self.drop, self.foreground = batch, drop, foreground

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Squared error of v over uniformly drawn timesteps."""
        index = torch.randint(self.latents.shape[1], (self.batch,), generator=draw)
        mirror = torch.randint(2, (self.batch,), generator=draw)
        clean = self.latents[mirror, index].float()
        mask = torch.where(mirror.view(-1, 1, 1, 1) == 1, self.masks[index].flip(-1), self.masks[index])
        empty = torch.rand(self.batch, generator=draw) < self.drop
        tokens = torch.where(empty[:, None], self.empty, self.tokens[index])
        # One timestep from each of `batch` equal strata: the same distribution, less variance.
        steps = (torch.arange(self.batch) + torch.rand(self.batch, generator=draw)) / self.batch
        timesteps = (steps * len(self.scheduler.alphas_cumprod)).long()
        noise = torch.randn(clean.shape, generator=draw)
        alpha = self.scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        weight = 1 + self.foreground * alpha * mask
        noisy, target, weight, timesteps, tokens = (
            x.to(self.device) for x in (noisy, target, weight, timesteps, tokens)
        )
        states = self.text(tokens).last_hidden_state
        prediction = self.unet(noisy, timesteps, encoder_hidden_states=states).sample.float()
        error = (prediction - target).square()
        return (weight * error).mean(), {"v": error.detach().mean()}

    def export(self, folder: Path) -> None:
        """Write `folder/mini`: the whole Stable Diffusion folder in half precision."""
        vae = self.frozen[0]
        assert isinstance(vae, AutoencoderKL)
        pipeline = assemble(vae, self.averaged("unet"), self.averaged("text"), self.tokenizer)
        with atomic_write(folder / "mini") as temporary:
            pipeline.to(dtype=torch.float16).save_pretrained(temporary)
            (temporary / KNOWN_WORDS).write_text("\n".join(vocabulary()) + "\n")
            # transformers loads in the precision its config names, diffusers in float32: they have to agree.
            config = temporary / "text_encoder" / "config.json"
            config.write_text(json_text({**json.loads(config.read_text()), "dtype": "float32"}))
        vae.float()


def assemble(vae: nn.Module, unet: nn.Module, text: nn.Module, tokenizer: CLIPTokenizer) -> StableDiffusionPipeline:
    """The parts as a `StableDiffusionPipeline`."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def latent_masks(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Masks uint8 (n, H, W) area-averaged to the latents' grid: float (n, 1, h, w) in [0, 1]."""
    parts = [F.adaptive_avg_pool2d(part[:, None].float() / 255, size) for part in masks.split(1000)]
    return torch.cat(parts)
