"""Training runs through the real entry point at tiny width: files, resuming, sampling, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import decord
import pytest
import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from maskvid.config import CONF
from maskvid.description import read_description
from maskvid.entry import quote_values
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.model import read_adapter
from maskvid.model.adapter import own_name, published_name
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import find_checkpoint, train
from tests.runs import configure, configure_generate


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory) -> Path:
    """A finished run of four steps."""
    folder = tmp_path_factory.mktemp("run")
    train(configure(overrides, f"run_dir={folder}"))
    return folder


def test_a_run_leaves_samples_adapter_and_configuration(run):
    assert len(list(run.glob("samples/step-000004/seen/*.mp4"))) == 3
    assert len(list(run.glob("samples/step-000004/seen/*.png"))) == 3
    for video in run.glob("samples/step-000004/seen/*.mp4"):
        assert decord.VideoReader(str(video)).get_avg_fps() == 4  # plays as fast as the clip it was asked for
    assert len(list(run.glob("samples/step-000002/seen/*.mp4"))) == 2  # limit_val_batches while training
    description = read_description(read_adapter(run / "adapter")["run"])
    assert description.steps == 4
    assert description.method.name == "maskvid"
    assert (run / "config.yaml").is_file()
    cost = json.loads((run / "cost.json").read_text())
    assert cost["train_seconds"] > 0
    assert cost["peak_memory_mb"] > 100
    trained = [value for name, value in weights(run).items() if not name.endswith((".low", ".high"))]  # those are seen
    assert cost["trained_parameters"] == sum(value.numel() for value in trained)
    assert "train/loss" in next(run.glob("csv/**/metrics.csv")).read_text()


def test_an_older_checkpoint_is_refused(run, overrides, tmp_path):
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    del checkpoint["settings"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    with pytest.raises(UserError, match="older version of maskvid"):
        train(configure(overrides, f"run_dir={tmp_path}", f"ckpt_path={tmp_path}/old.ckpt"))


def test_a_checkpoint_holds_the_trained_part_alone(run):
    trained = load_file(run / "adapter" / "adapter.safetensors")
    assert set(weights(run)) == {f"unet.steering.{own_name(name)}" for name in trained}
    assert len(trained) > 10


def test_the_adapter_is_the_average_and_what_is_loaded_from_it(run):
    average = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["EMA"]["average"]
    written = load_file(run / "adapter" / "adapter.safetensors")
    loaded = MaskVidPipeline.from_pretrained(run).inflated.steering.state_dict()
    assert average
    for name, value in average.items():
        key = name.removeprefix("unet.steering.")
        assert torch.equal(written[published_name(key)], value), name
        assert torch.equal(loaded[key], value), name
    assert any(not torch.equal(value, weights(run)[name]) for name, value in average.items())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_resumed_equals_uninterrupted(overrides, tmp_path, accumulate):
    every = f"trainer.accumulate_grad_batches={accumulate}"
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    common = [*overrides, every, "trainer.limit_val_batches=0", "data.validation=null"]
    # The schedule depends on max_steps, so the first part is stopped by max_time's cousin: a checkpoint at step 3 of 6.
    train(configure(common, f"run_dir={whole}", "trainer.max_steps=6", "callbacks.checkpoint.every_n_train_steps=3"))
    kept = parts / "checkpoints" / "last.ckpt"
    with pytest.raises(StopAfterCheckpoint):
        stop_after_checkpoint(
            configure(common, f"run_dir={parts}", "trainer.max_steps=6", "callbacks.checkpoint.every_n_train_steps=3")
        )
    assert torch.load(kept, weights_only=True)["global_step"] == 3
    train(configure(common, f"run_dir={parts}", "trainer.max_steps=6", "ckpt_path=last"))
    first, second = weights(whole), weights(parts)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    averages = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["EMA"]["average"]
        for folder in (whole, parts)
    ]
    assert all(torch.equal(averages[0][name], averages[1][name]) for name in averages[0])


class StopAfterCheckpoint(Exception):
    """Raised in the middle of training, as a kill would come."""


def stop_after_checkpoint(config):
    from maskvid.module import MaskVidModule

    original = MaskVidModule.training_step

    def step(self, batch, batch_idx):
        if self.global_step == 4:
            raise StopAfterCheckpoint
        return original(self, batch, batch_idx)

    MaskVidModule.training_step = step
    try:
        train(config)
    finally:
        MaskVidModule.training_step = original


def test_same_seed_same_video_and_another_seed_another(run, triples, tmp_path):
    def video(seed, out):
        more = [f"seed={seed}", f"out={tmp_path / out}", "sampling.num_inference_steps=3"]
        return [path.read_bytes() for path in generate(configure_generate(run, triples, *more))]

    first = video(5, "a")
    assert len(first) == 2
    assert first == video(5, "b")
    assert first[0] != video(6, "c")[0]
    assert len(list((tmp_path / "a").glob("*.png"))) == 2


@pytest.mark.parametrize("prompt", ["[a fox] runs, fast", 'a "fox" runs', "a fox", '["[a fox] runs","a bird"]'])
def test_prompts_reach_hydra_whole(prompt):
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("generate", overrides=quote_values(["run=r", "masks=m", f"prompt={prompt}"]))
    expected = ["[a fox] runs", "a bird"] if prompt.startswith('["') else prompt
    assert config.prompt == expected


def test_generation_samples_with_the_runs_settings(run):
    pipe = MaskVidPipeline.from_pretrained(run)
    assert pipe.sampling.num_inference_steps == 2
    pipe = MaskVidPipeline.from_pretrained(run / "adapter", sampling={"num_inference_steps": 9})
    assert pipe.sampling.num_inference_steps == 9


def test_a_method_blind_to_masks_is_blind(overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method=first_frame", "trainer.max_steps=2"))
    pipe = MaskVidPipeline.from_pretrained(tmp_path)
    assert pipe.inflated.sees_masks is False
    assert not any("mask_input" in name for name in pipe.inflated.steering)


@pytest.mark.parametrize("noise", ["independent", "lamp"])
def test_every_noise_trains(overrides, tmp_path, noise):
    more = [f"method.noise.mode={noise}", "sampling.adain_fraction=0.3", "sampling.first_frame=text_to_image"]
    train(configure(overrides, f"run_dir={tmp_path}", *more, "trainer.max_steps=1", "trainer.val_check_interval=1"))
    assert len(list(tmp_path.glob("samples/step-000001/seen/*.mp4"))) == 3


BAD = [
    (["data.train=/nowhere"], "/nowhere"),
    (["backbone.path=/nowhere"], "model_index.json"),
    (["ckpt_path=last"], "ckpt_path"),
    (["method.noise.mode=pink"], "pink"),
    (["optim.learning_rate=-1"], r"^optim.learning_rate=-1.0: give 0 to 1000"),
    (["optim.decay_from=7"], "optim.decay_from=7.0: give 0 to 1"),
    (["optim.name=sgd"], "optim.name='sgd': choose one of muon, adamw"),
    (["optim.weight_decay=nan"], "optim.weight_decay=nan: give a finite number"),
    (["method.noise.alpha=2"], "method.noise.alpha=2.0"),
    (["method.foreground_weight=-1"], "method.foreground_weight=-1"),
    (["method.unet.self_attention_strength=inf"], "self_attention_strength=inf"),
    (["sampling.perturb_strength=2"], "give sampling.perturb as well"),
    (["seed=-1"], "seed=-1: give 0 to"),
    (["threads=0"], "threads=0"),
    (["data.height=34"], r"^data.height=34: .*32 or 40"),
    (["data.width=36"], r"^data.width=36: .*32 or 40"),
    (["data.num_frames=1"], r"^data.num_frames=1: .*2 or more"),
    (["data.height=0"], r"^data.height=0: give 1 to 8192"),
    (["data.batch_size=0"], r"^data.batch_size=0: give 1 to 4096"),
    (["optimized_metric=seen/mask_iuo"], "optimized_metric=seen/mask_iuo: give SET/METRIC"),
    (["ckpt_path=last", "method.trained=false"], "ckpt_path=last: it has no effect"),
    (["+trainer.max_stepz=3"], "max_stepz"),
    (["+data.hieght=3"], "hieght"),
    (["+scheduler.stepz=3"], "stepz"),
    (["data.num_frames=50"], "short"),
    (["sampling.first_frame=drawn"], "drawn"),
]


@pytest.mark.parametrize(("more", "words"), BAD)
def test_bad_input_is_a_users_error_that_names_it(overrides, tmp_path, more, words):
    with pytest.raises(UserError, match=words):
        train(configure(overrides, f"run_dir={tmp_path}", *more))


def test_the_sizes_a_refusal_names_work(overrides, tmp_path):
    more = ["data.height=40", "data.width=56", "data.num_frames=2", "sampling.first_frame=text_to_image"]
    few = ["trainer.max_steps=1", "trainer.val_check_interval=1", "trainer.limit_val_batches=1"]
    train(configure(overrides, f"run_dir={tmp_path}", *more, *few, "data.limit_validation=1"))
    assert len(list(tmp_path.glob("samples/step-000001/seen/*.mp4"))) == 1


def test_what_must_be_set_is_named(tmp_path):
    with pytest.raises(UserError, match=r"data\.train"):
        train(configure([], f"run_dir={tmp_path}"))


def test_a_dry_run_lists_the_clips_and_stops(overrides, tmp_path, capsys):
    assert train(configure(overrides, f"run_dir={tmp_path}", "data.dry_run=true")) == {}
    assert "three" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_found(tmp_path):
    assert find_checkpoint(None, tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert find_checkpoint("last", tmp_path) == str(tmp_path / "checkpoints" / "last.ckpt")


def command(overrides, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "maskvid.train", *overrides, *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_the_command_prints_one_message_and_exits_1(overrides, tmp_path):
    process = command(overrides, f"run_dir={tmp_path}", "data.train=/nowhere", f"hydra.run.dir={tmp_path}")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "/nowhere" in errors
    assert "Traceback" not in errors


def test_a_killed_run_is_resumed_bit_for_bit(overrides, run, tmp_path):
    """Killed at a step nobody chose; the run that goes on ends with the weights of the one that was never killed."""
    more = [f"run_dir={tmp_path}", f"hydra.run.dir={tmp_path}", "callbacks.checkpoint.every_n_train_steps=1"]
    process = command(overrides, *more)
    deadline = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(configure(overrides, *more[:1], "ckpt_path=last"))
    first, second = weights(run), weights(tmp_path)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert json.loads((tmp_path / "adapter" / "adapter.json").read_text())["run"]["steps"] == 4
