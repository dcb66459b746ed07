"""Callbacks that end a run in the middle or look into it; here, so that other processes can import them."""

import os
import signal
from pathlib import Path

import torch
import torch.distributed
from lightning.pytorch import Callback


class FailAt(Callback):
    """Raise once so many steps are done, on one rank or on all.

    `hard` leaves without a word instead, `still` stands still for ever.
    """

    def __init__(self, step: int, rank: int | None = None, hard: bool = False, still: bool = False) -> None:
        self.step, self.rank, self.hard, self.still = step, rank, hard, still

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and self.rank in (None, trainer.global_rank):
            if self.hard:
                os._exit(9)
            if self.still:
                os.kill(os.getpid(), signal.SIGSTOP)
            raise RuntimeError("as told")


class CountCollectives(Callback):
    """Write how many collective operations Python starts within training steps; DDP's own for gradients are not."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.within = False
        self.seen: list[str] = []

    def on_fit_start(self, trainer, pl_module):
        for name in ("all_reduce", "all_gather", "all_gather_into_tensor", "broadcast", "_broadcast_coalesced"):
            setattr(torch.distributed, name, self._counted(name, getattr(torch.distributed, name)))

    def _counted(self, name, function):
        def call(*args, **kwargs):
            if self.within:
                self.seen.append(name)
            return function(*args, **kwargs)

        return call

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.within = True

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.within = False

    def on_train_end(self, trainer, pl_module):
        if trainer.is_global_zero:
            self.path.write_text(" ".join(self.seen))


class Poison(Callback):
    """Make a trained weight NaN once so many steps are done."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            next(value for value in pl_module.parameters() if value.requires_grad).data.fill_(torch.nan)
