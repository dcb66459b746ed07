"""Run folders, backbones and files of people who mean harm: `tests/hostile.py` as the programs see it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from experiments.robustness.case import ACCEPTED, EXECUTED, Case, Play, Verdict, refusal
from experiments.robustness.forks import Forks, Launch
from tests.hostile import KINDS, Build, Grounds

KIND = "hostile"


def cases(forks: Forks, home: Path) -> Iterator[Case]:
    """All of them; they are planted in forks, for what writes them may start threads."""
    grounds = forks.apart(partial(Grounds, home / "grounds"))
    for kind, ways in KINDS.items():
        for name, build in ways.items():
            yield Case(KIND, f"{kind}: {name}", partial(attack, forks, grounds, build, name))


def attack(forks: Forks, grounds: Grounds, build: Build, name: str, folder: Path) -> Play:
    """Plant one and carry it out."""
    entry = forks.apart(partial(build, grounds, folder, name))
    outcome = yield Launch(entry.argv[0].removeprefix("maskvid."), tuple(entry.argv[1:]), folder)
    if entry.marker.exists():
        return Verdict(EXECUTED, str(entry.marker))
    if outcome.status == 0 and not entry.refused:
        return Verdict(ACCEPTED)
    return refusal(outcome, "")
