"""Requests out of range: `tests/out_of_range.py` as the programs see it, each third of its many."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from experiments.robustness.case import Case, Play, refusal
from experiments.robustness.forks import Launch
from tests.out_of_range import Paths, requests

KIND = "requests out of range"
EACH = 3


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    home = run.parent
    paths = Paths(
        run=run,
        clips=home / "clips",
        backbone=home / "backbone",
        videos=home / "videos",
        scores=home / "scores",
        new=Path("new"),  # in the working directory
    )
    for name, program, arguments in islice(requests(paths), 0, None, EACH):
        yield Case(KIND, name, partial(asked, program, tuple(arguments)))


def asked(program: str, arguments: tuple[str, ...], folder: Path) -> Play:
    """A good request but for its last argument, whose key or value is to be named."""
    key, _, value = arguments[-1].partition("=")
    named = [key.lstrip("+"), key.rpartition(".")[2]]
    if len(value) > 6:  # "data folder nowhere does not exist" will do
        named.append(value[:100])
    return refusal((yield Launch(program, arguments, folder)), *named)
