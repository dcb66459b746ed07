from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar
from lightning.pytorch.loggers import Logger
from omegaconf import OmegaConf

from maskvid.callbacks.progress import Lines, progress_bar
from maskvid.judges.panel import MINI_CLIP, MetricEncoders

CONF = Path(__file__).resolve().parents[2] / "conf"


def group(overrides: list[str], folder: Path):
    """Compose the groups of callbacks without the root file, with the run directory it provides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[*overrides, f"+run_dir={folder}", "+ckpt_path=null"])
    OmegaConf.resolve(config)
    return config


def test_callbacks(tmp_path):
    config = group(["+callbacks=default", "+metrics=default"], tmp_path)
    made = {name: hydra.utils.instantiate(node) for name, node in config.callbacks.items()}
    assert all(isinstance(callback, Callback) for callback in made.values())
    assert isinstance(made["progress"], ProgressBar)
    assert made["metrics"].encoders.names["clip"] == MINI_CLIP
    assert made["video_logger"].folder == str(tmp_path)
    assert Path(made["checkpoint"].dirpath) == tmp_path / "checkpoints"


def test_published_encoder(tmp_path):
    encoders = hydra.utils.instantiate(group(["+metrics=vit_l14"], tmp_path).metrics)
    assert isinstance(encoders, MetricEncoders)
    assert (encoders.names["clip"], encoders.names["pretrained"]) == ("ViT-L-14", "openai")


@pytest.mark.parametrize(
    ("choice", "names"),
    [("default", ["csv", "wandb"]), ("csv", ["csv"]), ("wandb", ["wandb"]), ("tensorboard", ["tensorboard"])],
)
def test_loggers(tmp_path, monkeypatch, choice, names):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    config = group([f"+logger={choice}"], tmp_path)
    assert list(config.logger) == names
    for node in config.logger.values():
        logger = hydra.utils.instantiate(node)
        assert isinstance(logger, Logger)
        assert logger.save_dir == str(tmp_path)


def test_progress_bar_suits_its_output(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert isinstance(progress_bar(), RichProgressBar)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    bar = progress_bar(log_every=7)
    assert isinstance(bar, Lines)
