"""Loggers: Weights & Biases without surprises, and logging of pictures to whoever can show them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from PIL import Image


def wandb_mode() -> str:
    """Mode for Weights & Biases: what the user's environment asks for, else offline.

    `WANDB_MODE` decides where set; an API key in `WANDB_API_KEY` means online. Otherwise the run is kept in files
    (`wandb sync` uploads them later), so that nothing asks for a login or leaves the machine unasked.
    """
    mode = os.environ.get("WANDB_MODE", "").strip()
    if mode:
        return mode
    return "online" if os.environ.get("WANDB_API_KEY") else "offline"


def wandb_logger(*, save_dir: str | Path, **options: Any) -> WandbLogger:
    """Make a `WandbLogger` in the mode of `wandb_mode`.

    Args:
        save_dir: Run directory; `wandb` is made in it.
        options: Passed to `WandbLogger`: project, name, group, id, resume, tags, notes, ...
    """
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    mode = wandb_mode()
    return WandbLogger(save_dir=str(save_dir), offline=mode == "offline", mode=mode, **options)


def log_pictures(trainer: Trainer, key: str, *, video: Path, sheet: Path, caption: str) -> None:
    """Show a video file and its sheet of frames in every logger that can; rank zero's loggers only."""
    step = trainer.global_step
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_video(f"{key}/video", [str(video)], step, caption=[caption], format=[video.suffix[1:]])
            logger.log_image(f"{key}/frames", [str(sheet)], step, caption=[caption])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"{key}/frames", np.asarray(Image.open(sheet)), step, dataformats="HWC")
            logger.experiment.add_text(f"{key}/prompt", caption, step)
