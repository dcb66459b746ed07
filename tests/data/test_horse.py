"""The shipped horse triples pass the project's own check, in every split."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from maskvid.config import CONF
from maskvid.data import MaskVidDataModule


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_shipped_clip_is_accepted(split):
    sets = ", ".join(f"{name}: 'assets://horse/{split}/{name}'" for name in ("horse", "unseen", "motion"))
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=["+experiment=horse", "run_dir=none", f"data.validation={{{sets}}}"])
    report = MaskVidDataModule(OmegaConf.to_object(config.data)).check()
    assert report.num_rejected == 0
    assert {name: len(clips) for name, clips in report.accepted.items()} == {
        "train": 12,
        "horse": 8,
        "unseen": 8,
        "motion": 8,
    }
