"""The entry point with its shipped configuration."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir

from maskvid import pretrain
from maskvid.config import CONF, STAGES
from maskvid.miniature.stage import Stage
from tests.miniature.conftest import random_pictures


@pytest.fixture
def config(tmp_path):
    with initialize_config_dir(CONF, version_base="1.3"):
        overrides = [f"assets={tmp_path}/assets", f"runs={tmp_path}/runs", f"corpora.folder={tmp_path}/world"]
        loaded = compose("pretrain", [*overrides, "progress=false", "accelerator=cpu"])
    for name, wanted in (("backbone", 12), ("encoders", 12), ("heldout", 8)):
        random_pictures(wanted, size=(64, 96)).save(tmp_path / "world" / name / "shard-00000.npz")
        loaded.corpora[name].count = wanted
    return loaded


def test_all_stages_run_in_order_and_the_card_is_written(config, tmp_path):
    torch.set_num_threads(1)
    for name in ("vae", "decoder", "segmenter", "clip", "backbone", "controlnet"):
        config[name].batch = 2
        config[name].settings.max_steps = 1
    config.vae.channels = config.decoder.channels = [8, 8, 16]
    config.vae.full_batch = config.decoder.full_batch = 2
    config.backbone.channels = [16, 16, 32]
    config.segmenter.channels = [4, 8]
    config.clip.vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": [64, 96]}
    config.card.prompts, config.card.steps = 24, 1
    for stage in pretrain.STAGES.values():
        stage(config)
    card = (tmp_path / "assets" / "MODEL_CARD.md").read_text()
    assert card.count("| **no** |") + card.count("| yes |") == 12
    assert "| backbone | 1 steps, seed 20;" in card
    assert (tmp_path / "assets" / "samples.png").exists()


@pytest.mark.parametrize("name", ["vae", "decoder", "segmenter", "clip", "backbone"])
def test_the_shipped_settings_build_their_stage(name, config, monkeypatch):
    built = []
    monkeypatch.setattr("maskvid.miniature.stage.fit", lambda stage, **_: built.append(stage))
    if name in ("decoder", "backbone"):
        from maskvid.miniature.vae import build

        vae = build(config.vae.channels, latent_channels=config.vae.latent_channels)
        vae.save_pretrained(f"{config.assets}/mini/vae")
    pretrain.STAGES[name](config)
    assert isinstance(built[0], Stage)
    assert built[0].max_steps == config[name].settings.max_steps


def test_an_unknown_stage_is_one_line_and_status_one(tmp_path):
    command = [sys.executable, "-m", "maskvid.pretrain", "stage=vea", f"runs={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "stage='vea'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_stages_that_may_be_named_are_those_that_there_are():
    assert (*pretrain.STAGES, "all") == STAGES
