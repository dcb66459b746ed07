"""A run directory belongs to one run: it is not written over, and not by two at once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskvid.errors import UserError
from maskvid.files import clear_temporaries

CHECKPOINT = Path("checkpoints", "last.ckpt")
ROUGH = "rough"
"""Folder of what the stage of rough masks leaves."""
RESULTS = (
    "adapter", "checkpoints", ROUGH, "samples", "csv", "tensorboard", "wandb", "wandb_run_id.txt", "config.yaml",
    "cost.json", "metrics.json", "metrics_per_clip.csv", "finished.json", "failed.json",
)  # fmt: skip
"""What a training leaves in its run directory."""


def unfinished(run_dir: Path) -> bool:
    """Whether nothing in a run directory is worth keeping: what was there ended before its first checkpoint."""
    return not any((run_dir / name).exists() for name in (CHECKPOINT, "adapter", "metrics.json", "finished.json"))


@contextmanager
def claimed(run_dir: Path, *, going_on: bool, overwrite: bool) -> Iterator[None]:
    """Within the block a run directory is this process's alone; a process that dies lets go of it.

    Args:
        run_dir: Made if it does not exist. What killed processes left half written in it is removed.
        going_on: Whether this run continues what is there.
        overwrite: Whether the results of another run are removed.

    Raises:
        UserError: Another process trains there, or it holds the results of another run.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(run_dir, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"run_dir={run_dir}: it cannot be written: {error.strerror}; give another.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"run_dir={run_dir}: another process is training there; give another, or wait.") from error
        clear_temporaries(run_dir)
        _make_room(run_dir, going_on=going_on, overwrite=overwrite)
        yield
    finally:
        os.close(handle)


def _make_room(run_dir: Path, *, going_on: bool, overwrite: bool) -> None:
    used = [name for name in RESULTS if (run_dir / name).exists()]
    if not used or going_on:
        return
    if not overwrite:
        more = "; go on with it by ckpt_path=last" if (run_dir / CHECKPOINT).is_file() else ""
        raise UserError(
            f"run_dir={run_dir}: it holds another run ({', '.join(used[:3])}); give another{more}, or replace it by "
            "overwrite=true."
        )
    for name in used:
        path = run_dir / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
