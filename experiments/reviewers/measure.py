"""What reviewers asked: `python -m experiments.reviewers.measure` (`--only parts shots`, `--seeds 1 2 3`, `--jobs 2`).

Each cell is a way of tuning; it is tuned once for each seed and scored on the 24 test clips of the horse. The score of
every video is kept in scores.csv beside this file and not measured again, so a stopped study goes on, also on another
machine; a run that was stopped goes on from its checkpoint in runs/reviewers. One CSV for each question, with 95
percent bootstrap intervals over seeds and clips, of the values and of their differences from the first cell's on the
same clips and seeds, and a figure of the number of clips:

- attribution: {mask, no mask} x {tuned, untuned}: how much is the motion, how much the mask?
- parts: each part taken away
- untuned: the two mask attentions without any tuning, where only the brought noise knows of the masks beside them
- shots: 1, 2, 4, 8 and 12 training clips
- motions: one adapter for three motions, or one each
- cost: time, memory, weights and diversity beside the peers (from experiments/peers)
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import maskvid.evaluate
import maskvid.train
from experiments.reviewers.cells import BUDGET, CELLS, QUESTIONS, Cell, Scoring
from experiments.reviewers.figures import curves
from experiments.reviewers.scores import Scores
from experiments.study import Row, configure, write_rows
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
    config = configure(
        "train", "+experiment=horse", *BUDGET, *cell.overrides, f"seed={seed}", f"run_dir={folder}",
        "logger=csv", "threads=1", "trainer.limit_val_batches=0", "data.validation=null", "callbacks.progress=null",
    )  # fmt: skip
    if config.method.trained:  # else there is nothing to go on with, and it is refused
        config.ckpt_path = "auto"
    with quiet(folder / "log.txt"):
        maskvid.train.train(config)


def score(cell: Cell, seed: int, scoring: Scoring) -> Path:
    """Sample and score on one thread; what is returned has a line for each clip."""
    folder = run_dir(cell, seed) / "scores" / scoring.name
    per_clip = folder / "metrics_per_clip.csv"
    if (folder / "evaluation.json").exists():  # written last
        return per_clip
    sets = [f"+sets.{name}={path}" for name, path in scoring.sets.items()]
    config = configure(
        "evaluate", f"run={run_dir(cell, seed)}", f"out={folder}", "threads=1", "save_videos=false", *sets,
        *scoring.overrides, "+trainer.enable_progress_bar=false",
    )  # fmt: skip
    with quiet(folder / "log.txt"):
        maskvid.evaluate.evaluate(config)
    return per_clip


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Print into a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as handle, contextlib.redirect_stdout(handle), contextlib.redirect_stderr(handle):
        yield


def work(cell: Cell, seed: int, scorings: list[Scoring]) -> dict[str, Path]:
    """Tune a cell and score it; the name of each scoring with its file."""
    tune(cell, seed)
    return {scoring.name: score(cell, seed, scoring) for scoring in scorings}


def end_with_the_study() -> None:
    """End this worker as soon as the study has: it holds work waiting, and would do it beside the next study's."""
    study = multiprocessing.parent_process()
    assert study is not None
    threading.Thread(target=lambda: (study.join(), os._exit(1)), daemon=True).start()


def missing(scores: Scores, questions: list[str], seeds: list[int]) -> dict[tuple[str, int], list[Scoring]]:
    """What the questions ask for and has no scores yet: scorings by cell and seed, whole seeds first."""
    asked = dict.fromkeys((name, scoring) for question in questions for _, name, scoring in QUESTIONS[question])
    found: dict[tuple[str, int], list[Scoring]] = {}
    for seed in seeds:
        for name, scoring in asked:
            if (name, seed, scoring.name) not in scores.rows:
                found.setdefault((name, seed), []).append(scoring)
    return found


def measure(scores: Scores, questions: list[str], seeds: list[int], jobs: int) -> None:
    """Tune and score what is missing, so many cells at a time, and keep the scores of each as soon as it is done.

    Raises:
        SystemExit: Cells failed; those that did not have their scores all the same.
    """
    failed = []
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes load their libraries
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=end_with_the_study) as pool:
        todo = missing(scores, questions, seeds)
        running = {pool.submit(work, CELLS[name], seed, todo[name, seed]): (name, seed) for name, seed in todo}
        for done, future in enumerate(as_completed(running), 1):
            name, seed = running[future]
            if error := future.exception():
                failed.append(f"{name}, seed {seed}: {error!r}; what it printed is in {run_dir(CELLS[name], seed)}")
            else:
                for scoring, per_clip in future.result().items():
                    scores.add((name, seed, scoring), per_clip)
            print(f"{done} of {len(running)}: {name}, seed {seed}", flush=True)
    if failed:
        raise SystemExit("\n".join(["failed, and tried again by the same command:", *failed]))


def rows_of(question: str, scores: Scores, seeds: list[int]) -> list[Row]:
    """The estimates of one question, and of what differs from its first cell, clip by clip and seed by seed."""
    rows: list[Row] = []
    first: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for labels, name, scoring in QUESTIONS[question]:
        cell = scores.videos(name, seeds, scoring.name)
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
    scores = Scores(HERE / "scores.csv")
    measure(scores, [question for question in options.only if question != "cost"], options.seeds, options.jobs)
    for question in options.only:
        rows = cost() if question == "cost" else rows_of(question, scores, options.seeds)
        write_rows(HERE / f"{question}.csv", rows)
        for row in rows:
            if row.get("set") == "all" and row.get("metric") == "mask_iou":
                print(question, {key: value for key, value in row.items() if key not in ("set", "metric")})
        if question == "shots":
            curves(rows, HERE / "shots.png")


if __name__ == "__main__":
    main()
