"""The jobs of a sweep as they lie on disk, whoever wrote them: what is damaged is named, and nothing in them is run."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from maskvid.cells import from_cell
from maskvid.errors import LONGEST, UserError
from maskvid.json_reading import LARGEST, read_mapping
from maskvid.metrics.suite import METRICS

NAMELESS = ("run_dir", "out", "seed", "logger", "threads", "trainer.devices")
"""Overrides that do not make another variant."""

MOST_ROWS, MOST_BYTES = 2**14, 2**25
"""Of one job's `metrics_per_clip.csv`."""

REQUIRED = ("set", "clip", "prompt")


@dataclass
class Job:
    """A job and its score for each video.

    Attributes:
        folder: Its folder.
        overrides: What was set for it, by key.
        rows: Of `metrics_per_clip.csv`; metrics are numbers as text.
    """

    folder: Path
    overrides: dict[str, str]
    rows: list[dict[str, str]]


def read_jobs(sweep: Path) -> tuple[list[Job], list[str]]:
    """Read every job below a folder.

    Args:
        sweep: Folder of a multirun, or any folder with runs in it.

    Returns:
        Jobs with scores in the order of their names (numbers as numbers), and a line on each without, whose files may
        also be damaged.

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
        name, said = _name(folder), ""
        try:
            overrides = _overrides(folder)
            said = " ".join(f"{key}={value}" for key, value in overrides.items())
            if (folder / "failed.json").exists():
                without.append(f"{name} ({said:.{LONGEST}}) failed: {_failure(folder / 'failed.json')}")
            elif folder in scored:
                jobs.append(Job(folder, overrides, _rows(folder / "metrics_per_clip.csv")))
            elif not any(other in scored for other in folder.parents):
                without.append(f"{name} ({said:.{LONGEST}}) has no scores: not finished, or without validation sets")
        except UserError as error:
            without.append(f"{name} ({said:.{LONGEST}}) is damaged: {error}")
    if not jobs:
        raise UserError(f"runs={sweep}: no job below it has a metrics_per_clip.csv. " + " ".join(without[:20]))
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
        return ["run"], [(_name(job.folder),) for job in jobs]
    return differing, [tuple(job.overrides.get(key, "") for key in differing) for job in jobs]


def _name(folder: Path) -> str:
    """A folder's name as text: file systems take any bytes."""
    return os.fsencode(folder.name).decode(errors="replace")


def _failure(path: Path) -> str:
    error = read_mapping(path).get("error")
    if not isinstance(error, str):
        raise UserError(f"{path} has no text under error.")
    return error


def _overrides(folder: Path) -> dict[str, str]:
    for name in ("finished.json", "failed.json"):
        if (folder / name).exists():
            path, entries = folder / name, read_mapping(folder / name).get("overrides")
            break
    else:
        path = folder / ".hydra" / "overrides.yaml"
        entries = list(_listed(path)) if path.exists() else []
    if not (isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)):
        raise UserError(f"{path} has no list of overrides.")
    pairs = (entry.partition("=") for entry in entries)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _listed(path: Path) -> Iterator[str]:
    """The texts of a YAML list, event by event: nothing is built, and aliases multiply nothing."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise UserError(f"{path} is no list of overrides.")
    try:
        lists = 0
        for event in yaml.parse(path.read_bytes(), Loader=yaml.SafeLoader):
            lists += isinstance(event, yaml.SequenceStartEvent)
            if lists > 1 or isinstance(event, (yaml.AliasEvent, yaml.MappingStartEvent)):
                raise UserError(f"{path} is no list of overrides.")
            if isinstance(event, yaml.ScalarEvent):
                yield event.value
    except (yaml.YAMLError, UnicodeError, OSError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split()):.{LONGEST}}).") from error


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of scores, each with a number or nothing under every metric.

    Raises:
        UserError: It is no such table; the message names line and column.
    """
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is no file, or has more than {MOST_BYTES} bytes, which no table of scores has.")
    rows: list[dict[str, str]] = []
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(f"{path} has no column {', '.join(missing)}.")
            for row in reader:
                if None in row or None in row.values():
                    raise UserError(f"{path}, line {reader.line_num}: it has not as many cells as the header.")
                if len(rows) == MOST_ROWS:
                    raise UserError(f"{path} has more than {MOST_ROWS} rows.")
                for name in METRICS:
                    if row.get(name):
                        _check_number(row[name], f"{path}, line {reader.line_num}: {name}")
                rows.append({key: from_cell(value) for key, value in row.items()})
    except (csv.Error, UnicodeError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    return rows


def _check_number(text: str, place: str) -> None:
    try:
        float(text)
    except ValueError as error:
        raise UserError(f"{place}={text!r:.60} is no number.") from error


def _number(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() and len(part) < 20 else (-1, part)
