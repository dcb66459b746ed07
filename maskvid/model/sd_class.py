"""What a U-Net must be made of for inflation to be right: the blocks of Stable Diffusion, and no others."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import nn

from maskvid.errors import UserError

_CONFIG = {
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "addition_embed_type": (None, "text_time"),
    "encoder_hid_dim_type": (None,),
    "time_cond_proj_dim": (None,),
    "dual_cross_attention": (False,),
    "attention_type": ("default",),
}
"""Keys of a U-Net's configuration with what this project feeds; anything else asks for inputs that it has not got."""


def refuse_unlike(pipeline: Any, path: str) -> None:
    """Refuse a pipeline whose U-Net or tokenizers inflation and prompts would treat wrongly.

    The attention processors of this project take self-attention for `attn1` and cross-attention for `attn2` of a
    `BasicTransformerBlock`, and know nothing of norms or residuals inside an attention layer.

    Args:
        pipeline: With U-Net, VAE and tokenizer.
        path: As the user named it, for messages.

    Raises:
        UserError: It is no Stable-Diffusion-class pipeline; the message says what is there.
    """
    unet, vae = pipeline.unet, pipeline.vae
    found = _unlike_unet(unet, vae.config.latent_channels)
    second = getattr(pipeline, "tokenizer_2", None)
    if second is not None:
        first = pipeline.tokenizer
        if first.model_max_length != second.model_max_length or first.get_vocab() != second.get_vocab():
            found.append("two tokenizers that split a prompt differently")
    if found:
        raise UserError(
            f"backbone.path={path!r} is no Stable-Diffusion-class text-to-image backbone: it has {'; '.join(found)}. "
            "Give one of the architecture of Stable Diffusion 1.x, 2.x or XL."
        )


def _unlike_unet(unet: Any, latent_channels: int) -> list[str]:
    if not isinstance(unet, UNet2DConditionModel):
        return [f"a {type(unet).__name__} in place of a UNet2DConditionModel"]
    config, found = unet.config, []
    for key in ("in_channels", "out_channels"):
        if config[key] != latent_channels:
            hint = ", as for inpainting or other pictures beside the latents" if key == "in_channels" else ""
            found.append(f"a U-Net with {key}={config[key]} for latents of {latent_channels} channels{hint}")
    found += [
        f"a U-Net with {key}={config.get(key)!r}"
        for key, known in _CONFIG.items()
        if config.get(key, known[0]) not in known
    ]
    reasons: dict[str, str] = {}  # one layer for each reason: a U-Net has many alike
    for name, layer in unet.named_modules():
        if isinstance(layer, Attention):
            owner = unet.get_submodule(name.rpartition(".")[0])
            for reason in _unlike_attention(name.rpartition(".")[2], layer, owner):
                reasons.setdefault(reason, name)
    return found + [f"attention with {reason} ({name})" for reason, name in reasons.items()]


def _unlike_attention(name: str, layer: Attention, owner: nn.Module) -> list[str]:
    if not isinstance(owner, BasicTransformerBlock) or name not in ("attn1", "attn2"):
        return [f"another place than attn1 or attn2 of a transformer block, in a {type(owner).__name__}"]
    found = []
    if layer.is_cross_attention != (name == "attn2"):
        found.append("words in self-attention" if name == "attn1" else "no words in cross-attention")
    for attribute, words in (
        ("group_norm", "a group norm"),
        ("spatial_norm", "a spatial norm"),
        ("norm_cross", "a norm of the words"),
        ("norm_q", "a norm of its queries"),
        ("norm_k", "a norm of its keys"),
        ("added_kv_proj_dim", "added key and value projections"),
    ):
        if getattr(layer, attribute, None) is not None:
            found.append(words)
    if layer.residual_connection:
        found.append("a residual connection")
    if layer.rescale_output_factor != 1:
        found.append("a rescaled output")
    if not layer.scale_qk:
        found.append("logits that are not scaled")
    return found
