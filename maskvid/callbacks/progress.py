"""The progress bar."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar


class Lines(ProgressBar):
    """A plain line at long intervals, for log files.

    Args:
        log_every: Optimiser steps between two lines.
    """

    def __init__(self, log_every: int) -> None:
        """Begin enabled; Lightning disables it on all processes but the first."""
        super().__init__()
        self._log_every, self._enabled = log_every, True
        self._begun, self._from, self._told = 0.0, 0, -1

    def disable(self) -> None:
        """Say nothing."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the clock."""
        self._begun, self._from = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Say where training is."""
        step = trainer.global_step
        if not self._enabled or step % self._log_every or step == self._told:
            return
        self._told = step
        rate = (step - self._from) / max(time.monotonic() - self._begun, 1e-9)
        figures = [f"{name} {value:.4g}" for name, value in trainer.progress_bar_metrics.items()]
        print(f"step {step} of {trainer.max_steps}, {', '.join([*figures, f'{rate:.2f} steps a second'])}", flush=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say that the videos are there."""
        if self._enabled and not trainer.sanity_checking:
            print(f"sampled and scored at step {trainer.global_step}", flush=True)


def progress_bar(refresh_rate: int = 1, log_every: int = 50) -> ProgressBar:
    """A rich bar in a terminal; plain lines at long intervals where the output is a file, as under SLURM.

    Args:
        refresh_rate: Steps between two redraws in a terminal.
        log_every: Steps between two lines in a file.
    """
    if sys.stdout.isatty():
        return RichProgressBar(refresh_rate=refresh_rate, leave=False)
    return Lines(log_every)
