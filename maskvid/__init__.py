"""Mask-guided, few-shot text-to-video: draw how it moves, say what it is."""

__version__ = "0.1.0"
