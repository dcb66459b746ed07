"""Diffusers folders of true architecture at tiny width, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

TEXT_WIDTH = 32

UNETS: dict[str, dict[str, Any]] = {
    "mini": {
        "block_out_channels": (32, 32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 2,
        "layers_per_block": 1,
    },
    "sd1": {"block_out_channels": (32, 64, 64, 64), "attention_head_dim": 8, "layers_per_block": 2},
    "sd2": {
        "block_out_channels": (32, 64, 64, 64),
        "attention_head_dim": (1, 2, 2, 2),
        "layers_per_block": 2,
        "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": (32, 64, 64),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 2),
        "attention_head_dim": (1, 2, 2),
        "layers_per_block": 1,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 8 * 6 + 16,
    },
}
PREDICTION = {"mini": "v_prediction", "sd1": "epsilon", "sd2": "v_prediction", "sdxl": "epsilon"}


def tiny_unet(kind: str, seed: int = 0) -> UNet2DConditionModel:
    """A frozen U-Net: PyTorch multiplies by weights with gradients in another order, to other last bits."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(sample_size=[16, 24], norm_num_groups=8, cross_attention_dim=TEXT_WIDTH, **UNETS[kind])
    return unet.requires_grad_(False).eval()


def byte_tokenizer(length: int = 32) -> CLIPTokenizer:
    letters = list(bytes_to_unicode().values())
    vocab = {
        token: index
        for index, token in enumerate([*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"])
    }
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=length)


def text_config(tokenizer: CLIPTokenizer, width: int = TEXT_WIDTH) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def save_backbone(folder: Path, kind: str = "mini", seed: int = 0, *, factor: int = 4) -> Path:
    """Write a Stable Diffusion (XL) folder whose VAE has a factor, a power of two, and return its path."""
    unet = tiny_unet(kind, seed)
    tokenizer = byte_tokenizer()
    levels = factor.bit_length()
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=(8,) * levels,
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", prediction_type=PREDICTION[kind], clip_sample=False, steps_offset=1
    )
    parts: dict[str, Any] = {"vae": vae, "tokenizer": tokenizer, "unet": unet, "scheduler": scheduler}
    pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline
    if kind == "sdxl":  # two text encoders, whose states lie side by side
        half = TEXT_WIDTH // 2
        pipeline = StableDiffusionXLPipeline(
            **parts,
            text_encoder=CLIPTextModel(text_config(tokenizer, half)),
            text_encoder_2=CLIPTextModelWithProjection(text_config(tokenizer, half)),
            tokenizer_2=byte_tokenizer(),
            add_watermarker=False,
        )
    else:
        pipeline = StableDiffusionPipeline(
            **parts,
            text_encoder=CLIPTextModel(text_config(tokenizer)),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder
