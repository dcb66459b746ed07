"""The progress bar."""

from __future__ import annotations

import sys

from lightning.pytorch.callbacks import ProgressBar, RichProgressBar, TQDMProgressBar


def progress_bar(refresh_rate: int = 1, log_every: int = 50) -> ProgressBar:
    """A rich bar in a terminal; plain lines at long intervals where the output is a file, as under SLURM.

    Args:
        refresh_rate: Steps between two redraws in a terminal.
        log_every: Steps between two lines in a file.
    """
    if sys.stdout.isatty():
        return RichProgressBar(refresh_rate=refresh_rate, leave=False)
    return TQDMProgressBar(refresh_rate=log_every)
