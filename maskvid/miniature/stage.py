"""What every stage of the miniature shares: draws addressed by step, a schedule, averaged weights, resuming."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from maskvid.files import atomic_write, json_text


class Ticks(IterableDataset[int]):
    """An endless source of nothing: a stage draws its own batch from (seed, global step), so resuming is exact."""

    def __iter__(self) -> Iterator[int]:
        """Count without end."""
        return itertools.count()


def generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one training step, a function of seed and step alone."""
    state = np.random.SeedSequence([seed, step]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


def rate(step: int, *, max_steps: int, warmup: int, decay_from: float) -> float:
    """Share of the full learning rate: linear warm-up, flat, then half a cosine down to one percent.

    Args:
        step: Steps done.
        max_steps: Steps in all.
        warmup: Steps of warm-up.
        decay_from: Share of `max_steps` after which the rate falls; 0 makes it a plain cosine.
    """
    if step < warmup:
        return (step + 1) / warmup
    start = max(decay_from * max_steps, warmup)
    if step < start:
        return 1.0
    done = min((step - start) / max(max_steps - start, 1), 1.0)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


class Stage(LightningModule):
    """A stage: subclasses name what is trained, compute a loss from a generator, and export.

    Keyword Args:
        seed: Seed of the draws.
        lr: Peak learning rate of AdamW.
        max_steps: Length of the schedule.
        warmup: Steps of linear warm-up.
        decay_from: Share of `max_steps` after which the rate falls.
        weight_decay: Of AdamW.
        ema: Decay of the weight average, or 0 to export the weights themselves.
    """

    hot: tuple[str, ...] = ()
    """Names of the submodules that take the time, which `fit` compiles on demand."""

    def __init__(
        self,
        *,
        seed: int,
        lr: float,
        max_steps: int,
        warmup: int = 100,
        decay_from: float = 0.0,
        weight_decay: float = 0.01,
        ema: float = 0.0,
    ) -> None:
        super().__init__()
        self.seed, self.lr, self.max_steps = seed, lr, max_steps
        self.warmup, self.decay_from, self.weight_decay, self.ema = warmup, decay_from, weight_decay, ema
        self.average: dict[str, torch.Tensor] = {}

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of one step and figures for the log; every random number comes from `draw`."""
        raise NotImplementedError

    def export(self, folder: Path) -> None:
        """Write the (averaged) weights in half precision for users, whole or not at all."""
        raise NotImplementedError

    def training_step(self, batch: int, batch_idx: int) -> torch.Tensor:
        """Ignores the tick; the step number addresses the batch."""
        value, figures = self.loss(generator(self.seed, self.global_step))
        self.log_dict({"loss": value.detach(), **figures}, prog_bar=True)
        return value

    def configure_optimizers(self) -> Any:
        """AdamW with the schedule of `rate`; not the fused one, whose gradients Lightning does not clip in bfloat16."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: rate(step, max_steps=self.max_steps, warmup=self.warmup, decay_from=self.decay_from),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then average: a hook at the batch's end would come after that of the checkpoint callback."""
        super().optimizer_step(*args, **kwargs)
        if self.ema:
            self.move_average()

    @torch.no_grad()
    def move_average(self) -> None:
        """Move the average; its decay grows with the steps so that early weights are soon forgotten."""
        weights = dict(self.named_parameters())
        if not self.average:
            self.average = {name: weight.detach().clone() for name, weight in weights.items()}
            return
        decay = min(self.ema, (1 + self.global_step) / (10 + self.global_step))
        torch._foreach_lerp_(
            [self.average[name] for name in weights], [w.detach() for w in weights.values()], 1 - decay
        )

    def averaged(self, module_name: str) -> nn.Module:
        """A copy of a submodule that carries the averaged weights, in evaluation mode."""
        module = copy.deepcopy(getattr(self, module_name)).eval()
        prefix = f"{module_name}."
        own = {k.removeprefix(prefix): v for k, v in self.average.items() if k.startswith(prefix)}
        module.load_state_dict(own, strict=False)
        return module

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Plain containers only, so that loading never unpickles code."""
        checkpoint["average"] = self.average

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Bring the average back."""
        self.average = checkpoint["average"]


class Export(Callback):
    """Writes the assets with every checkpoint, so that a usable miniature exists at any time."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_batch_end(self, trainer: Trainer, module: Any, *args: Any) -> None:
        """Export every `every` steps."""
        if trainer.global_step % self.every == 0 and trainer.global_step < trainer.max_steps:
            module.export(self.folder)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Export the final weights."""
        module.export(self.folder)


def precision(accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """The faster training precision: bfloat16 where hardware multiplies it, else float32.

    Measured on processors, a step of the backbone: 1.6 times the speed of float32 with AVX-512's bfloat16 instructions,
    0.6 times with AVX-512 that lacks them.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed"
    multiplies_bf16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if multiplies_bf16 else "32-true"


def fit(
    stage: Stage,
    *,
    run: Path,
    assets: Path,
    save_every: int = 500,
    accelerator: str = "auto",
    compile: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train a stage to its `max_steps`, continuing from `run/last.ckpt` if there is one, then export it.

    Args:
        stage: What to train.
        run: Folder for checkpoints and the CSV log.
        assets: Folder to export to.
        save_every: Steps between checkpoints.
        accelerator: Of the Lightning trainer.
        compile: Compile the stage's networks by `torch.compile`, in place, so that weights keep their names.
        progress: Whether to show a bar.
    """
    for name in stage.hot if compile else ():
        stage.get_submodule(name).compile()
    last = run / "last.ckpt"
    callbacks: list[Callback] = [
        ModelCheckpoint(dirpath=run, save_last=True, save_top_k=0, every_n_train_steps=save_every),
        Export(assets, save_every),
    ]
    if progress:
        callbacks.append(RichProgressBar(refresh_rate=10))
    trainer = Trainer(
        max_steps=stage.max_steps,
        max_epochs=-1,
        accelerator=accelerator,
        devices=1,
        precision=precision(accelerator),
        callbacks=callbacks,
        logger=CSVLogger(str(run), name="", version="log", flush_logs_every_n_steps=50),
        log_every_n_steps=25,
        enable_progress_bar=progress,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    trainer.fit(stage, DataLoader(Ticks(), batch_size=None), ckpt_path=str(last) if last.exists() else None)
    trainer.save_checkpoint(last)  # the last steps too, where `save_every` does not divide them
    with atomic_write(run / "facts.json") as temporary:
        temporary.write_text(json_text({"steps": trainer.global_step, "seed": stage.seed}))
    return trainer
