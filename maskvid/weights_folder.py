"""Folders of weights that anyone may have sent: what is looked at before diffusers, transformers or open_clip read one.

Those libraries take from such a folder the names of classes and modules, code beside the weights, pickles, and ids of
other repositories. Here a folder is data: its weights are safetensors, and nothing in its configurations may name what
is imported, fetched or compiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from maskvid.errors import UserError
from maskvid.json_reading import read_mapping

INDEX = 2**25  # bytes of the list of weights in a sharded model
MOST_LAYERS, LARGEST_SIDE, LARGEST_NUMBER = 256, 2**12, 2**31
SIDES = frozenset({"height", "width", "shortest_edge", "longest_edge", "image_size"})
"""Of the pictures that a network is shown: they are enlarged to these."""

NAMES_CODE = frozenset(
    {"auto_map", "custom_pipelines", "custom_pipeline", "trust_remote_code", "quantization_config", "hf_model_name"}
)
"""Keys of configurations by which libraries find classes, modules or repositories to run."""

_ATTENTION = (None, "eager", "sdpa")  # any other is a compiled kernel, which transformers fetches by its name


def check_weights_folder(folder: Path, name: str) -> None:
    """Refuse a folder of one model whose files could run something, or ask for what no model is.

    Args:
        folder: With `config.json` or the like; what lies in folders below it is not looked at.
        name: As the user gave it, `backbone.path='...'`, for messages.

    Raises:
        UserError: Names the file and what is wrong with it.
    """
    if (folder / "adapter_config.json").exists():
        raise UserError(
            f"{name}: {folder / 'adapter_config.json'} asks for an adapter of peft; give a folder of whole weights."
        )
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".index.json"):
            _check_shards(path, name)
        elif path.name.endswith("config.json"):
            check_config(path, name)


def check_config(path: Path, name: str) -> dict[str, Any]:
    """Read a model's configuration and refuse what names code or is out of all proportion.

    Args:
        path: Of the JSON.
        name: As the user gave it, for messages.

    Returns:
        What it holds.

    Raises:
        UserError: Names the key.
    """
    config = read_config(path, name)
    for key, value in _entries(config):
        if key in NAMES_CODE and value not in (None, False, {}, []):
            raise UserError(f"{name}: {path} has {key}, by which code or other models would be loaded; none is.")
        if "attn_implementation" in key and value not in _ATTENTION:
            raise UserError(f"{name}: {path} asks for the kernel {value!r} ({key}), which would be fetched; none is.")
        if "layers" in key and _numbers(value, MOST_LAYERS):
            raise UserError(f"{name}: {path} asks for {key}={value!s:.60}; no model has more than {MOST_LAYERS}.")
        if key in SIDES and _numbers(value, LARGEST_SIDE):
            raise UserError(f"{name}: {path} asks for pictures of {key}={value!s:.60}; give {LARGEST_SIDE} at most.")
        if "block" in key and isinstance(value, list) and len(value) > MOST_LAYERS:
            raise UserError(f"{name}: {path} asks for {len(value)} {key}; no model has more than {MOST_LAYERS}.")
        # tokenizers write 1e30 for no limit, schedulers minus infinity
        if _numbers(value, LARGEST_NUMBER) and "max_length" not in key and key != "lambda_min_clipped":
            raise UserError(f"{name}: {path} asks for {key}={value!s:.60}, which no model has.")
    return config


def refuse_broken(model: torch.nn.Module, name: str) -> None:
    """Refuse weights that are not finite: everything that is computed with them would be black.

    Raises:
        UserError: Begins with the name that the user gave and says which weight.
    """
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.numel():
            low, high = torch.aminmax(value)  # one pass, no copy; NaN comes through
            if not (low.isfinite() and high.isfinite()):
                raise UserError(f"{name}: {key} holds values that are not finite; copy it again.")


def read_config(path: Path, name: str) -> dict[str, Any]:
    """Read a mapping from JSON; errors begin with the name that the user gave."""
    try:
        return read_mapping(path)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def _check_shards(path: Path, name: str) -> None:
    """Of a list of weights, each file must be safetensors and lie beside it."""
    try:
        weights = read_mapping(path, largest=INDEX).get("weight_map")
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    if ".safetensors." not in path.name:
        return  # of pickles, which are not read
    if not isinstance(weights, dict):
        raise UserError(f"{name}: {path} has no weight_map.")
    for file in weights.values():
        if not (isinstance(file, str) and file.endswith(".safetensors") and Path(file).name == file):
            raise UserError(f"{name}: {path} names {file!r:.100}; weights are .safetensors files beside it.")


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Every key at every level, with its value."""
    nodes = [config]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            yield from node.items()
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node


def _numbers(value: Any, most: int) -> bool:
    """Whether a whole number, or one in a list, is beyond a bound, or another is infinite."""
    values = value if isinstance(value, list) else [value]
    return any(
        abs(entry) > most if isinstance(entry, int) else not math.isfinite(entry)
        for entry in values
        if isinstance(entry, (int, float))
    )
