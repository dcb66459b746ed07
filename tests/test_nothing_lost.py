"""Nobody's work is overwritten, and whatever ends a run leaves what it can be gone on from."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import wandb

from maskvid.callbacks.kept_csv import KeptCSVLogger
from maskvid.errors import UserError
from maskvid.files import atomic_write, clear_temporaries, file_name
from maskvid.generate import generate
from maskvid.media.writing import to_uint8, write_video
from maskvid.pipeline import MaskVidPipeline
from maskvid.run_dir import claimed
from maskvid.train import train
from tests.forks import run_program
from tests.runs import configure, configure_generate
from tests.test_train import weights


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    train(configure(overrides, f"run_dir={folder}", "data.validation=null"))
    return folder


def without_sets(overrides) -> list[str]:
    return [*(entry for entry in overrides if not entry.startswith("data.validation=")), "data.validation=null"]


def test_a_used_run_directory_is_refused_and_replaced_where_that_is_asked(overrides, run):
    before = (run / "adapter" / "adapter.json").read_bytes()
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / "old.mp4").touch()
    with pytest.raises(UserError, match=r"holds another run \(adapter, checkpoints.*ckpt_path=last.*overwrite=true"):
        train(configure(without_sets(overrides), f"run_dir={run}", "trainer.max_steps=0"))
    assert (run / "adapter" / "adapter.json").read_bytes() == before
    train(configure(without_sets(overrides), f"run_dir={run}", "overwrite=true"))
    assert (run / "adapter" / "adapter.json").read_bytes() == before  # the same run again
    assert not (run / "samples" / "old.mp4").exists()


def test_two_trainings_are_not_at_once_in_one_directory(tmp_path):
    first = claimed(tmp_path, going_on=False, overwrite=False)
    with first, pytest.raises(UserError, match="another process is training there"):
        claimed(tmp_path, going_on=True, overwrite=False).__enter__()
    with claimed(tmp_path, going_on=False, overwrite=False):
        pass


def test_auto_begins_where_a_run_ended_before_its_first_checkpoint(overrides, tmp_path):
    arguments = [*without_sets(overrides), f"run_dir={tmp_path}", "trainer.max_steps=1", "ckpt_path=auto"]
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "metrics.csv").write_text("step\n0\n")
    train(configure(arguments))
    (tmp_path / "checkpoints" / "last.ckpt").unlink()  # it was tuned: that is worth keeping
    with pytest.raises(UserError, match="it holds another run"):
        train(configure(arguments))


def test_auto_begins_and_goes_on(overrides, run, tmp_path):
    for steps in (2, 4):
        train(configure(without_sets(overrides), f"run_dir={tmp_path}", f"trainer.max_steps={steps}", "ckpt_path=auto",
                        "optim.decay_from=1"))  # fmt: skip
    straight = tmp_path / "straight"
    train(configure(without_sets(overrides), f"run_dir={straight}", "optim.decay_from=1"))
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(tmp_path)[name]), name
    with (tmp_path / "csv" / "metrics.csv").open() as handle:
        losses = [row["train/loss"] for row in csv.DictReader(handle) if row["train/loss"]]
    with (straight / "csv" / "metrics.csv").open() as handle:
        assert losses == [row["train/loss"] for row in csv.DictReader(handle) if row["train/loss"]]


def test_settings_that_a_checkpoint_brings_are_not_recorded_as_others(overrides, run, tmp_path):
    for change in ("optim.learning_rate=0.5", "seed=7", "method.noise.alpha=0.9", "method=first_frame"):
        with pytest.raises(UserError, match=r"begun with|another method"):
            train(configure(without_sets(overrides), f"run_dir={run}", "ckpt_path=last", change))
    assert "learning_rate: 0.5" not in (run / "config.yaml").read_text()


def test_weights_alone_are_gone_on_from_with_new_rates(overrides, run, tmp_path):
    common = [f"run_dir={tmp_path}", f"init_adapter={run}", "optim.learning_rate=0.0", "optim.mask_learning_rate=0.0"]
    train(configure(without_sets(overrides), *common, "trainer.max_steps=1"))
    ours, theirs = (MaskVidPipeline.from_pretrained(one).inflated.steering.state_dict() for one in (tmp_path, run))
    trained = {name for name, _ in MaskVidPipeline.from_pretrained(run).inflated.steering.named_parameters()}
    assert all(torch.equal(ours[name], theirs[name]) for name in trained)
    for more, words in ((["ckpt_path=last"], "give one of"), (["method=first_frame"], "init_adapter=")):
        with pytest.raises(UserError, match=words):
            train(configure(without_sets(overrides), f"run_dir={tmp_path}/x", f"init_adapter={run}", *more))


def test_no_step_at_all_leaves_an_adapter(overrides, tmp_path):
    train(configure(without_sets(overrides), f"run_dir={tmp_path}", "trainer.max_steps=0"))
    assert MaskVidPipeline.from_pretrained(tmp_path).run.steps == 0


def test_a_run_killed_in_its_last_validation_leaves_an_adapter_when_it_goes_on(overrides, tmp_path):
    arguments = [*overrides, f"run_dir={tmp_path}", "trainer.limit_val_batches=0"]  # none while training
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"

    def in_last_validation() -> bool:
        return (tmp_path / "samples" / "step-000004").is_dir()

    killed = run_program("train", arguments, tmp_path / "work", send=signal.SIGKILL, when=in_last_validation)
    assert killed.status == -signal.SIGKILL
    assert checkpoint.is_file()
    (tmp_path / "adapter" / "adapter.json").unlink(missing_ok=True)
    train(configure(overrides, f"run_dir={tmp_path}", "ckpt_path=auto"))
    assert MaskVidPipeline.from_pretrained(tmp_path).run.steps == 4
    assert len(list(tmp_path.glob("samples/step-000004/seen/*.mp4"))) == 3
    assert not list(tmp_path.rglob(".*.maskvid-*"))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_steps_leaves_checkpoint_and_adapter(overrides, tmp_path, signum):
    arguments = [*without_sets(overrides), f"run_dir={tmp_path}/run", "trainer.max_steps=10000", "optim.decay_from=1"]
    arguments += ["callbacks.checkpoint.every_n_train_steps=2"]
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    ended = run_program("train", arguments, tmp_path / "work", send=signum, when=checkpoint.exists)
    assert ended.status == 128 + signum, ended.err
    assert "Traceback" not in ended.err
    assert f"stopped by {signum.name}. Checkpoint and adapter of step" in ended.err
    assert "ckpt_path=auto goes on" in ended.err
    step = MaskVidPipeline.from_pretrained(tmp_path / "run").run.steps
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == step > 0


def test_a_loss_that_is_no_number_stops_the_run(overrides, tmp_path):
    arguments = [
        *without_sets(overrides), f"run_dir={tmp_path}", "trainer.max_steps=9", "trainer.gradient_clip_val=null",
        "optim.learning_rate=1000", "optim.mask_learning_rate=1000", "optim.warmup_steps=0", "optim.decay_from=1",
    ]  # fmt: skip
    with pytest.raises(
        UserError, match=r"loss of step \d is (nan|inf), at learning rates 1(000|e\+03).*(No checkpoint|last good)"
    ):
        train(configure(arguments))
    assert not (tmp_path / "adapter").exists()


def test_weights_that_are_no_numbers_are_never_saved(overrides, tmp_path):
    poison = "+callbacks.poison={_target_: tests.failing.Poison, step: 2}"
    config = configure(
        without_sets(overrides), f"run_dir={tmp_path}", "callbacks.checkpoint.every_n_train_steps=1", poison
    )
    with pytest.raises(UserError, match=r"is not finite after step 2\. The last good checkpoint is .*last\.ckpt"):
        train(config)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1
    assert all(value.isfinite().all() for value in weights(tmp_path).values())


def test_a_video_that_is_no_picture_is_not_written(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        to_uint8(torch.full((2, 3, 8, 8), torch.nan))
    with pytest.raises(UserError, match="not finite"):
        write_video(tmp_path / "a.mp4", torch.full((2, 3, 8, 8), torch.inf), 4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 100, 8_000])
def test_a_full_disk_leaves_no_cut_video(tmp_path, size):
    frames = torch.rand(8, 3, 64, 96) * 2 - 1
    write_video(tmp_path / "whole.mp4", frames, 4)
    assert (tmp_path / "whole.mp4").stat().st_size > 10_000
    program = (
        "import resource, signal, sys, torch; from maskvid.media.writing import write_video; n = int(sys.argv[2]);"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (n, n));"
        "write_video(sys.argv[1], torch.rand(8, 3, 64, 96) * 2 - 1, 4)"
    )  # in a process of its own: a limit of the process stands for the disk's
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "cut.mp4", str(size)], capture_output=True, text=True
    )
    assert "UserError: cannot write" in done.stderr
    assert "cut.mp4: File too large; free some space" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["whole.mp4"]


@pytest.mark.parametrize("size", [2_000, 200_000])
def test_a_training_on_a_full_disk_says_so(overrides, tmp_path, size):
    arguments = [*without_sets(overrides), f"run_dir={tmp_path}/run", f"data.cache_dir={tmp_path}/cache"]
    ended = run_program("train", arguments, tmp_path / "work", largest_file=size)
    assert ended.status == 1, ended.err
    assert "Traceback" not in ended.err, ended.err
    assert "cannot write" in ended.err
    assert not list(tmp_path.rglob("adapter.json"))


def test_what_a_killed_process_left_half_written_goes_and_what_is_being_written_stays(tmp_path):
    pid = os.fork()
    if pid == 0:
        with atomic_write(tmp_path / "a.json") as temporary:
            temporary.write_text("{")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_write(tmp_path / "b.json") as temporary:
        temporary.write_text("{}")
        clear_temporaries(tmp_path)
        assert temporary.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_names_of_any_length_are_file_names(tmp_path):
    for name in ("a" * 300, "馬" * 200, "-x", "../../etc/passwd", "/abs", "a\0b", "con."):
        (tmp_path / f"{file_name(name)}.mask.npz").touch()
        assert not file_name(name).startswith("-")
    assert len(list(tmp_path.iterdir())) == 7


def test_a_second_video_of_one_prompt_does_not_replace_the_first(run, triples, tmp_path):
    config = configure_generate(run, triples, f"out={tmp_path}", "prompt='[a 馬] runs'")
    names = [generate(config)[0].name for _ in range(2)]
    assert names == ["00-a-馬-runs-one-seed0.mp4", "00-a-馬-runs-one-2-seed0.mp4"]
    config.overwrite = True
    assert generate(config)[0].name == names[0]
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    config.masks = str(triples / "two.npz")
    assert generate(config)[0].name == "00-a-馬-runs-two-seed0.mp4"


def test_earlier_rows_stay_up_to_the_step_that_is_gone_on_from(tmp_path):
    first = KeptCSVLogger(save_dir=tmp_path)
    for step in range(5):
        first.log_metrics({"loss": step / 10}, step)
    first.save()
    second = KeptCSVLogger(save_dir=tmp_path)
    second.go_on(3)
    second.log_metrics({"loss": 9.0, "other": 1.0}, 3)
    second.save()
    with (tmp_path / "csv" / "metrics.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["step"], row["loss"]) for row in rows] == [("0", "0.0"), ("1", "0.1"), ("2", "0.2"), ("3", "9.0")]


def test_what_ends_in_an_error_is_said_to_weights_and_biases(overrides, tmp_path, monkeypatch):
    codes, finish = [], wandb.finish

    def finished(exit_code=None):
        codes.append(exit_code)
        finish(exit_code)  # or the next test in this process would go on with this run

    monkeypatch.setattr("wandb.finish", finished)
    fails = "+callbacks.fails={_target_: tests.failing.FailAt, step: 1}"
    for more in ([fails], []):
        arguments = [entry for entry in without_sets(overrides) if not entry.startswith("logger=")]
        config = configure(arguments, "logger=wandb", f"run_dir={tmp_path}/{len(more)}", "trainer.max_steps=1", *more)
        if more:
            with pytest.raises(RuntimeError, match="as told"):
                train(config)
        else:
            train(config)
    assert codes == [1, 0]
