"""The adapter file: the trained part alone, megabytes; what it belongs to is in its header, and in a JSON beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from maskvid.checksum import checksum
from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.json_reading import parse_json, read_mapping
from maskvid.model.inflate import ROUGH, InflatedUNet

WEIGHTS = "adapter.safetensors"
DESCRIPTION = "adapter.json"
FORMAT = 4
"""Of adapters: 1 counted windows in source frames, 2 held the whole configuration, 3 had another first-frame input."""
HEADER = "maskvid"
"""Key of the description in the header of the weights, so that the one file is enough."""
LARGEST = 2**22  # bytes of that header


def save_adapter(folder: str | Path, steering: dict[str, torch.Tensor], description: dict[str, Any]) -> Path:
    """Write `adapter.safetensors`, which has the description in its header, too, and `adapter.json`, each whole.

    Args:
        folder: Made if it does not exist.
        steering: `InflatedUNet.steering.state_dict()`, averaged or not.
        description: JSON-ready, of the run it came from.

    Returns:
        The path of the weights.

    Raises:
        UserError: A weight is not finite, or the disk cannot be written.
    """
    folder = Path(folder)
    # float32 whatever the run computed in
    weights = {published_name(name): value.detach().cpu().float().contiguous() for name, value in steering.items()}
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise UserError(f"adapter={folder}: {broken[0]} is not finite after this training, and nothing is written.")
    text = json_text({"format": FORMAT, "weights": checksum(weights), "run": description})
    with atomic_write(folder / WEIGHTS) as path:
        save_file(weights, path, metadata={HEADER: text, **_modelspec(description)})
        _sort_header(path)
    with atomic_write(folder / DESCRIPTION) as path:
        path.write_text(text)
    return folder / WEIGHTS


_OURS = re.compile(r"([\w-]+-attn[12])\.(to_q\.lora_[AB]\.weight)")
_THEIRS = re.compile(r"unet\.([\w.]+\.attn[12])\.(to_q\.lora_[AB]\.weight)")


def published_name(name: str) -> str:
    """The name of a weight in the file: queries are a plain LoRA, and have the names that diffusers and PEFT load."""
    plain = _OURS.fullmatch(name)
    return f"unet.{plain[1].replace('-', '.')}.{plain[2]}" if plain else name


def own_name(name: str) -> str:
    """The name within `InflatedUNet.steering` of a weight in the file."""
    plain = _THEIRS.fullmatch(name)
    return f"{plain[1].replace('.', '-')}.{plain[2]}" if plain else name


def _modelspec(description: dict[str, Any]) -> dict[str, str]:
    """What tools of the field show of a model file (https://github.com/Stability-AI/ModelSpec)."""
    run = {part: description.get(part) for part in ("backbone", "method", "clips")}
    backbone, method, clips = (part if isinstance(part, dict) else {} for part in run.values())
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion/maskvid",
        "modelspec.implementation": "maskvid",
        "modelspec.title": f"{method.get('name', 'maskvid')} on {backbone.get('path', 'a backbone')}",
        "modelspec.resolution": f"{clips.get('width', '?')}x{clips.get('height', '?')}",
        "modelspec.license": "Apache-2.0",
    }


