"""Behind the tuning: a second set of mask encoders learns rough masks, all else frozen (ours)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskvid.callbacks.adapter_file import AdapterFile
from maskvid.callbacks.checkpoint_io import AtomicCheckpointIO
from maskvid.callbacks.stop import StopWell
from maskvid.config import instantiate
from maskvid.data import MaskVidDataModule
from maskvid.module import MaskVidModule
from maskvid.run_dir import ROUGH

CALLBACKS = ("ema", "progress", "checkpoint", "cost")
"""Of the tuning, those that go on; nothing is validated, for validation masks are exact."""


def tune_rough(
    config: DictConfig, module: MaskVidModule, data: MaskVidDataModule, adapter: AdapterFile, loggers: list[Any]
) -> None:
    """Tune the encoders for rough masks, and write the adapter anew with them.

    Args:
        config: Of the run; `method.rough_masks` of its steps are made.
        module: Tuned, with the weights that its adapter has.
        data: Its clips.
        adapter: Writes the adapter.
        loggers: Of the run.
    """
    folder = Path(config.run_dir) / ROUGH
    nodes = {name: config.callbacks[name] for name in CALLBACKS if config.callbacks.get(name)}
    for name, key in (("checkpoint", "dirpath"), ("cost", "folder")):
        if name in nodes:
            nodes[name] = OmegaConf.merge(nodes[name], {key: str(folder)})
    callbacks = [instantiate(node, f"callbacks.{name}") for name, node in nodes.items()]
    steps = max(1, round(config.method.rough_masks * config.trainer.max_steps))
    trainer = instantiate(
        OmegaConf.merge(config.trainer, {"max_steps": steps, "limit_val_batches": 0}), "trainer",
        callbacks=[*callbacks, adapter, StopWell(adapter)], logger=loggers, plugins=[AtomicCheckpointIO()],
    )  # fmt: skip
    module.begin_rough()
    last = folder / "last.ckpt"
    going_on = config.ckpt_path is not None and last.is_file()
    trainer.fit(module, datamodule=data.roughened(), ckpt_path=str(last) if going_on else None)
