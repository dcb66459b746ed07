"""First frames that follow their mask: a ControlNet of diffusers beside the backbone's 2-D U-Net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, DiffusionPipeline
from huggingface_hub import hf_hub_download
from torch.nn import functional as F

from maskvid.errors import UserError
from maskvid.model.loading import explain, is_local, resolve
from maskvid.settings import PICTURES
from maskvid.weights_folder import check_config, check_weights_folder, refuse_broken

Control = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Any], tuple[Any, Any]]
"""Latents, timesteps, text and added conditions of n pictures -> residuals of the U-Net's down blocks and middle."""


def control_picture(masks: torch.Tensor, kind: str) -> torch.Tensor:
    """A mask as ControlNets are conditioned on it.

    Args:
        masks: (b, 1, H, W) in [0, 1], 1 is foreground.
        kind: `filled`, white on black; `edge`, a white outline of one pixel, as Canny's; `scribble`, an outline about
            as thick as a pen's, a hundredth of the shorter side to each side of the edge.

    Returns:
        (b, 3, H, W) in [0, 1].

    Raises:
        UserError: `kind` is none of those.
    """
    if kind not in PICTURES:
        raise UserError(f"backbone.control_picture={kind!r}: choose one of {', '.join(PICTURES)}.")
    if kind == "filled":
        return masks.expand(-1, 3, -1, -1)
    solid = (masks >= 0.5).float()
    inner = -F.max_pool2d(-solid, 3, stride=1, padding=1)
    line = solid - inner
    if kind == "scribble":
        reach = max(1, round(min(masks.shape[-2:]) / 100))
        line = F.max_pool2d(line, 2 * reach + 1, stride=1, padding=reach)
    return line.expand(-1, 3, -1, -1)


def load_control(path: str, pipeline: Any, *, variant: str | None) -> DiffusionPipeline:
    """A backbone's pipeline with a ControlNet, sharing every part, the safety checker too.

    Args:
        path: Local folder, hub id or `assets://...`.
        pipeline: The backbone's.
        variant: File variant such as `fp16`.

    Raises:
        UserError: It cannot be loaded, or was made for a U-Net of another shape.
    """
    unet, factor = pipeline.unet, 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    source, name = resolve(path), f"backbone.controlnet={path!r}"
    try:
        if is_local(source):
            check_weights_folder(Path(source), name)
        else:
            check_config(Path(hf_hub_download(source, "config.json")), name)
        controlnet = ControlNetModel.from_pretrained(
            source, dtype=unet.dtype, variant=variant, local_files_only=is_local(source), use_safetensors=True
        )
    except UserError:
        raise
    except Exception as error:  # a stranger's files make the libraries raise anything
        reason = explain(error, source, variant)
        raise UserError(f"{name} cannot be loaded by diffusers: {reason}") from error
    refuse_broken(controlnet, name)
    own, given = unet.config, controlnet.config
    for name in ("in_channels", "block_out_channels", "cross_attention_dim", "down_block_types", "layers_per_block"):
        if _plain(own[name]) != _plain(given[name]):
            raise UserError(
                f"backbone.controlnet={path!r} does not fit the backbone: its {name} is {_plain(given[name])}, the "
                f"U-Net's {_plain(own[name])}; give one that was trained for this backbone."
            )
    halvings = 2 ** (len(given.conditioning_embedding_out_channels) - 1)
    if halvings != factor:
        raise UserError(
            f"backbone.controlnet={path!r} does not fit the backbone: it takes pictures of {halvings} times the "
            f"latents' size, the VAE makes {factor}; give one that was trained for this backbone."
        )
    controlnet.requires_grad_(False).eval()
    from diffusers import AutoPipelineForText2Image  # here, as it imports every pipeline there is, for seconds

    controlled = AutoPipelineForText2Image.from_pipe(pipeline, controlnet=controlnet)
    controlled.set_progress_bar_config(disable=True)
    return controlled


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
