"""Mask-guided, few-shot text-to-video: draw how it moves, say what it is."""

import os
from typing import Any

# Threads that wait for others spin but a moment, then give their core away. GNU's OpenMP spins for ever so long, and
# beside one other process tuning on two cores then nearly stands still. Steps a second on two idle cores, and beside a
# busy process: as it is 2.4, 0.1; passive 1.9, 1.3; a thousand spins 2.4, 1.1; twenty thousand 2.6, less than 0.6.
# It is read when PyTorch is loaded, so that it must be said before.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"

__version__ = "0.1.0"
__all__ = ["MaskVidPipeline"]


def __getattr__(name: str) -> Any:
    """The pipeline, imported when it is asked for: its libraries take seconds, and programs need not all of them."""
    if name == "MaskVidPipeline":
        from maskvid.pipeline import MaskVidPipeline

        return MaskVidPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
