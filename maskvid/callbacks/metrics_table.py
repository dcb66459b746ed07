"""Metrics of the validation videos: curves while training, files and a table at the end."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console
from rich.table import Table

from maskvid.callbacks.video_logger import samples_of
from maskvid.cells import to_cell
from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.judges.panel import MetricEncoders
from maskvid.metrics.suite import METRICS, Encoders, VideoMetrics, all_gather
from maskvid.printing import print_whole

COLUMNS = ("set", "clip", "seed", "prompt", "frames", *METRICS)


class MetricsCallback(Callback):
    """Score every sampled video; log `<set>/<metric>` after each validation.

    The final validation, `trainer.validate` after (or without) a fit, also writes `metrics.json` (flat keys
    `<set>/<metric>`) and `metrics_per_clip.csv` into the run directory and prints one table.
    """

    def __init__(
        self,
        *,
        encoders: Encoders | None = None,
        folder: str | Path | None = None,
        given_frames: int = 1,
    ) -> None:
        """Configure; encoders are loaded when the first video is scored.

        Args:
            encoders: CLIP and segmenter; None is the embedded miniatures.
            folder: Run directory; None is the trainer's `default_root_dir`.
            given_frames: Leading frames that mask scores leave out, see `maskvid.metrics.mask`.
        """
        self.encoders: Encoders = MetricEncoders() if encoders is None else encoders
        self.folder = folder
        self.given_frames = given_frames
        self.results: dict[str, float] = {}
        self.rows: list[dict[str, Any]] = []
        self._sets: dict[str, VideoMetrics] = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start anew, with the encoders on the rank's device."""
        if isinstance(self.encoders, MetricEncoders):
            self.encoders.to(pl_module.device)
        self._sets = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the samples `validation_step` returned."""
        for sample in samples_of(outputs):
            self._metrics(sample.set_name).update(
                sample.frames, sample.masks, sample.prompt, clip_id=sample.clip_id, seed=sample.seed,
                reference=sample.reference,
            )  # fmt: skip

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reduce over ranks, log, and in the final validation write and print."""
        # Collectives, so on every rank and in one order. A rank whose shard holds no clip of a set has not met it yet.
        met = {name for part in all_gather(list(self._sets)) for name in part}
        order: list[str] = getattr(pl_module, "set_names", [])  # as they are configured, which is how people think
        names = sorted(met, key=lambda name: (order.index(name) if name in order else len(order), name))
        means = {name: self._metrics(name).compute() for name in names}
        rows = [{"set": name} | row for name in names for row in self._metrics(name).rows()]
        if trainer.sanity_checking:
            return
        self.results = {f"{name}/{key}": value for name in names for key, value in means[name].items()}
        self.rows = rows
        for key, value in self.results.items():
            pl_module.log(key, value, sync_dist=True)  # equal on all ranks already; said so to Lightning
        if trainer.state.fn == TrainerFn.VALIDATING and trainer.is_global_zero and rows:
            folder = Path(trainer.default_root_dir if self.folder is None else self.folder)
            write_metrics(folder, self.results, rows)
            print_table(means)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    columns = [column for column in COLUMNS if any(column in row for row in rows)]
                    data = [[row.get(column) for column in columns] for row in rows]
                    logger.log_table("metrics_per_clip", columns=columns, data=data)

    def _metrics(self, name: str) -> VideoMetrics:
        if "/" in name:
            raise UserError(f"validation set {name!r} has a '/' in its name, which separates set and metric; rename it")
        if name not in self._sets:
            self._sets[name] = VideoMetrics(self.encoders, given_frames=self.given_frames)
        return self._sets[name]


def write_metrics(folder: str | Path, results: dict[str, float], rows: list[dict[str, Any]]) -> None:
    """Write `metrics.json` and `metrics_per_clip.csv`, each whole or not at all.

    Args:
        folder: Where to; made if missing.
        results: `<set>/<metric>` -> mean.
        rows: One dict per video with keys of `COLUMNS`; a column that no row has is left out.
    """
    with atomic_write(Path(folder) / "metrics.json") as temporary:
        temporary.write_text(json_text(results))
    with atomic_write(Path(folder) / "metrics_per_clip.csv") as temporary, temporary.open("w", newline="") as handle:
        columns = [column for column in COLUMNS if any(column in row for row in rows)]
        writer = csv.DictWriter(handle, fieldnames=columns)
        writer.writeheader()
        writer.writerows({key: to_cell(value) for key, value in row.items()} for row in rows)


def print_table(means: dict[str, dict[str, float]], console: Console | None = None) -> None:
    """Print one line per metric and one column per set."""
    table = Table(title="metrics (mean over clips)")
    table.add_column("metric")
    for name in means:
        table.add_column(name, justify="right")
    for metric in METRICS:
        if any(metric in values for values in means.values()):
            table.add_row(metric, *(f"{values[metric]:.4g}" if metric in values else "" for values in means.values()))
    print_whole(table, console)
