"""Checkpoints that are whole or absent.

Lightning 2.6 saves through fsspec, which collects the bytes under the system's temporary folder and moves them over the
target; where that is another file system, as on most clusters, the move is a copy, and a job killed within it leaves a
truncated `last.ckpt` in place of the good one.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from maskvid.errors import UserError
from maskvid.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its target, flush it to disk, then rename. Local paths only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save; `path` holds the previous checkpoint until the new one is complete.

        Args:
            checkpoint: What `torch.save` takes.
            path: Target file.
            storage_options: Not supported, as in the parent.
        """
        if storage_options is not None:
            raise TypeError("AtomicCheckpointIO writes local files; storage_options is not supported")
        with atomic_write(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load tensors and plain containers, whatever the caller asks for: a checkpoint may be a stranger's.

        Raises:
            UserError: The file is damaged, or holds anything else.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
            raise UserError(
                f"ckpt_path={path}: it is damaged, or holds more than tensors and plain numbers, which is never "
                f"loaded; give a checkpoint that maskvid wrote, or begin a new run. PyTorch says: {error}"
            ) from error
        if not isinstance(content, dict) or not {"pytorch-lightning_version", "state_dict"} <= content.keys():
            raise UserError(f"ckpt_path={path}: it is no checkpoint of a run; give one that maskvid wrote.")
        return content
