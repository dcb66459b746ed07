"""Exponential moving average of the trained parameters, and of nothing else.

Lightning's `EMAWeightAveraging` deep-copies the whole module, frozen backbone included, and averages integer buffers
into nonsense; here only what is trained is kept twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from maskvid.bounds import check_arguments
from maskvid.errors import UserError


class EMA(Callback):
    """Average the trainable parameters after every optimiser step; validate and save with the average.

    After update number n the average is `d * average + (1 - d) * parameter` with
    `d = min(decay, (1 + n) / (warmup + n))`: a short run is not dominated by its first step. The average is float32
    and goes into the checkpoint with its counter, so that a resumed run continues it bit for bit.
    """

    def __init__(self, decay: float = 0.999, *, warmup: float = 10.0) -> None:
        """Configure the average.

        Args:
            decay: Limit of the decay per optimiser step, in [0, 1).
            warmup: Steps over which the decay rises, >= 1; 1 starts at the limit.

        Raises:
            UserError: A value out of range.
        """
        check_arguments(self, "callbacks.ema.", decay=decay, warmup=warmup)
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self._last_step = 0
        self._average: dict[str, torch.Tensor] = {}
        self._live: dict[str, torch.Tensor] | None = None

    def decay_at(self, updates: int) -> float:
        """Decay of update number `updates`, which counts from 0."""
        return min(self.decay, (1 + updates) / (self.warmup + updates))

    @torch.no_grad()
    def start(self, module: nn.Module) -> None:
        """Begin the average at the module's parameters, or match the one loaded from a checkpoint to them.

        Raises:
            UserError: The loaded average belongs to other parameters.
        """
        trainable = _trainable(module)
        if not self._average:
            self._average = {name: value.detach().float().clone() for name, value in trainable.items()}
            return
        mismatched = sorted(
            name
            for name in self._average.keys() | trainable.keys()
            if name not in self._average or name not in trainable or self._average[name].shape != trainable[name].shape
        )
        if mismatched:
            raise UserError(
                f"the checkpoint's averaged weights do not fit the trainable parameters ({len(mismatched)} differ, "
                f"first {mismatched[0]}); resume with the method and layers the checkpoint was trained with"
            )
        for name, value in trainable.items():
            self._average[name] = self._average[name].to(value.device)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module's parameters by one step."""
        weight = 1 - self.decay_at(self.updates)
        for name, value in _trainable(module).items():
            self._average[name].lerp_(value.detach().float(), weight)
        self.updates += 1

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Within the block the module computes with the averaged weights; its own return afterwards, exactly.

        Nested use, and use before anything was averaged, leave the module as it is.
        """
        if not self._swap_in(module):
            yield
            return
        try:
            yield
        finally:
            self._swap_out(module)

    @torch.no_grad()
    def _swap_in(self, module: nn.Module) -> bool:
        if self._live is not None or not self._average:
            return False
        self.start(module)  # a checkpoint's average may still be on the CPU
        trainable = _trainable(module)
        self._live = {name: value.detach().clone() for name, value in trainable.items()}
        for name, value in trainable.items():
            value.copy_(self._average[name])
        return True

    @torch.no_grad()
    def settle(self, module: nn.Module) -> None:
        """Make the average the module's own weights for good, and forget it."""
        if self._swap_in(module):
            self._live, self._average = None, {}

    @torch.no_grad()
    def _swap_out(self, module: nn.Module) -> None:
        if self._live is None:
            return
        for name, value in _trainable(module).items():
            value.copy_(self._live[name])
        self._live = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, or continue from a checkpoint, which Lightning has loaded by now."""
        self.start(pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count optimiser steps from where this fit begins; Lightning has restored its loops by now."""
        self._last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average after every optimiser step, not after every accumulated micro-batch."""
        if trainer.global_step > self._last_step:
            self._last_step = trainer.global_step
            self.update(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the average."""
        self._swap_in(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Return to training weights; ModelCheckpoint's hook runs later, Lightning orders it last."""
        self._swap_out(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Return to training weights when validation fails, so that whoever saves next saves those."""
        self._swap_out(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep training weights in a checkpoint taken in the middle of a validation."""
        if self._live is not None:
            checkpoint["state_dict"].update(
                {name: value for name, value in self._live.items() if name in checkpoint["state_dict"]}
            )

    def state_dict(self) -> dict[str, Any]:
        """The average and its counter, as plain containers for weights-only loading."""
        return {"average": dict(self._average), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the average of a checkpoint."""
        self._average = {name: value.clone() for name, value in state_dict["average"].items()}
        self.updates = state_dict["updates"]


def settle(trainer: Trainer, module: nn.Module) -> None:
    """Make the averaged weights the module's own, if the trainer averages; else change nothing."""
    for callback in getattr(trainer, "callbacks", []):
        if isinstance(callback, EMA):
            callback.settle(module)


def averaged(trainer: Trainer, module: nn.Module) -> AbstractContextManager[None]:
    """Context in which `module` has the averaged weights, if the trainer averages; else it changes nothing."""
    for callback in getattr(trainer, "callbacks", []):
        if isinstance(callback, EMA):
            return callback.applied(module)
    return nullcontext()


def _trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in module.named_parameters() if value.requires_grad}
