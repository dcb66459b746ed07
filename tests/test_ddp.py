"""Several processes on the CPU, by the commands a user types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from maskvid.config import CONF
from maskvid.evaluate import evaluate
from maskvid.train import train
from tests.runs import configure
from tests.test_train import weights

TWO = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=64-true"]
TORCHRUN = "torch.distributed.run --standalone --nproc-per-node=2 -m maskvid.train"


def run_command(arguments: list[str], *, module: str = "maskvid.train", expect: int | None = 0, **environment: str):
    """`python -m maskvid.train`, each process on one thread; a hang is a failure."""
    clean = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, "-m", *module.split(), *arguments], capture_output=True, text=True, timeout=180,
        cwd=Path(__file__).resolve().parents[1], env={**clean, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    if expect is not None:
        assert done.returncode == expect, done.stderr[-3000:]
    return done


ROUGH = "method.rough_masks=0.5"


@pytest.fixture(scope="module")
def common(overrides):
    """No mixed-up order of overrides: the trainer's group comes first."""
    mine = [entry for entry in overrides if entry not in ("trainer.precision=32", "trainer.accelerator=cpu")]
    return [*mine, "trainer.max_steps=4", "trainer.limit_val_batches=0", "seed=3"]


@pytest.fixture(scope="module")
def pair(common, tmp_path_factory) -> Path:
    """Four steps of two ranks with one clip each."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    scored = [entry for entry in common if entry != "callbacks.metrics=null"]
    count = f"+callbacks.count={{_target_: tests.failing.CountCollectives, path: {folder.parent / 'collectives'}}}"
    run_command([*TWO, *scored, ROUGH, f"run_dir={folder}", count])
    return folder


def test_a_training_step_waits_for_no_other_rank_but_for_its_gradients(pair):
    assert (pair.parent / "collectives").read_text() == ""


def test_two_ranks_train_to_the_weights_of_one_process_with_twice_the_batch(common, pair, tmp_path):
    """In double precision to 1e-9 of the largest weight: only the order of sums differs."""
    single = ["trainer.accelerator=cpu", "trainer.precision=64-true", "data.batch_size=2"]
    train(configure([*single, *common, ROUGH], f"run_dir={tmp_path}", "data.validation=null"))
    ours, theirs = weights(pair), weights(tmp_path)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert (value - theirs[name]).abs().max() <= 1e-9 * max(1.0, float(theirs[name].abs().max())), name

    published = [load_file(folder / "adapter" / "adapter.safetensors") for folder in (pair, tmp_path)]
    assert any(name.startswith("rough-") for name in published[0])
    for name, value in published[0].items():
        torch.testing.assert_close(value, published[1][name], atol=1e-6, rtol=1e-5)


def test_validation_is_sharded_and_equals_that_of_one_process(common, pair, tmp_path):
    scored = [entry for entry in common if entry != "callbacks.metrics=null"]
    single = ["trainer.accelerator=cpu", "trainer.precision=64-true", "data.batch_size=2"]
    train(configure([*single, *scored], f"run_dir={tmp_path}"))
    found, wanted = (json.loads((folder / "metrics.json").read_text()) for folder in (pair, tmp_path))
    assert found == pytest.approx(wanted, rel=1e-3)
    assert len(list((pair / "samples" / "step-000004" / "seen").glob("*.mp4"))) == 3
    assert len((pair / "metrics_per_clip.csv").read_text().splitlines()) == 4


def test_a_backbone_that_is_shared_out_trains_and_samples_the_same(common, pair, tmp_path):
    scored = [entry for entry in common if entry != "callbacks.metrics=null"]
    run_command([*TWO, *scored, "shard_backbone=true", ROUGH, f"run_dir={tmp_path}"])
    ours, theirs = weights(tmp_path), weights(pair)
    for name, value in ours.items():
        assert (value - theirs[name]).abs().max() <= 1e-9 * max(1.0, float(theirs[name].abs().max())), name
    found, wanted = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path, pair))
    assert found == pytest.approx(wanted, rel=1e-3)


def test_a_run_whose_rank_died_is_resumed_exactly_by_torchrun(common, tmp_path):
    """To the last bit, in single precision: Lightning's double precision loses digits in loading a checkpoint."""
    two = [*TWO[:2], *common, "data.validation=null", "callbacks.checkpoint.every_n_train_steps=2"]
    run_command([*two, f"run_dir={tmp_path / 'whole'}"])
    die = "+callbacks.stop={_target_: tests.failing.FailAt, step: 3, rank: 1, hard: true}"
    done = run_command([*two, f"run_dir={tmp_path / 'parts'}", die], expect=None)
    assert done.returncode != 0
    assert not (tmp_path / "parts" / "adapter" / "adapter.json").exists()
    assert torch.load(tmp_path / "parts" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    run_command([*two, f"run_dir={tmp_path / 'parts'}", "ckpt_path=last"], module=TORCHRUN)
    ours, theirs = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_rank_that_stands_still_ends_the_run_with_a_sentence(common, tmp_path):
    still = "+callbacks.stop={_target_: tests.failing.FailAt, step: 2, rank: 1, still: true}"
    wait = "trainer.strategy.timeout.seconds=45"  # both import their libraries within it
    done = run_command([*TWO, *common, "data.validation=null", f"run_dir={tmp_path}", wait, still], expect=1)
    assert "another process of this run has ended or stands still" in done.stderr
    assert "Traceback" not in done.stderr
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed


def test_a_rank_that_fails_ends_the_run_with_an_error(common, tmp_path):
    stop = "+callbacks.stop={_target_: tests.failing.FailAt, step: 2, rank: 0}"
    done = run_command([*TWO, *common, "data.validation=null", f"run_dir={tmp_path}", stop], expect=None)
    assert done.returncode != 0
    assert not (tmp_path / "adapter" / "adapter.json").exists()


def test_torchrun_is_refused_where_each_process_would_name_its_own_folder(common):
    refused = run_command([*TWO, *common, "data.validation=null"], module=TORCHRUN, expect=None)
    assert refused.returncode != 0
    assert "give hydra.run.dir=FOLDER" in refused.stderr + refused.stdout


def test_processes_of_lightning_within_a_sweep_are_refused(common, tmp_path):
    done = run_command(["-m", *TWO, *common, f"hydra.sweep.dir={tmp_path}"], expect=None)
    assert done.returncode != 0
    assert "hydra/launcher=joblib" in done.stderr + done.stdout


def test_an_evaluation_by_processes_of_lightning_within_a_sweep_is_refused(pair, tmp_path):
    more = ["sampling.perturb_strength=1,2", "sampling.perturb=dilate", f"hydra.sweep.dir={tmp_path}"]
    done = run_command(["-m", f"run={pair}", *TWO[:2], *more], module="maskvid.evaluate", expect=1)
    assert "hydra/launcher=joblib" in done.stderr + done.stdout


def test_an_evaluation_by_two_ranks_equals_that_of_one(common, pair, tmp_path):
    both = [f"run={pair}", "trainer=ddp_cpu", "trainer.devices=2", f"out={tmp_path / 'two'}"]
    run_command(both, module="maskvid.evaluate")
    with initialize_config_dir(CONF, version_base="1.3"):
        evaluate(compose("evaluate", overrides=[f"run={pair}", "trainer.accelerator=cpu", f"out={tmp_path / 'one'}"]))
    found, wanted = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("two", "one"))
    assert found == pytest.approx(wanted, rel=1e-4)
    assert (tmp_path / "two" / "evaluation.json").exists()
