"""Checks of how several processes were started, before any of them waits for another."""

from __future__ import annotations

import os
import subprocess

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.plugins.environments import LightningEnvironment

from maskvid.errors import UserError

MOST_WITHOUT_CORES = 8
"""Processes on a CPU that may be tried on any machine."""


def end_others(trainer: Trainer, *, patience: float = 10.0) -> None:
    """End the processes that Lightning started, where this one ends by an error: they would wait for it for ever.

    Args:
        trainer: Whose processes.
        patience: Seconds in which they may end by themselves.
    """
    processes = getattr(trainer.strategy.launcher, "procs", [])
    for process in processes:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()  # it may be stopped, and would not hear anything else


def check_launch(trainer: Trainer, *, folder_by_clock: bool = True) -> None:
    """Refuse launches that would compute the wrong thing.

    Args:
        trainer: Knows how many processes there are, and who starts them.
        folder_by_clock: Whether the run directory is named by the time unless it is given.

    Raises:
        UserError: Lightning would start processes of its own within a sweep, each of which would run the whole sweep;
            or processes that were started from outside would each choose a run directory.
    """
    cores = max(os.cpu_count() or 1, MOST_WITHOUT_CORES)
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > cores:
        raise UserError(
            f"trainer.devices={trainer.num_devices}: as many processes on {os.cpu_count()} cores; give fewer."
        )
    if trainer.world_size == 1 or not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    within = isinstance(trainer.strategy.cluster_environment, LightningEnvironment)  # type: ignore[attr-defined]
    if within and hydra.mode == RunMode.MULTIRUN:
        raise UserError(
            f"trainer.devices={trainer.num_devices} within a sweep: each process that Lightning starts would run the "
            "whole sweep again. Use one process for each job (trainer.devices=1, in parallel by hydra/launcher=joblib) "
            "or start the processes from outside: hydra/launcher=submitit_slurm, or torchrun --nproc-per-node="
            f"{trainer.num_devices} -m maskvid.train -m ... hydra.sweep.dir=FOLDER."
        )
    given = [*hydra.overrides.task, *hydra.overrides.hydra]
    fixed = ("run_dir=", "hydra.sweep.dir=" if hydra.mode == RunMode.MULTIRUN else "hydra.run.dir=")
    if folder_by_clock and not within and not any(override.lstrip("+").startswith(fixed) for override in given):
        raise UserError(
            "run_dir: the processes were started from outside (torchrun or SLURM), and each would name the run "
            f"directory by its own clock; give {fixed[1]}FOLDER."
        )
