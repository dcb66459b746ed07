"""Training ends well whatever ends it: a signal between two steps, or a loss or a weight that is no number."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from maskvid.callbacks.adapter_file import AdapterFile
from maskvid.errors import UserError
from maskvid.stopping import stopping

REMEDY = (
    "Lower optim.learning_rate and optim.mask_learning_rate, or trainer.gradient_clip_val; with "
    "trainer.precision=16-mixed try bf16-mixed."
)


class StopWell(Callback):
    """Stop behind a step with checkpoint and adapter written; stop at once where loss or weights are not finite.

    A signal reaches the processes of a run at different steps, so that with several only what was saved before counts.
    """

    def __init__(self, adapter: AdapterFile) -> None:
        """Configure: `adapter` writes the adapter."""
        self.adapter = adapter

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals back from Lightning; a validation is left at once, for nothing is lost by it."""
        stopping.listen()
        stopping.at_once()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals back from Lightning, which would end the run with status 0, and let steps be finished."""
        stopping.listen()
        self._let_finish(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the steps behind it be finished."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._let_finish(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss, and at whether a signal came.

        Raises:
            UserError: The loss is not finite.
        """
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor) and not bool(torch.isfinite(loss)):
            rates = sorted({float(group["lr"]) for group in trainer.optimizers[0].param_groups})
            raise UserError(
                f"the loss of step {trainer.global_step} is {float(loss)}, at learning rates "
                f"{', '.join(f'{rate:.3g}' for rate in rates)}. {kept(trainer)} {REMEDY}"
            )
        self._stop_if_asked(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the last good checkpoint.

        Raises:
            UserError: A trained weight is not finite.
        """
        for name, value in pl_module.named_parameters():
            if value.requires_grad and not bool(value.isfinite().all()):
                raise UserError(f"{name} is not finite after step {trainer.global_step}. {kept(trainer)} {REMEDY}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look once more."""
        self._stop_if_asked(trainer, pl_module)
        stopping.at_once()

    def _let_finish(self, trainer: Trainer) -> None:
        if trainer.world_size == 1:
            stopping.wait()

    def _stop_if_asked(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if stopping.asked is None:
            return
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is not None:
                trainer.save_checkpoint(f"{callback.dirpath}/last.ckpt")
        self.adapter.write(trainer, pl_module)
        stopping.remedy = f"Checkpoint and adapter of step {trainer.global_step} are written. {stopping.remedy}"
        stopping.stop()


def kept(trainer: Trainer) -> str:
    """Which checkpoint a run that fails leaves."""
    paths = [str(callback.last_model_path) for callback in trainer.checkpoint_callbacks
             if isinstance(callback, ModelCheckpoint) and callback.last_model_path]  # fmt: skip
    return f"The last good checkpoint is {paths[0]}." if paths else "No checkpoint was written yet."
