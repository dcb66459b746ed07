from pathlib import Path

import pytest

from maskvid.config import register
from tests.backbones import save_backbone
from tests.data.tiny import write_triple

register()  # a test may compose a configuration before anything has imported an entry point


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> Path:
    """A Stable Diffusion folder of the miniature's architecture, with random weights."""
    return save_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="session")
def triples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("triples")
    for name in ("one", "two", "three"):
        write_triple(folder, name)
    return folder


@pytest.fixture(scope="session")
def overrides(triples, tiny_backbone, tmp_path_factory):
    return [
        "data=folder",
        f"data.train={triples}",
        f"data.validation={{seen: {triples}}}",
        "data.height=32",
        "data.width=48",
        "data.num_frames=3",
        "data.fps=4",
        f"data.cache_dir={tmp_path_factory.mktemp('cache')}",
        "backbone=folder",
        f"backbone.path={tiny_backbone}",
        "trainer.precision=32",
        "trainer.accelerator=cpu",
        "trainer.max_steps=4",
        "trainer.val_check_interval=2",
        "sampling.num_inference_steps=2",
        "method.rough_masks=0",
        "callbacks.metrics=null",
        "trainer.log_every_n_steps=1",
        "callbacks.progress=null",
        "+trainer.enable_progress_bar=false",
        "logger=csv",
    ]


@pytest.fixture(scope="session", params=["sd1", "sdxl"])
def tuned(request, overrides, tmp_path_factory) -> tuple[Path, str]:
    """A run on a backbone of a true architecture, and a LoRA for it."""
    from maskvid.train import train
    from tests.model.test_backbone import save_lora
    from tests.runs import configure

    folder = tmp_path_factory.mktemp(request.param)
    backbone = save_backbone(folder / "backbone", request.param)
    more = (f"backbone.path={backbone}", f"run_dir={folder / 'run'}", "data.validation=null", "method.rough_masks=1")
    train(configure(overrides, *more, f"data.cache_dir={folder / 'cache'}"))
    return folder / "run", save_lora(folder / "lora", backbone)
