"""Every experiment file composes, knows only keys that exist, and builds its objects."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from maskvid.config import CONF
from maskvid.data import MaskVidDataModule
from maskvid.entry import check_keys
from maskvid.errors import UserError
from maskvid.model import Backbone
from maskvid.train import build_module

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
    build_module(config, Backbone(**config.backbone), data.validation_names)


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
