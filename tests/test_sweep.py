"""Sweeps by the commands a user types: a failed job, a stopped sweep, other launchers, a search."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from maskvid.config import CONF
from tests.test_ddp import run_command

ROOT = Path(__file__).resolve().parents[1]
ABLATIONS = sorted(path.stem for path in Path(CONF, "ablation").glob("*.yaml"))


@pytest.fixture(scope="module")
def common(overrides):
    return [*overrides, "data.validation=null", "trainer.max_steps=2", "trainer.limit_val_batches=0"]


def finished(folder: Path) -> dict[str, list[str]]:
    """Overrides of the finished jobs by job number."""
    return {
        path.parent.name: json.loads(path.read_text())["overrides"] for path in sorted(folder.rglob("finished.json"))
    }


def test_a_failed_job_loses_no_other_and_is_repeated_alone(common, tmp_path):
    sweep = ["-m", *common, "method.noise.mode=preserve,unheard_of,independent", f"hydra.sweep.dir={tmp_path}"]
    done = run_command(sweep, expect=1)
    assert list(finished(tmp_path)) == ["0", "2"]
    assert "unheard_of" in done.stdout + done.stderr
    assert "2 jobs finished, 1 failed" in done.stdout
    assert "Traceback" not in done.stderr
    before = (tmp_path / "0" / "finished.json").stat().st_mtime_ns
    again = run_command(sweep, expect=1)
    assert again.stdout.count("is finished already") == 2
    assert (tmp_path / "0" / "finished.json").stat().st_mtime_ns == before
    other = run_command(["-m", *common, "seed=2", f"hydra.sweep.dir={tmp_path}"], expect=1)  # another sweep
    assert "another hydra.sweep.dir" in other.stdout + other.stderr
    assert (tmp_path / "0" / "finished.json").stat().st_mtime_ns == before


def test_a_killed_sweep_goes_on_in_the_middle_of_its_job(common, tmp_path):
    slow = ["trainer.max_steps=400", "callbacks.checkpoint.every_n_train_steps=1"]
    sweep = ["-m", *common, *slow, "seed=1,2", f"hydra.sweep.dir={tmp_path}"]
    running = subprocess.Popen([sys.executable, "-m", "maskvid.train", *sweep], cwd=ROOT, stdout=subprocess.DEVNULL)
    checkpoint, deadline = tmp_path / "0" / "checkpoints" / "last.ckpt", time.monotonic() + 120
    while not checkpoint.exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert finished(tmp_path) == {}
    reached = torch.load(checkpoint, weights_only=True)["global_step"]
    for log in tmp_path.rglob("metrics.csv"):
        log.unlink()
    # The same jobs, but for the length that a test has no time for.
    run_command([entry for entry in sweep if entry != "trainer.max_steps=400"] + [f"trainer.max_steps={reached + 2}"])
    assert list(finished(tmp_path)) == ["0", "1"]
    steps = []
    for job in ("0", "1"):
        with next((tmp_path / job).rglob("metrics.csv")).open() as handle:
            steps.append([int(row["step"]) for row in csv.DictReader(handle) if row["train/loss"]])
    assert steps[0][0] >= reached  # went on
    assert steps[1][0] == 0  # had not begun


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers(common, tmp_path, launcher):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else ["hydra.launcher.timeout_min=5"]
    run_command(["-m", *common, "seed=1,2", f"hydra/launcher={launcher}", f"hydra.sweep.dir={tmp_path}", *more])
    assert sorted(overrides[-1] for overrides in finished(tmp_path).values()) == ["seed=1", "seed=2"]
    assert len(list(tmp_path.rglob("adapter.safetensors"))) == 2


def test_a_search_maximises_the_metric_it_is_told(overrides, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    scored = [entry for entry in overrides if entry != "callbacks.metrics=null"]
    few = ["hydra.sweeper.n_trials=2", "optimized_metric=seen/mask_iou", "trainer.max_steps=1"]
    run_command([*scored, "hparams_search=optuna", *few, f"hydra.sweep.dir={tmp_path}"])
    best = (tmp_path / "optimization_results.yaml").read_text()
    values = [json.loads(path.read_text())["metrics"]["seen/mask_iou"] for path in tmp_path.rglob("finished.json")]
    assert len(values) == 2
    assert f"best_value: {max(values)}" in best


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_takes_something_away(ablation):
    with initialize_config_dir(CONF, version_base="1.3"):
        whole = compose("train", overrides=["+experiment=horse", "run_dir=."]).method
        part = compose("train", overrides=["+experiment=horse", "run_dir=.", f"+ablation={ablation}"]).method
    assert (part != whole) == (ablation != "whole")


def test_the_ablation_sweep_names_every_ablation():
    swept = (Path(CONF) / "sweep" / "ablation.yaml").read_text()
    [line] = [line for line in swept.splitlines() if "+ablation:" in line]
    assert sorted(line.split(":")[1].strip().split(",")) == ABLATIONS
