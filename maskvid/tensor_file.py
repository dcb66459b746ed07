"""Safetensors that anyone may have written: what a file declares is looked at before any of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from maskvid.errors import UserError


def read_tensors(path: str | Path, shapes: Mapping[str, torch.Size] | None = None) -> dict[str, torch.Tensor]:
    """Read all tensors of a file.

    Args:
        path: Of the safetensors file.
        shapes: What it must hold, no more and no less; None takes what is there.

    Returns:
        Tensors by name, on the CPU; floating-point numbers are all finite.

    Raises:
        UserError: It is missing, damaged, or holds something else; the message begins with the path.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        with safe_open(path, framework="pt") as handle:
            found = {name: tuple(handle.get_slice(name).get_shape()) for name in handle.keys()}  # noqa: SIM118
            if shapes is not None and (fault := _fault(found, shapes)):
                raise UserError(f"{path}: {fault}.")
            tensors = {name: handle.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged or no safetensors file ({error}).") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{path}: {name} holds values that are not finite.")
    return tensors


def _fault(found: Mapping[str, tuple[int, ...]], shapes: Mapping[str, torch.Size]) -> str | None:
    for name, shape in shapes.items():
        if name not in found:
            return f"{name} is missing"
        if found[name] != tuple(shape):
            return f"{name} has shape {found[name]}, not {tuple(shape)}"
    return next((f"{name} is unknown" for name in found if name not in shapes), None)
