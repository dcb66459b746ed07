"""Configurations as the entry points compose them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from maskvid.config import CONF
from maskvid.pipeline import MaskVidPipeline


def configure(overrides: list[str], *more: str) -> Any:
    """Of `maskvid.train`."""
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", overrides=[*overrides, *more])


def configure_generate(run: Path, triples: Path, *more: str) -> Any:
    """Of `maskvid.generate`, two prompts on the masks of a triple."""
    common = [f"run={run}", "prompt=['[a fox] runs','a bird']", f"masks={triples}/one.npz"]
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("generate", overrides=[*common, *more])


def opened(run: Path) -> MaskVidPipeline:
    """A run's pipeline, without bars."""
    pipe = MaskVidPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    return pipe
