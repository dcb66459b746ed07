"""Loggers: Weights & Biases without surprises, and logging of pictures to whoever can show them."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from maskvid.files import atomic_write


def wandb_mode() -> str:
    """Mode for Weights & Biases: what the user's environment asks for, else offline.

    `WANDB_MODE` decides where set; an API key in `WANDB_API_KEY` means online. Otherwise the run is kept in files
    (`wandb sync` uploads them later), so that nothing asks for a login or leaves the machine unasked.
    """
    mode = os.environ.get("WANDB_MODE", "").strip()
    if mode:
        return mode
    return "online" if os.environ.get("WANDB_API_KEY") else "offline"


def wandb_logger(
    *, save_dir: str | Path, id: str | None = None, resumed: str | None = None, **options: Any
) -> WandbLogger:
    """Make a `WandbLogger` in the mode of `wandb_mode`.

    Args:
        save_dir: Run directory; `wandb` is made in it.
        id: Of the W&B run; None makes a new one, or, where a run is resumed, takes the one kept in `save_dir`.
        resumed: The checkpoint the run goes on from, or None.
        options: Passed to `WandbLogger`: project, name, group, tags, notes, ...
    """
    mode, kept = wandb_mode(), Path(save_dir) / "wandb_run_id.txt"
    if id is None and resumed is not None and kept.exists():
        id = kept.read_text().strip()
    id = secrets.token_hex(4) if id is None else id
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        with atomic_write(kept) as path:
            path.write_text(id + "\n")
    if not sys.stdout.isatty():  # a log file has no use for curves drawn in letters
        options["settings"] = {"quiet": True, **options.get("settings", {})}
    return WandbLogger(save_dir=str(save_dir), offline=mode == "offline", mode=mode, id=id, resume="allow", **options)


def log_pictures(trainer: Trainer, key: str, *, video: Path, outlined: Path | None, sheet: Path, caption: str) -> None:
    """Show a video, the same with masks outlined, and its sheet of frames in every logger that can; on rank zero."""
    step = trainer.global_step
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_video(f"{key}/video", [str(video)], step, caption=[caption], format=[video.suffix[1:]])
            if outlined is not None:
                logger.log_video(f"{key}/outlined", [str(outlined)], step, caption=[caption], format=["mp4"])
            logger.log_image(f"{key}/frames", [str(sheet)], step, caption=[caption])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"{key}/frames", np.asarray(Image.open(sheet)), step, dataformats="HWC")
            logger.experiment.add_text(f"{key}/prompt", caption, step)
