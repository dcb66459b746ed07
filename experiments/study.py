"""What the studies share: tuning once, sampling and scoring a set of clips, tables of means and spreads."""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

import maskvid.evaluate
from maskvid.config import CONF
from maskvid.files import atomic_write
from maskvid.tuned import read_run

RUNS = Path("runs/studies")
"""Runs of all studies: one that is finished is used by every study that asks for it."""

HEADLINES = (
    "mask_iou",
    "boundary_f",
    "text_alignment",
    "frame_consistency_all_pairs",
    "frame_consistency_adjacent",
    "foreground_look",
    "foreground_colour",
    "flow_magnitude",
)
"""The metrics that tables show; the suite measures more."""

Row = dict[str, object]


def command(entry: str, *arguments: str) -> None:
    """Run an entry point as a user does, in a process of its own.

    Args:
        entry: `train`, `evaluate`, ...
        arguments: Of it.

    Raises:
        CalledProcessError: It failed; the screen says why.
    """
    subprocess.run([sys.executable, "-m", f"maskvid.{entry}", *arguments], check=True)


def tune(run_dir: Path, *overrides: str, experiment: str = "horse") -> dict[str, float]:
    """Tune an experiment unless that is done, in a process of its own, so that its peak memory is its own.

    Args:
        run_dir: Where the run lies or will lie.
        overrides: As of `python -m maskvid.train`.
        experiment: Its name.

    Returns:
        What it cost: `train_seconds`, `peak_memory_mb`, `trained_parameters`.
    """
    if not finished(run_dir):
        asked = (
            f"+experiment={experiment}", f"run_dir={run_dir}", "logger=csv", "data.validation=null",
            "trainer.limit_val_batches=0", *overrides,
        )  # fmt: skip
        tuned = configure("train", *asked).method.trained
        command("train", *asked, *(("ckpt_path=auto",) if tuned else ()))
    cost = run_dir / "cost.json"
    return json.loads(cost.read_text()) if cost.exists() else {"train_seconds": 0.0, "trained_parameters": 0}


def options_of(text: str | None) -> argparse.Namespace:
    """The command line of a study: its seeds, where its runs lie, and further settings of `maskvid.train`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("overrides", nargs="*", help="further settings, as of maskvid.train")
    return parser.parse_args()


def finished(run_dir: Path) -> bool:
    """Whether a run is tuned to its end, with the stage of rough masks where it has one."""
    if not (run_dir / "adapter" / "adapter.json").exists():
        return False
    return read_run(run_dir).method.rough_masks == OmegaConf.load(run_dir / "config.yaml").method.rough_masks


def evaluate(
    run_dir: Path,
    name: str,
    sets: dict[str, str],
    *,
    scheduler: str | None = None,
    pictures: bool = True,
    **sampling: object,
) -> dict[str, float]:
    """Sample and score sets of clips with a run's adapter; a result that is there is read.

    Args:
        run_dir: A finished run.
        name: Folder in it for videos, strips and `metrics.json`.
        sets: Name and folder of each.
        scheduler: Class of diffusers that samples; None takes the run's.
        pictures: Whether videos and strips are kept, too, which takes a fifth of the time.
        sampling: Overrides of the run's sampling settings.

    Returns:
        `<set>/<metric>`.
    """
    folder = run_dir / name
    if not (folder / "metrics.json").exists():
        config = configure("evaluate", f"run={run_dir}", f"out={folder}")
        config.sets, config.scheduler.name, config.save_videos = sets, scheduler, pictures
        config.sampling = OmegaConf.merge(config.sampling, sampling)
        if sampling.get("first_frame") == "controlnet":
            config.backbone.controlnet = "assets://mini_controlnet"
        maskvid.evaluate.evaluate(config)
    return json.loads((folder / "metrics.json").read_text())


def configure(entry: str, *overrides: str) -> DictConfig:
    """The configuration of an entry point."""
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose(entry, overrides=list(overrides))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV file, whole or not at all; a row may lack columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)


def mean_over(rows: Sequence[Row], name: str, columns: Sequence[str]) -> list[Row]:
    """Rows that differ in the column `name` (and in `columns`) alone become one, with the means of `columns`.

    A value that is missing does not count; where all are, the mean is missing too.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(value for key, value in row.items() if key not in (name, *columns)), []).append(row)
    merged: list[Row] = []
    for members in groups.values():
        means: Row = {}
        for column in columns:
            values = [float(str(row[column])) for row in members if row.get(column, "") != ""]
            means[column] = statistics.mean(values) if values else ""
        merged.append({key: value for key, value in members[0].items() if key != name} | means)
    return merged


def write_table(path: Path, rows: Sequence[Row], *, by: Sequence[str], columns: Sequence[str]) -> None:
    """Write and print a markdown table: mean and half the spread (largest minus smallest) over the rows of a group.

    Args:
        path: Of the file.
        rows: One for each variant and seed.
        by: Columns whose values make a group.
        columns: What is averaged; cells that no row has stay empty.
    """
    lines = ["| " + " | ".join(name.replace("_", " ") for name in (*by, "n", *columns)) + " |"]
    lines.append("|---" * (1 + len(by) + len(columns)) + "|")
    for group in dict.fromkeys(tuple(row[name] for name in by) for row in rows):
        members = [row for row in rows if tuple(row[name] for name in by) == group]
        cells = [*map(str, group), str(len(members))]
        for name in columns:
            values = [float(str(row[name])) for row in members if row.get(name, "") != ""]
            known = len(values) > 1 and max(values) < math.inf  # what equals to the bit has a PSNR without end
            spread = f" ± {(max(values) - min(values)) / 2:.2g}" if known else ""
            cells.append(f"{statistics.mean(values):.4g}{spread}" if values else "")
        lines.append("| " + " | ".join(cells) + " |")
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
