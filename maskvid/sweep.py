"""Jobs of a sweep: finished ones are not repeated, stopped ones go on, a failed one does not lose the others."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console

from maskvid.entry import mistake, print_error
from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text

FINISHED, FAILED = "finished.json", "failed.json"


def in_sweep() -> bool:
    """Whether this is a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_job(folder: Path, work: Callable[[], dict[str, float]]) -> dict[str, float] | None:
    """Do the work of a job, unless a sweep stopped earlier has done it already.

    Outside a sweep the work is simply done. Within one, `folder/finished.json` keeps overrides and result, and an error
    is printed, kept in `folder/failed.json` and not raised, so that the jobs after it run; `Summary` ends the sweep
    with a status of 1.

    Args:
        folder: Of the job.
        work: Returns `<set>/<metric>`.

    Returns:
        What the work returned, now or then; None where it failed.
    """
    if not in_sweep():
        return work()
    overrides = [str(entry) for entry in HydraConfig.get().overrides.task]
    try:
        done = folder / FINISHED
        if done.exists():
            stored = json.loads(done.read_text())
            if stored["overrides"] != overrides:
                raise UserError(
                    f"{folder} holds the finished job {stored['overrides']}; continue that sweep by its own command, "
                    "or give another hydra.sweep.dir."
                )
            Console(soft_wrap=True, highlight=False).print(f"{folder} is finished already")
            return stored["metrics"]
        metrics = work()
        _keep(done, {"overrides": overrides, "metrics": metrics})
        (folder / FAILED).unlink(missing_ok=True)
        return metrics
    except Exception as error:
        message = mistake(error)
        if message is None:
            traceback.print_exc()
        print_error(message or repr(error))
        _keep(folder / FAILED, {"overrides": overrides, "error": message or repr(error)})
        return None


@rank_zero_only
def _keep(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json_text(content))


class Summary(Callback):
    """Says at the end of a sweep which jobs failed, and how to continue."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs; leave with status 1 where one failed."""
        folder = Path(config.hydra.sweep.dir)
        failed = sorted(folder.rglob(FAILED))
        finished = len(list(folder.rglob(FINISHED)))
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"sweep: {folder.resolve()}: {finished} jobs finished, {len(failed)} failed")
        for path in failed:
            content = json.loads(path.read_text())
            console.print(f"  {path.parent.name}: {' '.join(content['overrides'])}: {content['error']}", markup=False)
        if failed:
            console.print(f"the same command with hydra.sweep.dir={folder} repeats these alone", markup=False)
            sys.exit(1)
