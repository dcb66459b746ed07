"""What a training cost: time, memory, trained weights."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from maskvid.files import atomic_write, json_text

STATUS = Path("/proc/self/status")
"""Of Linux, whose `getrusage` begins with the peak of the process that started this one."""


def peak_memory_mb() -> float:
    """Most memory held so far in MiB: of the GPU's allocator where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    if STATUS.exists():
        status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(status["VmHWM"].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class Cost(Callback):
    """Write `<folder>/cost.json` when training ends, and give the same to the loggers.

    Its keys are `train_seconds`, with the validations in between and without those of a part resumed from,
    `peak_memory_mb`, on a CPU of the whole process, and `trained_parameters`.
    """

    def __init__(self, *, folder: str | Path) -> None:
        """Configure: `folder` is the run directory."""
        self.folder = Path(folder)
        self._start = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it; rank zero writes."""
        if not trainer.is_global_zero:
            return
        cost = {
            "train_seconds": round(time.monotonic() - self._start, 1),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "trained_parameters": sum(p.numel() for p in pl_module.parameters() if p.requires_grad),
        }
        with atomic_write(self.folder / "cost.json") as path:
            path.write_text(json_text(cost))
        for logger in trainer.loggers:
            logger.log_metrics({f"cost/{key}": float(value) for key, value in cost.items()}, trainer.global_step)
