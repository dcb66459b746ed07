"""The checkpoint a run resumes from."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class LastCheckpoint(ModelCheckpoint):
    """Keep one file, `last.ckpt`, renewed every so many steps and once more when training ends.

    Lightning's own saves at the end only when nothing was saved before, so the steps after the last multiple of
    `every_n_train_steps` would be lost; and it saves `last.ckpt` beside a second, equal file.
    """

    def __init__(self, *, dirpath: str | Path, every_n_train_steps: int = 500) -> None:
        """Configure.

        Args:
            dirpath: Folder of `last.ckpt`.
            every_n_train_steps: Optimiser steps between two saves.
        """
        super().__init__(
            dirpath=dirpath,
            save_last=True,
            save_top_k=0,
            every_n_train_steps=every_n_train_steps,
            save_on_train_epoch_end=False,
            enable_version_counter=False,  # a resumed run renews its file instead of starting last-v1.ckpt
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last steps."""
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
