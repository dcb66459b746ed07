"""Figures as CSV, of a run that is gone on with in one file."""

from __future__ import annotations

import csv
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger

from maskvid.files import atomic_write


class KeptCSVLogger(CSVLogger):
    """`<save_dir>/csv/metrics.csv`; rows of the parts of a run before this one stay.

    Lightning's deletes the file when a run is resumed. Rows are kept up to the step that training goes on from: what
    came after it is done anew.
    """

    def __init__(self, *, save_dir: str | Path, flush_logs_every_n_steps: int = 100) -> None:
        """Configure.

        Args:
            save_dir: Run directory.
            flush_logs_every_n_steps: Steps between two writes.
        """
        path = Path(save_dir) / "csv" / "metrics.csv"
        self._earlier: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="") as handle:
                self._earlier = list(csv.DictReader(handle))
        super().__init__(
            save_dir=str(save_dir), name="csv", version="", flush_logs_every_n_steps=flush_logs_every_n_steps
        )

    def go_on(self, step: int) -> None:
        """Write the earlier rows up to optimiser step `step`, before anything new; on rank zero."""
        rows = [row for row in self._earlier if (row.get("step") or "0").isdigit() and int(row["step"] or 0) < step]
        if not rows:
            return
        experiment = self.experiment  # made now, which deletes the file
        experiment.metrics_keys = sorted({key for row in rows for key in row})
        with atomic_write(Path(experiment.metrics_file_path)) as path, path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, experiment.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        self._earlier = []
