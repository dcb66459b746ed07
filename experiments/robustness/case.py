"""What is thrown at a program, what is right then, and how what it did is judged."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open

from experiments.robustness.forks import Launch, Outcome

REFUSED, LISTED, ACCEPTED = "refused", "listed", "accepted"
"""What is right: a sentence and exit status 1; a clip among the rejected ones; the right value."""

TRACEBACK, HANG, SILENT, MISREAD, EXECUTED, HALF, MEMORY = (
    "traceback", "hang", "silent", "misread", "executed", "half file", "memory",
)  # fmt: skip
"""What is wrong; `misread` is a wrong value, a refusal of what is right, or one that does not say what it refuses."""

RIGHT = (REFUSED, LISTED, ACCEPTED)
WRONG = (TRACEBACK, HANG, SILENT, MISREAD, EXECUTED, HALF, MEMORY)

MOST_MB = 2048.0
MARKER = "EXECUTED"
"""File in the working directory that planted code would make."""


@dataclass(frozen=True)
class Verdict:
    """One of `RIGHT` and `WRONG`, and the words that it rests on."""

    name: str
    words: str = ""


Play = Generator[Launch, Outcome, Verdict]
"""Yields what is to be run, is sent how it ended, returns the verdict."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        kind: Row of the table.
        name: Unique within its kind.
        play: Gets an empty folder, makes the files there and runs what is to be run.
    """

    kind: str
    name: str
    play: Callable[[Path], Play]


@dataclass(frozen=True)
class Want:
    """What is right for a clip.

    Attributes:
        frames: Number where it means something; None where it means nothing and must be rejected.
        rejected: Whether it may be rejected all the same: nobody can say what a damaged file meant.
        caption: Where one is expected.
    """

    frames: int | None = None
    rejected: bool = False
    caption: str | None = None


REJECT = Want()


@dataclass(frozen=True)
class Row:
    """A line of a dry run's table."""

    accepted: bool
    frames: int
    words: str


