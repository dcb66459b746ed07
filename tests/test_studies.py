"""What the studies will run composes: a typo would otherwise show after hours."""

import pytest
from hydra import compose, initialize_config_dir

from experiments.reviewers.cells import CELLS, PARTS, QUESTIONS
from experiments.study import mean_over
from maskvid.config import CONF, check_keys
from maskvid.train import train
from tests.runs import configure


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_the_reviewers_study_compose(name):
    cell = CELLS[name]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=[f"+experiment={cell.experiment}", "run_dir=.", *cell.overrides])
    check_keys(config)
    # Every cell but the whole method differs from its experiment by what it says it changes.
    with initialize_config_dir(CONF, version_base="1.3"):
        plain = compose("train", overrides=[f"+experiment={cell.experiment}", "run_dir=."])
    assert (config != plain) == bool(cell.overrides)


def test_scorings_of_the_reviewers_study_compose():
    scorings = {scoring for cells in QUESTIONS.values() for _, _, scoring in cells}
    with initialize_config_dir(CONF, version_base="1.3"):
        for scoring in scorings:
            check_keys(compose("evaluate", overrides=["run=x", *scoring.overrides]))
    assert len(scorings) == 27  # exact, the motions, and five kinds in five strengths


def test_every_question_is_answered_by_cells_that_exist():
    assert {name for cells in QUESTIONS.values() for _, name, _ in cells} == set(CELLS)
    assert len(QUESTIONS["parts"]) == len(PARTS) + 1
    assert len(QUESTIONS["robustness"]) == 2 * 5 * 6


def test_means_over_a_column_keep_the_others_apart():
    rows = [{"way": way, "clip": clip, "x": value} for way, clip, value in (("a", 1, 1), ("a", 2, 3), ("b", 1, 5))]
    assert mean_over(rows, "clip", ["x"]) == [{"way": "a", "x": 2}, {"way": "b", "x": 5}]
    assert mean_over([{"way": "a", "clip": 1, "x": ""}], "clip", ["x"]) == [{"way": "a", "x": ""}]


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_without_a_part_tunes_and_samples(part, overrides, tmp_path):
    short = ["trainer.max_steps=1", "trainer.val_check_interval=1", "data.limit_validation=1"]
    train(configure([f"+ablation={part}", *overrides], f"run_dir={tmp_path}", *short))
    assert len(list(tmp_path.rglob("*.mp4"))) == 1