def _sort_header(path: Path) -> None:
    """Write the header's keys in order: the library's order is another each time, and same runs make same files."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])


def read_adapter(folder: str | Path) -> dict[str, Any]:
    """Read the description beside the weights, or in their header where they are alone.

    Returns:
        `format`, `weights` (their checksum) and `run`, which nobody has looked at yet: see `maskvid.description`.

    Raises:
        UserError: The folder holds no whole adapter, or one of another format.
    """
    folder = Path(folder)
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"adapter={folder}: no {WEIGHTS} there; give the folder that a training run wrote.")
    beside = (folder / DESCRIPTION).is_file()
    try:
        description = read_mapping(folder / DESCRIPTION) if beside else _in_header(folder / WEIGHTS)
    except UserError as error:
        raise UserError(f"adapter={folder}: {error} Copy the adapter again.") from error
    written = description.get("format", 1)
    if written != FORMAT:
        raise UserError(
            f"adapter={folder}: {DESCRIPTION} is of format {written!r}, this version of maskvid reads {FORMAT}; tune "
            "again, or use the version that wrote it."
        )
    return description


def _in_header(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
    if length > LARGEST:
        raise UserError(f"{path} has a header of {length} bytes, which no adapter has.")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}).") from error
    if text is None:
        raise UserError(f"{path} does not say what it belongs to, and there is no {DESCRIPTION} beside it.")
    found = parse_json(text, path)
    if not isinstance(found, dict):
        raise UserError(f"{path}: its description is no mapping.")
    return found


def load_adapter(folder: str | Path, unet: InflatedUNet, *, exact: bool = False) -> dict[str, Any]:
    """Load the weights into an inflated U-Net of the same method and architecture.

    Args:
        folder: Where `save_adapter` wrote.
        unet: Inflated with the same method as the adapter.
        exact: Whether encoders for rough masks are left as they are, and may be missing on either side.

    Returns:
        The adapter's description.

    Raises:
        UserError: The file is damaged, or its weights are not those of this method on this architecture.
    """
    unet.steering.load_state_dict(_read_weights(folder, unet, exact=exact), strict=not exact)
    return read_adapter(folder)


def mix_adapters(folders: Sequence[str | Path], shares: Sequence[float], unet: InflatedUNet) -> None:
    """Load what several adapters have learnt, each by its share: start + sum of share (adapter - start).

    The start is a function of the method and the backbone (see `InflatedUNet`), so that it was that of every adapter.

    Args:
        folders: Where `save_adapter` wrote.
        shares: One for each; they need not sum to 1, and 1 and 0 give the first adapter alone.
        unet: Freshly inflated, by the method of all of them.

    Raises:
        UserError: As of `load_adapter`.
    """
    start = {name: value.clone() for name, value in unet.steering.state_dict().items()}
    mixed = {name: value.clone() for name, value in start.items()}
    for folder, share in zip(folders, shares, strict=True):
        weights = _read_weights(folder, unet)
        for name in weights:
            end, other = (".low", ".high") if name.endswith(".low") else (".high", ".low")
            turned = share < 0 and name.endswith(end)  # a negative share turns the range of a mask input around
            value = weights[name.removesuffix(end) + other] if turned else weights[name]
            mixed[name] += share * (value - start[name])
    unet.steering.load_state_dict(mixed)


def _read_weights(folder: str | Path, unet: InflatedUNet, *, exact: bool = False) -> dict[str, torch.Tensor]:
    description = read_adapter(folder)
    try:
        with safe_open(Path(folder) / WEIGHTS, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise UserError(f"adapter={folder}: {WEIGHTS} is damaged ({error}); copy the adapter again.") from error
    if checksum(weights) != description.get("weights"):
        raise UserError(f"adapter={folder}: {WEIGHTS} is not what {DESCRIPTION} belongs to; copy both again.")
    weights = {own_name(name): value for name, value in weights.items()}
    own = unet.steering.state_dict()
    if exact:
        weights, own = ({n: x for n, x in each.items() if not n.startswith(ROUGH)} for each in (weights, own))
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [fault for name, value in weights.items() if (fault := _fault(name, value, own.get(name)))]
    if faults:
        raise UserError(
            f"adapter={folder} was trained for another architecture or method, or is none ({len(faults)} faults, "
            f"first: {faults[0]})."
        )
    return weights


def _fault(name: str, value: torch.Tensor, own: torch.Tensor | None) -> str | None:
    """What is wrong with a tensor of an adapter, in words."""
    if own is None:
        return f"{name} is unknown"
    if value.shape != own.shape:
        return f"{name} has shape {tuple(value.shape)}, not {tuple(own.shape)}"
    if value.dtype != own.dtype:
        return f"{name} is {value.dtype}, not {own.dtype}"
    return None if value.isfinite().all() else f"{name} holds values that are not finite"
