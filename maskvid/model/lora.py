"""A LoRA that is added to the backbone before anything else: read as numbers, and all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskvid.errors import UserError
from maskvid.model.loading import explain, is_local, resolve

_SETTINGS = frozenset(
    {"r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "lora_dropout", "use_rslora", "use_dora",
     "bias", "lora_bias", "fan_in_fan_out", "inference_mode", "base_model_name_or_path", "peft_type", "peft_version",
     "task_type", "revision"}
)  # fmt: skip
"""What a LoRA's header may say of it. peft knows more: modules to import, files to read, weights to make."""

_NOTHING: tuple[Any, ...] = (None, False, "", [], {})
_DEFAULTS = {"init_lora_weights": True, "megatron_core": "megatron.core", "ensure_weight_tying": False}


def add_lora(pipeline: Any, lora: str, scale: float, *, key: str = "backbone.lora") -> None:
    """Fuse a LoRA into the weights, so that inflation finds plain layers.

    Args:
        pipeline: Of the backbone.
        lora: Safetensors file, a folder with one, or a hub id.
        scale: How much of it.
        key: What the user calls it, for messages.

    Raises:
        UserError: It cannot be read, is pickled, holds values that are not finite, asks peft for more than a LoRA, or
            some of it does not fit.
    """
    place, source = f"{key}={lora!r}", resolve(lora)
    if is_local(source) and not Path(source).exists():
        raise UserError(f"{place}: no {source} here; give a file, a folder or a hub id.")
    try:
        where = {"use_safetensors": True, "local_files_only": is_local(source)}
        more = {"unet_config": pipeline.unet.config} if hasattr(pipeline, "text_encoder_2") else {}
        weights, _, header = pipeline.lora_state_dict(source, return_lora_metadata=True, **where, **more)
        _check(place, weights, header)
        pipeline.load_lora_weights(source, **where)
        _refuse_left_over(place, weights, pipeline)
        pipeline.fuse_lora(lora_scale=scale)
        pipeline.unload_lora_weights()
    except UserError:
        raise
    except Exception as error:  # a stranger's file makes the libraries raise anything
        hint = "install the extra `lora`.\n" if "PEFT" in str(error) else ""
        raise UserError(f"{place} cannot be added by diffusers: {hint}{explain(error)}") from error


def _check(place: str, weights: dict[str, Any], header: dict[str, Any] | None) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(f"{place}: {name} holds values that are not finite.")
    for key, value in (header or {}).items():
        setting = key.rpartition(".")[2]
        plain = setting in _SETTINGS or value in _NOTHING or _DEFAULTS.get(setting) == value
        if not plain:
            raise UserError(
                f"{place}: its header sets {key}={value!r:.60}, which is more than a LoRA; only "
                "its ranks and scales are taken."
            )


def _refuse_left_over(place: str, weights: dict[str, Any], pipeline: Any) -> None:
    """Refuse weights that found no layer: diffusers says so in a log, and goes on."""
    parts = [getattr(pipeline, part, None) for part in ("unet", "text_encoder", "text_encoder_2")]
    taken = sum(".lora_" in name for part in parts if part is not None for name, _ in part.named_parameters())
    given = sum("alpha" not in name for name in weights)
    if taken < given or not given:
        raise UserError(
            f"{place}: {given - taken} of its {given} weights have no layer in this backbone; give one "
            "that was trained for it."
        )
