"""The W&B dashboard as it would be sent; nothing is."""

import pytest
from hydra import compose, initialize_config_dir

from maskvid.config import CONF
from maskvid.dashboard import build
from maskvid.metrics.suite import METRICS


def configure(*more):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("dashboard", overrides=["entity=me", *more])


def panels(report, kind: str) -> list:
    grids = [block for block in report.blocks if type(block).__name__ == "PanelGrid"]
    return [panel for grid in grids for panel in grid.panels if type(panel).__name__ == kind]


def test_bars_videos_and_losses_are_of_keys_that_runs_log():
    pytest.importorskip("wandb_workspaces")
    report = build(configure("sets=[horse,unseen]", "clips=[videos_horse-000]"))
    bars = [str(bar.metrics[0]) for bar in panels(report, "BarPlot")]
    assert len(bars) == 14
    assert all(any(f"{name}/{metric}" in bar for name in ("horse", "unseen") for metric in METRICS) for bar in bars)
    videos = [browser.media_keys for browser in panels(report, "MediaBrowser")]
    assert ["horse/videos_horse-000/outlined"] in videos
    assert panels(report, "LinePlot")[0].y == ["train/loss"]
    assert report.project == "maskvid"
