"""Diffusers pipelines from local folders, the hub and single files, with words for what is wrong with them."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from huggingface_hub import hf_hub_download
from safetensors import safe_open

from maskvid.errors import UserError
from maskvid.files import expanded
from maskvid.model.parts import PARTS, check_parts, read_index

ASSETS = "assets://"
SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


def resolve(path: str) -> str:
    """A path as the libraries take it: `assets://` lies in the package, `~` is the home folder, a hub id stays."""
    if path.startswith(ASSETS):
        return str(resources.files("maskvid") / "assets" / path.removeprefix(ASSETS))
    return str(expanded(path)) if path.startswith("~/") else path


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
    local = is_local(source)
    if local and not Path(source, "model_index.json").is_file():
        raise UserError(f"backbone.path={path!r}: no model_index.json there; give a diffusers folder or a hub id.")
    name = f"backbone.path={path!r}"
    try:
        index, pipeline_class = _index(source, name)
        folder = Path(source if local else pipeline_class.download(source, variant=variant, use_safetensors=True))
        parts = [part for part in PARTS if part in index]
        absent = {part for part in parts if not (folder / part).is_dir()}
        if not safety_checker:
            absent |= {"safety_checker"} & set(parts)
        for part in parts:
            if part in absent and part not in pipeline_class._optional_components:
                raise UserError(f"{name}: the part {part!r} is missing; copy the whole folder.")
        if "feature_extractor" in absent and "safety_checker" in set(parts) - absent:
            raise UserError(
                f"{name}: the safety checker cannot look at pictures without the part 'feature_extractor'; copy the "
                "whole folder, or set backbone.safety_checker=false."
            )
        check_parts(folder, [part for part in parts if part not in absent], name)
        left_out: dict[str, Any] = dict.fromkeys(absent)
        if "safety_checker" in absent:
            left_out["requires_safety_checker"] = False
        return pipeline_class.from_pretrained(
            folder, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True, **left_out
        )
    except UserError:
        raise
    except Exception as error:  # a stranger's files make the libraries raise anything
        reason = explain(error, source, variant)
        raise UserError(f"{name} cannot be loaded by diffusers: {reason}") from error


def _index(source: str, name: str) -> tuple[dict[str, list[str]], Any]:
    """The parts that a folder or a hub id names, and the pipeline they make; nothing else is fetched yet."""
    local = is_local(source)
    path = Path(source, "model_index.json") if local else Path(hf_hub_download(source, "model_index.json"))
    pipeline, parts = read_index(path, name)
    return parts, {kind.__name__: kind for kind in (StableDiffusionPipeline, StableDiffusionXLPipeline)}[pipeline]


def predicting(pipeline: DiffusionPipeline, prediction_type: str) -> DiffusionPipeline:
    """The pipeline, told what its U-Net predicts: `epsilon` or `v_prediction`."""
    scheduler: Any = pipeline.scheduler
    pipeline.register_modules(scheduler=type(scheduler).from_config(scheduler.config, prediction_type=prediction_type))
    return pipeline


def _marked_v(path: str) -> bool:
    """Whether a single file says that it predicts velocity, as those do whose layout does not."""
    with safe_open(path, framework="pt") as file:
        said = (file.metadata() or {}).get("modelspec.prediction_type", "")
        return said in ("v", "v_prediction") or "v_pred" in file.keys()  # noqa: SIM118 - not a mapping


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
        parts, pipeline_class = _index(layout, f"backbone.config={config!r}")
        if local:
            check_parts(Path(layout), list(parts), f"backbone.config={config!r}")
        pipeline = pipeline_class.from_single_file(source, config=layout, local_files_only=local, torch_dtype=dtype)
        return predicting(pipeline, "v_prediction") if _marked_v(source) else pipeline
    except UserError:
        raise
    except Exception as error:  # a stranger's files make the libraries raise anything
        raise UserError(
            f"backbone.path={path!r} cannot be loaded by diffusers with backbone.config={config!r}: {explain(error)}"
        ) from error
