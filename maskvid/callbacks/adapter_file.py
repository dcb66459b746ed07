"""The adapter file of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from maskvid.callbacks.ema import averaged
from maskvid.model import ROUGH, merge_ranges, save_adapter


class AdapterFile(Callback):
    """Write the averaged trained part to `adapter/` when training ends; encoders for rough masks once tuned.

    Attributes:
        written: Whether that was done.
        steps: Optimiser steps of the tuning on exact masks.
    """

    def __init__(self, *, folder: str | Path, description: dict[str, Any]) -> None:
        """Configure.

        Args:
            folder: Where `adapter.safetensors` and `adapter.json` go.
            description: Of the run, JSON-ready, see `maskvid.description`.
        """
        self.folder = Path(folder)
        self.description = description
        self.written = False
        self.steps = 0

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the finished adapter."""
        self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save as it stands, on rank zero; every rank must call it. A method not tuned has no training to end."""
        merge_ranges(pl_module)
        self.written = True
        if not trainer.is_global_zero:
            return
        steering = pl_module.get_submodule("unet.steering")
        with averaged(trainer, pl_module):
            weights, method = steering.state_dict(), self.description["method"]
            if not pl_module.rough:
                weights = {name: value for name, value in weights.items() if not name.startswith(ROUGH)}
                method = method | {"rough_masks": 0.0}
                self.steps = trainer.global_step
            save_adapter(self.folder, weights, self.description | {"method": method, "steps": self.steps})
