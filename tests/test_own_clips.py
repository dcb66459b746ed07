"""Clips of one's own: what is said of them, their validation sets, and a log file of their training."""

import re

import pytest
from hydra import compose, initialize_config_dir

from maskvid.callbacks.loggers import wandb_logger
from maskvid.config import CONF
from maskvid.train import sets_of, train, warn_of_footage
from tests.runs import configure


def test_a_folder_stands_in_place_of_all_validation_sets():
    with initialize_config_dir(CONF, version_base="1.3"):
        for given, want in (
            ("data.validation=held/out", {"out": "held/out"}),
            ("data.validation=null", None),
        ):
            config = compose("train", overrides=["+experiment=horse", "run_dir=x", given])
            assert sets_of(config.data.validation) == want, given
        config = compose("train", overrides=["+experiment=horse", "run_dir=x", "+data.validation.mine=held/out"])
        assert list(sets_of(config.data.validation)) == ["horse", "unseen", "motion", "mine"]


def test_a_run_takes_a_folder_as_its_validation_set_and_logs_in_lines(overrides, triples, tmp_path, capfd):
    kept = [one for one in overrides if "validation" not in one and "progress" not in one and "max_steps" not in one]
    more = [
        f"data.validation={triples}",
        f"run_dir={tmp_path}",
        "trainer.max_steps=4",
        "callbacks.progress.log_every=2",
    ]
    train(configure(kept, *more, "trainer.limit_val_batches=1"))
    assert {path.name for path in (tmp_path / "samples").glob("step-*/*")} == {triples.name}
    out, err = capfd.readouterr()
    assert re.search(r"^step 2 of 4, train/loss [\d.e-]+, [\d.]+ steps a second$", out, re.MULTILINE)
    assert re.search(r"^step 4 of 4, ", out, re.MULTILINE)
    assert len(re.findall(r"^step \d", out, re.MULTILINE)) == 2
    assert "it/s" not in out + err
    assert "\r" not in out


@pytest.mark.parametrize(("more", "said"), [([], False), (["data.train=mine"], True), (["data.train=[mine]"], True)])
def test_what_the_miniature_is_not_for_is_said_once(more, said, capsys):
    with initialize_config_dir(CONF, version_base="1.3"):
        for backbone, expected in (("mini", said), ("sd15", False)):
            overrides = ["+experiment=horse", "run_dir=x", f"backbone={backbone}", *more]
            warn_of_footage(compose("train", overrides=overrides))
            assert ("knows rendered animals" in " ".join(capsys.readouterr().err.split())) == expected


def test_a_log_file_gets_no_curves_of_wandb(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr("maskvid.callbacks.loggers.WandbLogger", lambda **options: given.update(options))
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    wandb_logger(save_dir=tmp_path)
    assert given["settings"] == {"quiet": True}
    given.clear()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    wandb_logger(save_dir=tmp_path)
    assert "settings" not in given
