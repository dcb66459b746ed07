"""A callback that ends a run in the middle, as a fault or a kill would; here, so that other processes can import it."""

import os

from lightning.pytorch import Callback


class FailAt(Callback):
    """Raise once so many steps are done, on one rank or on all; `hard` leaves without a word instead."""

    def __init__(self, step: int, rank: int | None = None, hard: bool = False) -> None:
        self.step, self.rank, self.hard = step, rank, hard

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and self.rank in (None, trainer.global_rank):
            if self.hard:
                os._exit(9)
            raise RuntimeError("as told")