def rows_of(output: str) -> dict[str, Row]:
    """The table of a dry run by the clips' names."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if len(cells) != 6:
            continue
        if cells[0]:
            name = cells[1]
            found[name] = cells
        elif name:
            found[name] = [*found[name][:5], f"{found[name][5]} {cells[5]}".strip()]
    return {
        name: Row(cells[2] == "ok", int(cells[3]) if cells[3].isdigit() else 0, cells[5])
        for name, cells in found.items()
    }


def message(outcome: Outcome) -> str:
    """What a program said last, on one line."""
    text = re.split(r"^error:", outcome.errors, flags=re.MULTILINE)[-1]
    return " ".join(text.split())


def refusal(outcome: Outcome, *names: str) -> Verdict:
    """Exit status 1, and a sentence that holds one of `names`."""
    said = message(outcome)
    if outcome.status == 0:
        return Verdict(SILENT, f"exit 0: {' '.join((outcome.errors + outcome.output).split())[-300:]}")
    if outcome.status != 1 or not said:
        return Verdict(MISREAD, f"exit {outcome.status}, said: {said}")
    if not any(name in said for name in names):
        return Verdict(MISREAD, f"names none of {', '.join(names)}: {said}")
    return Verdict(REFUSED, said)


def listing(outcome: Outcome, wanted: Mapping[str, Want], *names: str) -> Verdict:
    """Whether a dry run takes the clips that mean something and names the others.

    Args:
        outcome: Of the dry run.
        wanted: What is right for each clip; `*` is the only one, whatever it is called.
        names: One of them must stand in a refusal of the whole folder.
    """
    rows = rows_of(outcome.output)
    if not rows:
        if any(want.frames is not None and not want.rejected for want in wanted.values()):
            return Verdict(MISREAD, f"refused, exit {outcome.status}: {message(outcome)}")
        return refusal(outcome, *names)
    if set(wanted) == {"*"}:
        wanted = dict.fromkeys([next(iter(rows))], wanted["*"])
    if missing := set(wanted) - set(rows):
        return Verdict(SILENT, f"not in the list: {', '.join(sorted(missing))}")
    if more := set(rows) - set(wanted):
        return Verdict(SILENT, f"taken for a clip: {', '.join(sorted(more))}")
    for name, want in wanted.items():
        row = rows[name]
        if row.accepted and want.frames is None:
            return Verdict(SILENT, f"{name} is accepted: {row.frames} frames, {row.words}")
        if row.accepted and (row.frames != want.frames or want.caption not in (None, row.words)):
            return Verdict(MISREAD, f"{name}: {row.frames} frames for {want.frames}, caption {row.words!r}")
        if not row.accepted and want.frames is not None and not want.rejected:
            return Verdict(MISREAD, f"{name} is rejected: {row.words}")
    rejected = [f"{name}: {row.words}" for name, row in rows.items() if not row.accepted]
    if not rejected:
        return Verdict(ACCEPTED)
    if outcome.status != 1:
        return Verdict(SILENT, f"exit {outcome.status} though clips were rejected: {'; '.join(rejected)}")
    return Verdict(LISTED, "; ".join(rejected))


def common_fault(outcome: Outcome, before: Mapping[Path, tuple[int, int]]) -> Verdict | None:
    """What is wrong with any outcome whatever was asked: it broke, hung, ran code, took much, left half a file."""
    tail = f"{outcome.output[-1500:]}\n{outcome.errors[-2500:]}"
    if (outcome.launch.folder / MARKER).exists():
        return Verdict(EXECUTED, tail)
    if outcome.hung:
        return Verdict(HANG, tail)
    if outcome.broke:
        return Verdict(TRACEBACK, f"exit {outcome.status}\n{tail}")
    if outcome.peak_mb > MOST_MB:
        return Verdict(MEMORY, f"{outcome.peak_mb:.0f} MB\n{tail}")
    if outcome.struck:  # what a kill leaves is looked at once the run has gone on
        return None
    halves = half_files(outcome.launch.folder, before)
    return Verdict(HALF, f"exit {outcome.status}: {', '.join(halves)}\n{tail}") if halves else None


def files_in(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file, links not followed."""
    found = {}
    for path in folder.rglob("*"):
        about = path.lstat()
        found[path] = (about.st_size, about.st_mtime_ns)
    return found


def half_files(folder: Path, before: Mapping[Path, tuple[int, int]]) -> list[str]:
    """Files written since `before` that are not whole, and hidden ones that were to be renamed."""
    halves = []
    for path, about in files_in(folder).items():
        if before.get(path) == about or ".hydra" in path.parts or (path.is_dir() and path in before):
            continue
        if path.name.startswith("."):
            halves.append(f"{path.relative_to(folder)} (left over)")
        elif path.is_file() and (reason := _half(path)):
            halves.append(f"{path.relative_to(folder)} ({reason})")
    return halves


def _half(path: Path) -> str | None:
    try:
        if path.suffix == ".mp4":
            with av.open(str(path)) as container:
                if not sum(not frame.is_corrupt for frame in container.decode(video=0)):
                    return "no frames"
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".npz", ".ckpt", ".pt"):
            with zipfile.ZipFile(path) as archive:
                if bad := archive.testzip():
                    return f"damaged: {bad}"
        elif path.suffix == ".safetensors":
            with safe_open(path, "np") as tensors:
                for name in tensors.keys():  # noqa: SIM118  # no mapping
                    tensors.get_slice(name).get_shape()
        elif path.suffix in (".html", ".svg"):
            if not re.search(r"</(html|svg)>\s*\Z", path.read_text()):
                return "cut"
        elif path.suffix in (".csv", ".md", ".yaml", ".txt") and not path.read_bytes().endswith(b"\n"):
            return "cut"
    except (av.FFmpegError, OSError, ValueError, SyntaxError, zipfile.BadZipFile, SafetensorError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def share_of(path: Path) -> float:
    """Foreground of the masks that a generated video was made for, as they lie beside it."""
    with np.load(path) as archive:
        return float((archive["masks"] >= 128).mean())
