"""Tiny backbones as single files, the way Stable Diffusion 1.x was first released and communities still share it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def unet_name(name: str, layers: int, attends_up: set[int]) -> str:
    """The released name of a weight of a `UNet2DConditionModel` with `layers` layers per block."""
    module, _, kind = name.rpartition(".")
    if module in ENDS:
        return f"{ENDS[module]}.{kind}"
    where, part, index, rest = re.fullmatch(
        r"(down_blocks\.\d+|up_blocks\.\d+|mid_block)\.(\w+)\.(\d+)\.(.+)", name
    ).groups()
    block, layer = int(where.rpartition(".")[2]) if where != "mid_block" else 0, int(index)
    if part == "resnets":
        inner, _, end = rest.rpartition(".")
        rest = f"{RESNET[inner]}.{end}"
    if where == "mid_block":
        return f"middle_block.{1 if part == 'attentions' else 2 * layer}.{rest}"
    if part == "downsamplers":
        return f"input_blocks.{1 + block * (layers + 1) + layers}.0.op.{rest.removeprefix('conv.')}"
    if part == "upsamplers":
        return f"output_blocks.{block * (layers + 1) + layers}.{2 if block in attends_up else 1}.{rest}"
    side, place = ("input_blocks", 1 + block * (layers + 1) + layer)
    if where.startswith("up"):
        side, place = "output_blocks", block * (layers + 1) + layer
    return f"{side}.{place}.{0 if part == 'resnets' else 1}.{rest}"


def vae_name(name: str, levels: int) -> str:
    """The released name of a weight of an `AutoencoderKL` without attention."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)


def save_single_file(folder: Path, path: Path) -> Path:
    """Write the weights of a Stable Diffusion 1.x folder as one file of the released names."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    config = pipeline.unet.config
    attends_up = {i for i, kind in enumerate(config.up_block_types) if kind.startswith("CrossAttn")}
    weights: dict[str, torch.Tensor] = {}
    for name, value in pipeline.unet.state_dict().items():
        weights[f"model.diffusion_model.{unet_name(name, config.layers_per_block, attends_up)}"] = value
    for name, value in pipeline.vae.state_dict().items():
        weights[f"first_stage_model.{vae_name(name, len(pipeline.vae.config.block_out_channels))}"] = value
    for name, value in pipeline.text_encoder.state_dict().items():
        weights[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return path
