"""A digest of everything in a backbone that changes its numbers: what an adapter was tuned on."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from typing import Any

import numpy as np
import torch

SIGNS = 4096
"""Weights of each tensor that are looked at, at least where it has so many."""

_DECODER = ("decoder.", "post_quant_conv.")
# Sizes that are defaults of a call, rounding, and parts that do not run.
_NO_FUNCTION = {"sample_size", "dropout", "upcast_attention", "force_upcast"}
_VAE_DECODER = {"up_block_types", "out_channels", "use_post_quant_conv"}
_TEXT_ENCODER = ("hidden_act", "layer_norm_eps", "num_attention_heads", "num_hidden_layers")
# As in diffusers where a scheduler's class does not know a key.
_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
}
_PROBE = "A Fox's 12 caf\u00e9 cafe\u0301 foxes, RUNNING & jumping; \u6c34 [x]"


def fingerprint(pipeline: Any) -> str:
    """A digest of weights, configurations, noise schedule and tokenizers: another training gives another.

    It is the same for a folder that was moved, sharded or put into a single file, and for every type that weights are
    loaded as or stored in: of weights it takes the signs, which rounding does not alter, and for each part a rough
    scale. A configuration counts by what differs from its class's defaults, so that keys which a newer diffusers adds
    do not alter it.

    The VAE's decoder is left out: latents, and hence what is tuned on them, do not depend on it, so that an adapter
    stays valid where the decoder alone was refined, as in the VAEs published for Stable Diffusion 1.x.

    Args:
        pipeline: A Stable-Diffusion-class pipeline.
    """
    digest = hashlib.sha256()
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        module = getattr(pipeline, part, None)
        if module is not None:
            digest.update(f"{part}{json.dumps(_config(part, module), sort_keys=True)}".encode())
            _add_weights(digest, module, skip=_DECODER if part == "vae" else ())
    schedule = {key: pipeline.scheduler.config.get(key, default) for key, default in _SCHEDULE.items()}
    zeros = bool(pipeline.config.get("force_zeros_for_empty_prompt"))
    digest.update(json.dumps([_plain(schedule), zeros], sort_keys=True).encode())
    for part in ("tokenizer", "tokenizer_2"):
        tokenizer = getattr(pipeline, part, None)
        if tokenizer is not None:
            digest.update(f"{part}{json.dumps(_tokenizer(tokenizer), sort_keys=True)}".encode())
    return digest.hexdigest()[:16]


def _config(part: str, module: Any) -> dict[str, Any]:
    """The keys of a model's configuration that change its function."""
    if part.startswith("text_encoder"):
        return {key: _plain(getattr(module.config, key, None)) for key in _TEXT_ENCODER}
    defaults = {key: value.default for key, value in inspect.signature(type(module).__init__).parameters.items()}
    left_out = _NO_FUNCTION | (_VAE_DECODER if part == "vae" else set())
    return {
        key: _plain(value)
        for key, value in module.config.items()
        if not key.startswith("_") and key not in left_out and _plain(value) != _plain(defaults.get(key))
    }


def _add_weights(digest: Any, module: torch.nn.Module, *, skip: tuple[str, ...]) -> None:
    power, count = 0.0, 0
    for name, value in module.state_dict().items():
        if name.startswith(skip) or not value.is_floating_point():
            continue
        flat = value.detach().flatten()
        sample = flat[:: max(1, flat.numel() // SIGNS)].cpu()
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(np.packbits(torch.signbit(sample).numpy()).tobytes())
        power, count = power + float(sample.double().square().sum()), count + len(sample)
    digest.update(f"{4 * math.log2(power / max(1, count) + 1e-30):.0f}".encode())  # steps of 9 %: far above rounding


def _tokenizer(tokenizer: Any) -> list[Any]:
    """Vocabulary, merges, length, special tokens, and what it makes of letters that a normaliser might touch."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model.get("merges") or []]
    probed = tokenizer(_PROBE, verbose=False)["input_ids"]
    return [tokenizer.get_vocab(), merges, tokenizer.model_max_length, special, probed]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
