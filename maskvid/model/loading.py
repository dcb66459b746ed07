"""Diffusers pipelines from local folders, the hub and single files, with words for what is wrong with them."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError

from maskvid.errors import UserError

ASSETS = "assets://"
SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
"""What diffusers, transformers and safetensors raise at files that are missing, cut off or of another shape."""


def resolve(path: str) -> str:
    """A path as the libraries take it: `assets://` lies in the package, `~` is the home folder, a hub id stays."""
    if path.startswith(ASSETS):
        return str(resources.files("maskvid") / "assets" / path.removeprefix(ASSETS))
    return str(Path(path).expanduser()) if path.startswith("~") else path


def is_local(source: str) -> bool:
    """Whether a resolved path names something here and not on the hub."""
    return Path(source).is_absolute() or source.startswith(".") or Path(source).exists()


def explain(error: Exception, source: str | None = None, variant: str | None = None) -> str:
    """Another library's error, whole, for the end of ours; its first line alone often says nothing.

    Args:
        error: What was raised.
        source: Where files were looked for; a folder that holds those of a variant alone is told so.
        variant: The variant asked for.
    """
    text = str(error).strip() or type(error).__name__
    if source is None or variant is not None or not Path(source).is_dir():
        return text
    names = [path.name for path in Path(source).rglob("*") if path.suffix in (".safetensors", ".bin")]
    variants = {found[1] for name in names if (found := re.search(r"\.([a-z]\w*)(-\d+-of-\d+)?\.\w+$", name))}
    hints = [f"It holds files of the variant {name}: give backbone.variant={name}." for name in sorted(variants)]
    return "\n".join([*hints, text])


def load_folder(
    path: str, source: str, dtype: torch.dtype, variant: str | None, *, safety_checker: bool
) -> DiffusionPipeline:
    """A pipeline from a local folder or the hub.

    Args:
        path: As the user named it, for messages.
        source: The same, resolved.
        dtype: Of the weights.
        variant: File variant such as `fp16`.
        safety_checker: Whether one that is there is loaded.

    Raises:
        UserError: There is no pipeline, it lacks a part, or it cannot be read.
    """
    local, folder = is_local(source), Path(source)
    if local and not (folder / "model_index.json").is_file():
        raise UserError(f"backbone.path={path!r}: no model_index.json there; give a diffusers folder or a hub id.")
    try:
        index = DiffusionPipeline.load_config(source, local_files_only=local)
        optional = getattr(getattr(diffusers, str(index.get("_class_name")), None), "_optional_components", [])
        parts = [part for part, value in index.items() if isinstance(value, (list, tuple)) and value[0] is not None]
        absent = {part for part in parts if local and not (folder / part).is_dir()}
        if not safety_checker:
            absent |= {"safety_checker"} & set(parts)
        for part in parts:
            if part in absent and part not in optional:
                raise UserError(f"backbone.path={path!r}: the part {part!r} is missing; copy the whole folder.")
        if "feature_extractor" in absent and "safety_checker" in set(parts) - absent:
            raise UserError(
                f"backbone.path={path!r}: the safety checker cannot look at pictures without the part "
                "'feature_extractor'; copy the whole folder, or set backbone.safety_checker=false."
            )
        left_out: dict[str, Any] = dict.fromkeys(absent)
        if "safety_checker" in absent:
            left_out["requires_safety_checker"] = False
        return DiffusionPipeline.from_pretrained(
            source, dtype=dtype, variant=variant, local_files_only=local, **left_out
        )
    except UserError:
        raise
    except LOADING_ERRORS as error:
        reason = explain(error, source, variant)
        raise UserError(f"backbone.path={path!r} cannot be loaded by diffusers: {reason}") from error


def load_single_file(path: str, source: str, dtype: torch.dtype, config: str | None) -> DiffusionPipeline:
    """A pipeline from the single file of a community checkpoint; it brings no safety checker.

    Args:
        path: As the user named it, for messages.
        source: The same, resolved.
        dtype: Of the weights.
        config: Folder or hub id of the same architecture.

    Raises:
        UserError: The file is pickled, missing, or does not fit `config`.
    """
    if Path(source).suffix != ".safetensors":
        raise UserError(
            f"backbone.path={path!r} is pickled and could run anything when read; give a .safetensors file of it."
        )
    if not Path(source).is_file():
        raise UserError(f"backbone.path={path!r}: no such file.")
    if config is None:
        raise UserError(
            f"backbone.path={path!r} is a single file: give backbone.config=PATH, a diffusers folder or hub id of its "
            "architecture, or choose backbone=sd14|sd15|sd21|sdxl, which name one."
        )
    layout = resolve(config)
    local = is_local(layout)
    try:
        names = DiffusionPipeline.load_config(layout, local_files_only=local)
        pipeline_class: Any = getattr(diffusers, str(names["_class_name"]), None)
        if not hasattr(pipeline_class, "from_single_file"):
            raise UserError(f"backbone.config={config!r}: {names['_class_name']} cannot be read from a single file.")
        return pipeline_class.from_single_file(source, config=layout, local_files_only=local, torch_dtype=dtype)
    except UserError:
        raise
    except LOADING_ERRORS as error:
        raise UserError(
            f"backbone.path={path!r} cannot be loaded by diffusers with backbone.config={config!r}: {explain(error)}"
        ) from error


def add_lora(pipeline: Any, lora: str, scale: float) -> None:
    """Fuse a LoRA into the weights, so that inflation finds plain layers.

    Raises:
        UserError: It cannot be read, or does not fit.
    """
    try:
        pipeline.load_lora_weights(resolve(lora))
        pipeline.fuse_lora(lora_scale=scale)
        pipeline.unload_lora_weights()
    except LOADING_ERRORS as error:
        hint = "install the extra `lora`.\n" if "PEFT" in str(error) else ""
        raise UserError(f"backbone.lora={lora!r} cannot be added by diffusers: {hint}{explain(error)}") from error
