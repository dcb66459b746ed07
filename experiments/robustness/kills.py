"""Trainings that are ended at chosen moments and gone on with: in the end they are what they would have been."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from experiments.robustness.case import ACCEPTED, MISREAD, SILENT, Case, Play, Verdict, half_files, message
from experiments.robustness.forks import Launch, Strike
from experiments.robustness.programs import training

KIND = "kills"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OFTEN = "callbacks.checkpoint.every_n_train_steps=1"


def writing(folder: Path, place: str) -> bool:
    """Whether a file is being written in `run/place`: it lies in a hidden folder until it is whole."""
    return any(path.name.startswith(".") for path in (folder / "run" / place).glob(".*"))


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "while clips are encoded": lambda folder: (folder / "cache").exists(),
    "between steps": lambda folder: (folder / "run" / "checkpoints" / "last.ckpt").exists(),
    "while a checkpoint is written": lambda folder: writing(folder, "checkpoints"),
    "in a validation": lambda folder: (folder / "run" / "samples" / "step-000002").exists(),
    "in the last validation": lambda folder: (folder / "run" / "adapter").exists(),
}
"""Looked for in the working directory."""


def losses(folder: Path) -> dict[str, str]:
    """The loss of every step that is written down."""
    found = {}
    for path in folder.rglob("metrics.csv"):
        with path.open(newline="") as handle:
            found.update({row["step"]: row["train/loss"] for row in csv.DictReader(handle) if row.get("train/loss")})
    return found


def killed(run: Path, signum: int, moment: str, reached: Callable[[Path], bool]) -> Case:
    """A training that is ended, and then gone on with by `ckpt_path=auto`."""

    def play(folder: Path) -> Play:
        arguments = training(run.parent, "run", OFTEN, "ckpt_path=auto")
        ended = yield Launch("train", arguments, folder, strike=Strike(signum, lambda: reached(folder)))
        if not ended.struck:
            return Verdict(MISREAD, f"the moment never came: exit {ended.status}: {message(ended)}")
        if ended.status not in (-signum, 128 + signum):
            return Verdict(SILENT, f"exit {ended.status} after {signal.Signals(signum).name}: {message(ended)}")
        before = losses(folder / "run" / "csv")
        again = yield Launch("train", arguments, folder)
        if again.status != 0:
            return Verdict(MISREAD, f"not gone on with, exit {again.status}: {message(again)}")
        if before.items() - losses(folder / "run" / "csv").items():
            return Verdict(MISREAD, f"rows lost: {before} became {losses(folder / 'run' / 'csv')}")
        if left := half_files(folder, {}):
            return Verdict(MISREAD, f"left over: {', '.join(left)}")
        adapter = Path("adapter", "adapter.safetensors")
        ours, theirs = load_file(folder / "run" / adapter), load_file(run / adapter)
        if any(not np.array_equal(value, theirs[name]) for name, value in ours.items()):
            return Verdict(MISREAD, "other weights than those of the run that nobody ended")
        return Verdict(ACCEPTED, message(ended))

    return Case(KIND, f"{signal.Signals(signum).name} {moment}", play)


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    for moment, reached in MOMENTS.items():
        for signum in SIGNALS:
            yield killed(run, signum, moment, reached)
