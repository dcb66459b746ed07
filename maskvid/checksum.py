"""A checksum of tensors: what was altered on the way is not used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    """sha256 over names, shapes, types and bytes, whatever the order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
