"""The table of a sweep: a row for each variant and set, an estimate for each metric."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskvid.cells import to_cell
from maskvid.files import atomic_write
from maskvid.metrics.suite import METRICS
from maskvid.reporting.intervals import Estimate, estimate
from maskvid.reporting.jobs import Job, variants


@dataclass(frozen=True)
class Cell:
    """One variant's estimate of one metric on one set."""

    variant: tuple[str, ...]
    set_name: str
    metric: str
    estimate: Estimate


@dataclass(frozen=True)
class Summary:
    """All cells, and the keys that the variants' values belong to."""

    keys: list[str]
    cells: list[Cell]

    @property
    def metrics(self) -> list[str]:
        """Those that something was measured for, in the order of the suite."""
        found = {cell.metric for cell in self.cells}
        return [name for name in METRICS if name in found]

    def label(self, variant: tuple[str, ...]) -> str:
        """A variant in words."""
        if len(self.keys) == 1:
            return variant[0] or "default"
        return ", ".join(f"{key}={value}" for key, value in zip(self.keys, variant, strict=True)) or "all"


def summarise(jobs: list[Job]) -> Summary:
    """Gather the videos of each variant and set over jobs and seeds."""
    keys, named = variants(jobs)
    values: dict[tuple[tuple[str, ...], str, str], dict[tuple[str, str], float]] = {}
    for job, variant in zip(jobs, named, strict=True):
        for row in job.rows:
            for metric in METRICS:
                if row.get(metric):
                    videos = values.setdefault((variant, row["set"], metric), {})
                    videos[job.overrides.get("seed", "") + "/" + row.get("seed", ""), row["clip"]] = float(row[metric])
    return Summary(keys, [Cell(*key, estimate(videos)) for key, videos in values.items()])


def write_csv(path: Path, summary: Summary) -> None:
    """One line for each cell."""
    header = [*summary.keys, "set", "metric", "mean", "low", "high", "seeds", "clips"]
    with atomic_write(path) as temporary, temporary.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(map(to_cell, header))
        for cell in summary.cells:
            e = cell.estimate
            names = map(to_cell, (*cell.variant, cell.set_name, cell.metric))
            writer.writerow([*names, e.mean, e.low, e.high, e.seeds, e.clips])


def markdown(summary: Summary, metrics: Sequence[str]) -> str:
    """A row for each set and variant, `mean [low, high]` for each metric."""
    header = ["set", *map(inline, summary.keys), "seeds x clips", *(name.replace("_", " ") for name in metrics)]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for set_name, variant, cells in grouped(summary):
        any_cell = next(iter(cells.values())).estimate
        shown = [cells[name].estimate if name in cells else None for name in metrics]
        figures = ["" if e is None else f"{e.mean:.4g} [{e.low:.4g}, {e.high:.4g}]" for e in shown]
        row = [inline(set_name), *map(inline, variant), f"{any_cell.seeds} x {any_cell.clips}", *figures]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def inline(text: str) -> str:
    """A text within Markdown as it stands: one line, no markup, no cells, nothing that a terminal would obey."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return re.sub(r"([\\`*\[\]<>|!])", r"\\\1", plain)


def grouped(summary: Summary) -> list[tuple[str, tuple[str, ...], dict[str, Cell]]]:
    """Cells by set and variant: name of the set, variant, cells by metric."""
    groups: dict[tuple[str, tuple[str, ...]], dict[str, Cell]] = {}
    for cell in summary.cells:
        groups.setdefault((cell.set_name, cell.variant), {})[cell.metric] = cell
    order = list(dict.fromkeys(set_name for set_name, _ in groups))
    return [(*key, groups[key]) for key in sorted(groups, key=lambda key: order.index(key[0]))]
