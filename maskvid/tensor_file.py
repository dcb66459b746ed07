"""Safetensors that anyone may have written: what a file declares is looked at before any of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from maskvid.errors import UserError

_TYPES = {torch.float32: "F32"}


def read_tensors(
    path: str | Path,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    dtype: torch.dtype | None = None,
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read the tensors of a file.

    Args:
        path: Of the safetensors file.
        shapes: What it must hold; by these the memory is bounded that reading takes.
        dtype: Of all of them, float32; None takes any.

    Returns:
        Tensors by name, on the CPU, and what the header says beside them. Floating-point numbers are all finite.

    Raises:
        UserError: It is missing, damaged, or holds something else; the message begins with the path.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        with safe_open(path, framework="pt") as handle:
            unknown = [name for name in handle.keys() if name not in shapes]  # noqa: SIM118 - not a mapping
            if unknown:
                raise UserError(f"{path}: {unknown[0]!r:.100} is unknown.")
            tensors = {}
            for name, shape in shapes.items():
                declared = handle.get_slice(name)
                if tuple(declared.get_shape()) != shape:
                    raise UserError(f"{path}: {name} has shape {tuple(declared.get_shape())}, not {shape}.")
                if dtype is not None and declared.get_dtype() != _TYPES[dtype]:
                    raise UserError(f"{path}: {name} is of another type, {declared.get_dtype()}.")
                tensors[name] = handle.get_tensor(name)
            header = handle.metadata() or {}
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # PyTorch's: a file too large to map
        raise UserError(f"{path} is damaged or no safetensors file ({error}).") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{path}: {name} holds values that are not finite.")
    return tensors, header
