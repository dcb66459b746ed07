"""The jobs of a sweep as they lie on disk."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from maskvid.errors import UserError

NAMELESS = ("run_dir", "out", "seed", "logger", "threads", "trainer.devices")
"""Overrides that do not make another variant."""


@dataclass
class Job:
    """A job and its score for each video.

    Attributes:
        folder: Its folder.
        overrides: What was set for it, by key.
        rows: Of `metrics_per_clip.csv`.
    """

    folder: Path
    overrides: dict[str, str]
    rows: list[dict[str, str]]


def read_jobs(sweep: Path) -> tuple[list[Job], list[str]]:
    """Read every job below a folder.

    Args:
        sweep: Folder of a multirun, or any folder with runs in it.

    Returns:
        Jobs with scores in the order of their names (numbers as numbers), and a line on each without.

    Raises:
        UserError: No job there has scores.
    """
    if not sweep.is_dir():
        raise UserError(f"runs={sweep}: no such folder.")
    marks = {path.parent for name in ("finished.json", "failed.json") for path in sweep.rglob(name)}
    scored = {path.parent for path in sweep.rglob("metrics_per_clip.csv")}
    # A run's evaluation within it is another scoring of the same job.
    scored = {folder for folder in scored if not any(other in folder.parents for other in scored)}
    begun = {path.parent.parent for path in sweep.rglob(".hydra/overrides.yaml")}
    jobs, without = [], []
    for folder in sorted(marks | scored | begun, key=lambda path: [_number(part) for part in path.parts]):
        overrides = _overrides(folder)
        said = " ".join(f"{key}={value}" for key, value in overrides.items())
        if (folder / "failed.json").exists():
            without.append(
                f"{folder.name} ({said}) failed: {json.loads((folder / 'failed.json').read_text())['error']}"
            )
        elif folder in scored:
            with (folder / "metrics_per_clip.csv").open() as handle:
                jobs.append(Job(folder, overrides, list(csv.DictReader(handle))))
        elif not any(other in scored for other in folder.parents):
            without.append(f"{folder.name} ({said}) has no scores: not finished, or without validation sets")
    if not jobs:
        raise UserError(f"runs={sweep}: no job below it has a metrics_per_clip.csv. " + " ".join(without))
    return jobs, without


def variants(jobs: list[Job]) -> tuple[list[str], list[tuple[str, ...]]]:
    """What tells the jobs apart.

    Returns:
        Keys of the overrides that differ among jobs, seeds apart (or `run` where none does), and each job's values.
    """
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    differing = [
        key
        for key in keys
        if key.removeprefix("+").split("@")[0] not in NAMELESS and len({job.overrides.get(key, "") for job in jobs}) > 1
    ]
    if not differing and len({job.folder for job in jobs}) > 1 and not any("seed" in job.overrides for job in jobs):
        return ["run"], [(job.folder.name,) for job in jobs]
    return differing, [tuple(job.overrides.get(key, "") for key in differing) for job in jobs]


def _overrides(folder: Path) -> dict[str, str]:
    for name in ("finished.json", "failed.json"):
        if (folder / name).exists():
            entries = json.loads((folder / name).read_text())["overrides"]
            break
    else:
        kept = folder / ".hydra" / "overrides.yaml"
        # nothing in a file that was sent is expanded
        entries = OmegaConf.to_container(OmegaConf.load(kept), resolve=False) if kept.exists() else []
    pairs = (str(entry).partition("=") for entry in entries)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _number(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdigit() else (-1, part)
