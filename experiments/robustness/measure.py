"""What bad input does to the programs: `python -m experiments.robustness.measure` (about ten minutes on two cores).

Throws malformed inputs, hostile files, requests out of range, kills and full disks at the programs, as users run them,
and looks at exit status, words and files. `--short` takes a part of each kind (two minutes), `--only KIND` some kinds,
`--match WORD` some cases. Writes results.csv, a line for each case, and the table of README.md beside this file, unless
only a part was run, and ends with status 1 where anything went wrong. No network is used.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":  # before the libraries are loaded: forks must not inherit threads
    os.environ.update(
        OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false",
        HF_HUB_OFFLINE="1", WANDB_MODE="offline", CUDA_VISIBLE_DEVICES="", COLUMNS="20000",
    )  # fmt: skip

from experiments.robustness import (
    bad_captions,
    bad_drawings,
    bad_folders,
    bad_masks,
    bad_pictures,
    bad_videos,
    beyond,
    disks,
    kills,
    large,
    strangers,
)
from experiments.robustness.case import RIGHT, WRONG, Case, Verdict, common_fault, files_in
from experiments.robustness.forks import Forks
from experiments.robustness.programs import prepare
from experiments.study import Row, write_rows
from maskvid.files import atomic_write

HERE = Path(__file__).parent
PROGRAMS = ("train", "generate", "edit", "evaluate", "prepare", "draw", "report", "export", "dashboard", "pretrain")
SHORT = 10
"""`--short` takes each so many-th case of a kind."""

MARKS = ("<!-- table -->\n", "<!-- end of table -->")
"""Between them the table stands in README.md."""


class Playing:
    """A case while its programs run."""

    def __init__(self, case: Case, folder: Path, forks: Forks) -> None:
        self.case, self.folder, self.forks = case, folder, forks
        self.peak_mb, self.start = 0.0, time.monotonic()
        folder.mkdir(parents=True)
        self.play = case.play(folder)
        self.verdict: Verdict | None = None
        self._go_on(None)

    def _go_on(self, outcome: object) -> None:
        try:
            launch = self.play.send(outcome)
        except StopIteration as end:
            self.verdict = end.value
            return
        self.before = files_in(launch.folder)
        self.running = self.forks.start(launch)

    def poll(self) -> None:
        """Look whether the program has ended, and judge it or start the next one."""
        outcome = self.forks.poll(self.running)
        if outcome is None:
            return
        self.peak_mb = max(self.peak_mb, outcome.peak_mb)
        self.verdict = common_fault(outcome, self.before)
        if self.verdict is None:
            self._go_on(outcome)

    def end(self) -> Row:
        """What is written of it; the files of a case that went well are removed."""
        assert self.verdict is not None
        if self.verdict.name in RIGHT:
            shutil.rmtree(self.folder, ignore_errors=True)
        words = " ".join(self.verdict.words.replace(str(self.folder), "").split())
        return {
            "kind": self.case.kind, "case": self.case.name, "verdict": self.verdict.name,
            "seconds": round(time.monotonic() - self.start, 1), "peak_mb": round(self.peak_mb), "words": words[:200],
        }  # fmt: skip


def play_all(forks: Forks, cases: list[Case], home: Path, jobs: int) -> Iterator[tuple[Row, Verdict]]:
    """Play cases, so many at a time."""
    waiting, playing = list(reversed(list(enumerate(cases)))), []
    while waiting or playing:
        while waiting and len(playing) < jobs:
            number, case = waiting.pop()
            playing.append(Playing(case, home / f"{number:04d}", forks))
        for one in list(playing):
            if one.verdict is None:
                one.poll()
            if one.verdict is not None:
                playing.remove(one)
                yield one.end(), one.verdict
        time.sleep(0.002)


def all_cases(forks: Forks, run: Path, home: Path) -> list[Case]:
    """Every case of every kind."""
    return [
        *bad_videos.cases(), *bad_masks.cases(run), *bad_pictures.cases(run), *bad_captions.cases(),
        *bad_drawings.cases(),
        *bad_folders.cases(run), *large.cases(run), *strangers.cases(forks, home), *beyond.cases(run),
        *kills.cases(run), *disks.cases(run),
    ]  # fmt: skip


def table(rows: list[Row]) -> str:
    """Kinds by verdicts, with the largest memory of each."""
    columns = (*RIGHT, *WRONG)
    names = ["refused with a sentence", "listed by name", "accepted with the right value", *WRONG]
    lines = ["| kind | number | " + " | ".join(names) + " | peak MB |", "|---" * (len(names) + 3) + "|"]
    for kind in [*dict.fromkeys(str(row["kind"]) for row in rows), "all"]:
        mine = [row for row in rows if kind in ("all", row["kind"])]
        counts = [sum(row["verdict"] == name for row in mine) for name in columns]
        peak = max(int(str(row["peak_mb"])) for row in mine)
        lines.append(f"| {kind} | {len(mine)} | " + " | ".join(map(str, counts)) + f" | {peak} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a part of each kind, in about two minutes")
    parser.add_argument("--only", nargs="+", default=[], help="kinds")
    parser.add_argument("--match", default="", help="a part of the cases' names")
    parser.add_argument("--jobs", type=int, default=2, help="programs side by side")
    options = parser.parse_args()
    start = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="robustness-"))
    forks = Forks(PROGRAMS)
    run = prepare(forks, home)
    everything = all_cases(forks, run, home)
    cases = [
        case for kind in dict.fromkeys(case.kind for case in everything) if not options.only or kind in options.only
        for case in [one for one in everything if one.kind == kind][:: SHORT if options.short else 1]
        if options.match in case.name
    ]  # fmt: skip
    print(f"{len(cases)} cases, ready after {time.monotonic() - start:.0f} s", flush=True)
    rows = []
    for row, verdict in play_all(forks, cases, home / "cases", options.jobs):
        rows.append(row)
        if verdict.name in WRONG:
            print(f"\n== {row['kind']}: {row['case']}: {verdict.name}\n{verdict.words[-3000:]}", flush=True)
    order = {(case.kind, case.name): place for place, case in enumerate(cases)}
    rows.sort(key=lambda row: order[str(row["kind"]), str(row["case"])])
    print(table(rows))
    wrong = [row for row in rows if row["verdict"] in WRONG]
    print(f"{len(rows)} cases, {len(wrong)} wrong, {time.monotonic() - start:.0f} s")
    if len(cases) == len(everything):
        write_rows(HERE / "results.csv", rows)
        readme = HERE / "README.md"
        head, rest = readme.read_text().split(MARKS[0])
        with atomic_write(readme) as path:
            path.write_text(f"{head}{MARKS[0]}{table(rows)}{MARKS[1]}{rest.split(MARKS[1])[1]}")
    if wrong:
        print(f"the files of what went wrong are in {home}")
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
