"""Disks that are full: no file may grow beyond some bytes, half of what one of the run's own has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.robustness.case import MISREAD, Case, Play, Verdict, message, refusal
from experiments.robustness.forks import Launch
from experiments.robustness.programs import first_of, generating, training

KIND = "full disks"
FULL = ("cannot write", "File too large", "No space left")


def full(program: str, name: str, arguments: tuple[str, ...], largest: int) -> Case:
    """A program that cannot write one of its files; files cut are looked for after every launch."""

    def play(folder: Path) -> Play:
        return refusal((yield Launch(program, arguments, folder, largest_file=largest)), *FULL)

    return Case(KIND, f"{program}: {name}, {largest} bytes left", play)


def gone_on_with(run: Path, name: str, largest: int) -> Case:
    """A training whose disk fills behind its first checkpoint, which must stay, and which goes on with some room."""

    def play(folder: Path) -> Play:
        checkpoint = folder / "run" / "checkpoints" / "last.ckpt"
        often = "callbacks.checkpoint.every_n_train_steps=1"
        first = yield Launch("train", training(run.parent, "run", often, "trainer.max_steps=2"), folder)
        if first.status != 0:
            return Verdict(MISREAD, f"exit {first.status}: {message(first)}")
        kept = checkpoint.read_bytes()
        arguments = training(run.parent, "run", often, "ckpt_path=auto")
        verdict = refusal((yield Launch("train", arguments, folder, largest_file=largest)), *FULL)
        if checkpoint.read_bytes() != kept:
            return Verdict(MISREAD, "the checkpoint of before is gone")
        again = yield Launch("train", arguments, folder)
        return verdict if again.status == 0 else Verdict(MISREAD, f"exit {again.status}: {message(again)}")

    return Case(KIND, f"train: {name}, {largest} bytes left", play)


def half(folder: Path, pattern: str) -> int:
    """Half of the bytes of a file."""
    return next(iter(sorted(folder.rglob(pattern)))).stat().st_size // 2


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    home = run.parent
    train = training(home, "run")
    generate = (*generating(run, "out"), first_of(run), f"masks={home}/clips/one.npz")
    evaluate = (f"videos={home}/videos", "out=out")
    yield full("train", "nothing", train, 0)
    yield full("train", "a picture", train, half(run / "samples", "*.png"))
    yield full("train", "the checkpoint", train, half(run, "last.ckpt"))
    yield gone_on_with(run, "the second checkpoint", half(run, "last.ckpt"))
    yield full("generate", "nothing", generate, 0)
    yield full("generate", "the video", generate, half(home / "videos", "*.mp4"))
    yield full("generate", "the picture", generate, half(home / "videos", "*.png"))
    yield full("generate", "the caption", generate, 1)
    yield full("evaluate", "nothing", evaluate, 0)
    yield full("evaluate", "the figures", evaluate, half(home / "scores", "evaluation.json"))
    yield full("report", "nothing", (f"runs={home}/scores", "out=out"), 0)
    yield full("report", "the page", (f"runs={home}/scores", "out=out"), half(home / "report", "index.html"))
