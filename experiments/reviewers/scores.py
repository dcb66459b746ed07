"""The scores of every video of the study, kept beside it, so that it goes on also where its runs are gone."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from experiments.study import Row, write_rows
from maskvid.metrics.suite import METRICS

Work = tuple[str, int, str]
"""Cell, seed and scoring."""


class Scores:
    """One line for each video: cell, seed, scoring, set, clip and its metrics.

    Args:
        path: CSV file; made with the first scores.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Work, list[Row]] = {}
        if path.exists():
            with path.open() as handle:
                for row in csv.DictReader(handle):
                    work = (row["cell"], int(row["seed"]), row["scoring"])
                    self.rows.setdefault(work, []).append(dict(row))

    def add(self, work: Work, per_clip: Path) -> None:
        """Take over what `python -m maskvid.evaluate` wrote of each clip, and write the file anew, sorted."""
        labels = dict(zip(("cell", "seed", "scoring"), work, strict=True))
        with per_clip.open() as handle:
            self.rows[work] = [
                {**labels, "set": row["set"], "clip": row["clip"]}
                | {name: f"{float(row[name]):.6g}" for name in METRICS if row.get(name)}
                for row in csv.DictReader(handle)
            ]
        write_rows(self.path, [row for key in sorted(self.rows) for row in self.rows[key]])

    def videos(
        self, cell: str, seeds: Iterable[int], scoring: str
    ) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
        """Scores by (set, metric) and (seed, clip); the set `all` holds every clip."""
        found: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
        for seed in seeds:
            for row in self.rows[cell, seed, scoring]:
                for metric in METRICS:
                    if row.get(metric):
                        for name in (str(row["set"]), "all"):
                            key = (str(seed), f"{row['set']}/{row['clip']}")
                            found.setdefault((name, metric), {})[key] = float(str(row[metric]))
        return found
