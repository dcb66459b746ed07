"""What reviewers asked: `python -m experiments.reviewers.measure` (`--only parts shots`, `--seeds 1 2 3`, `--jobs 2`).

Each cell is a way of tuning; it is tuned once for each seed and scored on the 24 test clips of the horse. What is done
is kept in runs/reviewers and not repeated, so a stopped study goes on. One CSV for each question beside this file, with
95 percent bootstrap intervals over seeds and clips, of the values and of their differences from the first cell's on the
same clips and seeds, and a figure for those that are curves:

- attribution: {mask, no mask} x {tuned, untuned}: how much is the motion, how much the mask?
- parts: each part taken away
- robustness: masks made imprecise in five ways and strengths; does training with imprecise masks mend it?
- shots: 1, 2, 4, 8 and 12 training clips
- motions: one adapter for three motions, or one each
- cost: time, memory, weights and diversity beside the peers (from experiments/peers)
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.reviewers.cells import CELLS, QUESTIONS, Cell, Scoring
from experiments.reviewers.figures import curves
from experiments.study import Row, command, write_rows
from maskvid.metrics.suite import METRICS
from maskvid.reporting.intervals import estimate

HERE = Path(__file__).parent
RUNS = Path("runs/reviewers")


def run_dir(cell: Cell, seed: int) -> Path:
    """Where a cell's run of one seed lies."""
    return RUNS / f"{cell.name}-{seed}"


def tune(cell: Cell, seed: int) -> None:
    """Tune on one thread; a run that was stopped goes on."""
    folder = run_dir(cell, seed)
    if (folder / "adapter" / "adapter.json").exists():
        return
    resume = ["ckpt_path=last"] if (folder / "checkpoints" / "last.ckpt").exists() else []
    command(
        "train", f"+experiment={cell.experiment}", *cell.overrides, f"seed={seed}", f"run_dir={folder}", "logger=csv",
        "threads=1", "trainer.limit_val_batches=0", "data.validation=null", "callbacks.progress=null", *resume,
        log=folder / "log.txt",
    )  # fmt: skip


def score(cell: Cell, seed: int, scoring: Scoring) -> None:
    """Sample and score on one thread."""
    folder = run_dir(cell, seed) / "scores" / scoring.name
    if not (folder / "evaluation.json").exists():
        sets = [f"+sets.{name}={path}" for name, path in scoring.sets.items()]
        command(
            "evaluate", f"run={run_dir(cell, seed)}", f"out={folder}", "threads=1", *sets, *scoring.overrides,
            "+trainer.enable_progress_bar=false", log=folder / "log.txt",
        )  # fmt: skip


def videos(cell: Cell, seeds: Iterable[int], scoring: Scoring) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """Scores by (set, metric) and (seed, clip); the set `all` holds every clip."""
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for seed in seeds:
        with (run_dir(cell, seed) / "scores" / scoring.name / "metrics_per_clip.csv").open() as handle:
            for row in csv.DictReader(handle):
                for metric in METRICS:
                    if row.get(metric):
                        for name in (row["set"], "all"):
                            key = (str(seed), f"{row['set']}/{row['clip']}")
                            found.setdefault((name, metric), {})[key] = float(row[metric])
    return found


def rows_of(question: str, seeds: list[int]) -> list[Row]:
    """The estimates of one question, and of what differs from its first cell, clip by clip and seed by seed."""
    rows: list[Row] = []
    first: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for labels, name, scoring in QUESTIONS[question]:
        cell = videos(CELLS[name], seeds, scoring)
        first = first or cell
        for key, values in cell.items():
            found = estimate(values)
            differs = estimate({video: value - first[key][video] for video, value in values.items()})
            rows.append(
                {
                    **labels, "set": key[0], "metric": key[1], "mean": found.mean, "low": found.low,
                    "high": found.high, "difference": differs.mean, "difference_low": differs.low,
                    "difference_high": differs.high, "seeds": found.seeds, "clips": found.clips,
                }
            )  # fmt: skip
    return rows


def cost() -> list[Row]:
    """What the study of the peers measured, without what it says about masks and text."""
    columns = ("method", "seed", "train_seconds", "peak_memory_mb", "trained_parameters", "diversity")
    with (HERE.parent / "peers" / "results.csv").open() as handle:
        return [{name: row[name] for name in columns} for row in csv.DictReader(handle)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*QUESTIONS, "cost"], default=[*QUESTIONS, "cost"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side, of one thread each")
    options = parser.parse_args()
    asked = [(name, scoring) for question in options.only if question in QUESTIONS
             for _, name, scoring in QUESTIONS[question]]  # fmt: skip
    with ThreadPoolExecutor(options.jobs) as pool:
        # Seed by seed, so that a study that is stopped has whole seeds.
        for seed in options.seeds:
            list(pool.map(lambda name, seed=seed: tune(CELLS[name], seed), dict.fromkeys(name for name, _ in asked)))
            list(pool.map(lambda pair, seed=seed: score(CELLS[pair[0]], seed, pair[1]), dict.fromkeys(asked)))
    for question in options.only:
        rows = cost() if question == "cost" else rows_of(question, options.seeds)
        write_rows(HERE / f"{question}.csv", rows)
        for row in rows:
            if row.get("set") == "all" and row.get("metric") == "mask_iou":
                print(question, {key: value for key, value in row.items() if key not in ("set", "metric")})
        if question in ("robustness", "shots"):
            curves(question, rows, HERE / f"{question}.png")


if __name__ == "__main__":
    main()
