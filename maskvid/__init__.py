"""Mask-guided, few-shot text-to-video: draw how it moves, say what it is."""

import os
from typing import Any

# Threads that wait for others give their core away. They spin by default, and beside one other process tuning on two
# cores then nearly stands still. OpenMP reads this when PyTorch is loaded, so that it must be said before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["MaskVidPipeline"]


def __getattr__(name: str) -> Any:
    """The pipeline, imported when it is asked for: its libraries take seconds, and programs need not all of them."""
    if name == "MaskVidPipeline":
        from maskvid.pipeline import MaskVidPipeline

        return MaskVidPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
