"""What the studies will run composes: a typo would otherwise show after hours."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from experiments.long_video.measure import background_changes
from experiments.reviewers import measure
from experiments.reviewers.cells import BUDGET, CELLS, EXACT, PARTS, QUESTIONS, Cell
from experiments.reviewers.measure import missing, rows_of
from experiments.reviewers.scores import Scores
from experiments.study import mean_over
from maskvid.config import CONF
from maskvid.entry import check_keys
from maskvid.train import train
from tests.runs import configure


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_the_reviewers_study_compose(name):
    cell = CELLS[name]
    common = ["+experiment=horse", "run_dir=.", *BUDGET]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=[*common, *cell.overrides])
    check_keys(config)
    # Every cell but the whole method differs from its experiment by what it says it changes.
    with initialize_config_dir(CONF, version_base="1.3"):
        plain = compose("train", overrides=common)
    assert (config != plain) == bool(cell.overrides)


def test_scorings_of_the_reviewers_study_compose():
    scorings = {scoring for cells in QUESTIONS.values() for _, _, scoring in cells}
    with initialize_config_dir(CONF, version_base="1.3"):
        for scoring in scorings:
            check_keys(compose("evaluate", overrides=["run=x", *scoring.overrides]))
    assert len(scorings) == 2  # exact ones, and the motions


def test_every_question_is_answered_by_cells_that_exist():
    assert {name for cells in QUESTIONS.values() for _, name, _ in cells} == set(CELLS)
    assert len(QUESTIONS["parts"]) == len(PARTS) + 1


def test_what_is_not_tuned_leaves_a_run_to_score(tmp_path, monkeypatch):
    """Nothing goes on there, and going on is refused where it has no effect."""
    monkeypatch.chdir(tmp_path)
    measure.tune(CELLS["no_mask_untuned"], 1)
    assert (tmp_path / "runs/reviewers/no_mask_untuned-1/adapter/adapter.json").exists()


def test_seams_are_told_from_the_other_steps_of_a_long_video():
    frames, masks = torch.zeros(6, 3, 4, 4), torch.zeros(6, 1, 4, 4)
    frames[1:] += 1 / 127.5  # one grey level from frame 0 to 1
    frames[3:] -= 6 / 127.5  # the seam
    masks[2:4, :, 0] = 1
    frames[2:4, :, 0] = 1  # what the animal changes does not count, in neither of two frames
    changes = background_changes(frames, masks, [3])
    assert changes == pytest.approx({"change_at_seams": 6, "change_inside": 1 / 4})


def test_means_over_a_column_keep_the_others_apart():
    rows = [{"way": way, "clip": clip, "x": value} for way, clip, value in (("a", 1, 1), ("a", 2, 3), ("b", 1, 5))]
    assert mean_over(rows, "clip", ["x"]) == [{"way": "a", "x": 2}, {"way": "b", "x": 5}]
    assert mean_over([{"way": "a", "clip": 1, "x": ""}], "clip", ["x"]) == [{"way": "a", "x": ""}]


def test_scores_of_the_reviewers_study_are_kept_and_compared_clip_by_clip(tmp_path):
    """What has scores is not asked for again, in a checkout without runs either."""
    scores = Scores(tmp_path / "scores.csv")
    cells = [name for _, name, _ in QUESTIONS["attribution"]]
    todo = [(name, seed) for seed in (1, 2) for name in cells]
    assert missing(scores, ["attribution", "parts"], [1, 2]).keys() > set(todo)
    for nth, (name, seed) in enumerate(todo):
        assert missing(scores, ["attribution"], [1, 2]) == {left: [EXACT] for left in todo[nth:]}
        per_clip = tmp_path / f"{name}-{seed}.csv"
        iou = {"a": 0.5, "b": 0.9}  # clips differ more than cells do
        lines = [f"seen,{clip},7,text,{value - 0.1 * cells.index(name):.3f}," for clip, value in iou.items()]
        per_clip.write_text("\n".join(["set,clip,seed,prompt,mask_iou,diversity", *lines]) + "\n")
        scores.add((name, seed, "exact"), per_clip)
        scores = Scores(scores.path)
    assert not missing(scores, ["attribution"], [1, 2])
    rows = {(row["mask"], row["tuned"], row["set"]): row for row in rows_of("attribution", scores, [1, 2])}
    assert len(rows) == 2 * 4  # no metric but the one that was measured
    second = rows[True, False, "all"]
    assert (second["mean"], second["difference"]) == pytest.approx((0.6, -0.1))
    assert second["difference_low"] == pytest.approx(second["difference_high"])  # paired: all clips lose alike
    assert second["low"] < second["high"]
    assert (second["seeds"], second["clips"]) == (2, 2)


def test_a_cell_that_fails_loses_no_others_scores_and_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where runs/reviewers lies
    broken, done = Cell("broken", ("data.train=nowhere",)), Cell("done")
    monkeypatch.setattr(measure, "CELLS", {"broken": broken, "done": done})
    monkeypatch.setitem(QUESTIONS, "attribution", [({}, "broken", EXACT), ({}, "done", EXACT)])
    scored = tmp_path / "runs/reviewers/done-1/scores/exact"
    (tmp_path / "runs/reviewers/done-1/adapter").mkdir(parents=True)
    (tmp_path / "runs/reviewers/done-1/adapter/adapter.json").touch()
    scored.mkdir(parents=True)
    (scored / "evaluation.json").touch()
    (scored / "metrics_per_clip.csv").write_text("set,clip,seed,mask_iou\nseen,a,7,0.5\n")
    with pytest.raises(SystemExit, match=r"broken, seed 1: .*nowhere"):
        measure.measure(Scores(tmp_path / "scores.csv"), ["attribution"], [1], jobs=1)
    assert missing(Scores(tmp_path / "scores.csv"), ["attribution"], [1]) == {("broken", 1): [EXACT]}


def test_the_workers_of_a_study_that_is_stopped_end_with_it(tmp_path):
    script = tmp_path / "study.py"
    script.write_text(
        "import multiprocessing, os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from experiments.reviewers.measure import end_with_the_study\n"
        "if __name__ == '__main__':\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=end_with_the_study)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    pool.submit(time.sleep, 300)\n"
        "    time.sleep(300)\n"
    )
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    ) as study:
        assert study.stdout is not None
        worker = int(study.stdout.readline())
        study.kill()
        try:
            study.communicate(timeout=30)  # returns once nobody holds the other end, the worker neither
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_without_a_part_tunes_and_samples(part, overrides, tmp_path):
    short = ["trainer.max_steps=1", "trainer.val_check_interval=1", "data.limit_validation=1"]
    train(configure([f"+ablation={part}", *overrides], f"run_dir={tmp_path}", *short))
    assert len(list(tmp_path.rglob("*.mp4"))) == 1


def test_memory_is_counted_while_it_lives():
    from experiments.speed.count import Peak

    weight = torch.ones(100)
    with Peak([weight]) as peak:
        first = weight + 1
        shown = first.view(10, 10)  # the same storage
        del first, shown
        second = weight * 2
        in_place = second.mul_(2)
        third = in_place + weight.view(100)
    assert peak.most == peak.now == third.nbytes + second.nbytes == 800
