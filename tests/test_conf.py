"""Every experiment file composes, knows only keys that exist, and builds its objects."""

import inspect
from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from maskvid.config import CONF, loading
from maskvid.data import MaskVidDataModule
from maskvid.entry import check_config, check_keys
from maskvid.errors import UserError
from maskvid.model import Backbone
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import build_module, train

EXPERIMENTS = sorted(path.stem for path in Path(CONF, "experiment").glob("*.yaml"))
METHODS = sorted(path.stem for path in Path(CONF, "method").glob("*.yaml"))


def configure(*overrides):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", overrides=[*overrides, "run_dir=/tmp/none"])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("method", METHODS)
def test_experiments_build(experiment, method, tiny_backbone):
    config = configure(
        f"+experiment={experiment}", f"method={method}", "backbone=folder", f"backbone.path={tiny_backbone}"
    )
    assert not OmegaConf.missing_keys(config)
    data = MaskVidDataModule(OmegaConf.to_object(config.data))
    build_module(config, Backbone(**asdict(loading(config.backbone))), data.validation_names)


@pytest.mark.parametrize("name", ["sd14", "sd15", "sd21", "sdxl"])
def test_backbones_name_repositories_that_exist(name):
    """As of November 2026; `stabilityai/stable-diffusion-2-1` and `runwayml/stable-diffusion-v1-5` do no more."""
    config = configure(f"backbone={name}").backbone
    assert config.path == config.config
    assert not config.path.startswith(("runwayml/", "stabilityai/stable-diffusion-2"))


def test_a_typo_in_an_experiment_file_is_refused(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "typo.yaml").write_text("# @package _global_\nmethodd:\n  name: maskvid\n")
    with pytest.raises(ConfigCompositionException, match="methodd"):
        configure(f"hydra.searchpath=[file://{tmp_path}]", "+experiment=typo")


@pytest.mark.parametrize("override", ["method.unet.mask_inputt=true", "sampling.steps=3", "optim.lr=1", "sede=1"])
def test_an_unknown_key_is_refused_with_or_without_plus(override):
    with pytest.raises(ConfigCompositionException, match=override.split("=")[0]):
        configure("+experiment=horse", override)
    with pytest.raises(UserError, match=override.split("=")[0]):
        check_keys(configure("+experiment=horse", f"+{override}"))


def test_a_folder_has_the_numbers_of_the_first_stable_diffusion():
    folder, known = (configure(f"backbone={name}", "backbone.path=x").backbone for name in ("folder", "sd15"))
    numbers = [key for key, value in known.items() if type(value) in (int, float)]
    assert {key: folder[key] for key in numbers} == {key: known[key] for key in numbers}
    assert {"learning_rate", "mask_learning_rate", "num_frames"} <= set(numbers)


PRESETS = sorted(path.stem for path in Path(CONF, "backbone").glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_backbones_numbers_reach_all_that_depends_on_them(name):
    path = ["backbone.path=somewhere"] if name == "folder" else []
    config = configure("+experiment=horse", f"backbone={name}", *path)
    own = config.backbone
    assert (config.data.height, config.data.width) == (own.height, own.width)
    assert (config.data.num_frames, config.data.fps) == (own.num_frames, own.fps)
    assert (config.optim.learning_rate, config.optim.mask_learning_rate) == (own.learning_rate, own.mask_learning_rate)
    assert config.sampling.num_inference_steps == own.num_inference_steps
    assert config.sampling.guidance_scale == own.guidance_scale
    assert (config.trainer.precision, config.trainer.max_steps) == (own.precision, own.max_steps)
    assert config.method.unet.gradient_checkpointing == own.gradient_checkpointing
    assert (config.metrics.clip, config.metrics.segmenter) == (own.clip, own.segmenter)
    check_config(config, "usage")
    assert not hasattr(loading(own), "height")


def test_stable_diffusion_is_not_trained_as_the_miniature_is():
    config = configure("+experiment=horse", "backbone=sd15")
    assert (config.data.height, config.data.width, config.data.num_frames, config.data.fps) == (320, 512, 16, 8)
    assert (config.backbone.dtype, config.trainer.precision) == ("bfloat16", "bf16-mixed")
    assert config.method.unet.gradient_checkpointing
    assert (config.sampling.num_inference_steps, config.sampling.guidance_scale) == (25, 7.5)
    assert (config.metrics.clip, config.metrics.pretrained) == ("ViT-L-14", "openai")
    assert configure("+experiment=horse", "backbone=sd15", "data.height=256").data.height == 256


@pytest.mark.parametrize(("card", "recomputes", "windows"), [("8gb", True, 1), ("12gb", True, 2), ("24gb", False, 2)])
def test_a_cards_preset_says_what_is_kept_and_how_many_windows_a_step_sees(card, recomputes, windows):
    config = configure("+experiment=horse", "backbone=sd15", f"trainer=gpu_{card}")
    assert (config.trainer.accelerator, config.trainer.precision) == ("gpu", "bf16-mixed")
    assert config.backbone.dtype == "bfloat16"
    assert config.method.unet.gradient_checkpointing is recomputes
    assert config.data.batch_size == windows
    check_config(config, "usage")
    assert configure("+experiment=horse", "backbone=sdxl", f"trainer=gpu_{card}").data.height == 512


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.height=320", "data.width=512", "callbacks.metrics=null"], "made for pictures of about 64 x 96 pixels"),
        (["data.height=320", "data.width=512"], "metrics.clip=null: the embedded miniature"),
        (["data.height=320", "data.width=512", "metrics.clip=ViT-L-14"], "metrics.segmenter=null"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(overrides, words, tmp_path):
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=["+experiment=horse", f"run_dir={tmp_path}", *overrides])
    with pytest.raises(UserError, match=words):
        train(config)


def test_the_command_edits_as_the_pipeline_does_where_nothing_is_said():
    with initialize_config_dir(CONF, version_base="1.3"):
        asked = compose("edit", overrides=["run=x"]).sampling
    defaults = inspect.signature(MaskVidPipeline.edit).parameters
    for name in ("num_inference_steps", "guidance_scale", "mask_precision"):
        assert asked[name] == defaults[name].default, name
