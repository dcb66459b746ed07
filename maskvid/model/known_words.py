"""Words that a backbone has seen in training, where its folder says so: a small one knows a few hundred."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from maskvid.prompt import Prompt

KNOWN_WORDS = "known_words.txt"
"""In a diffusers folder, a word a line; large backbones have none."""

LARGEST = 2**20  # bytes


def read_known_words(folder: Path) -> frozenset[str]:
    """The words, empty where the folder does not say."""
    path = folder / KNOWN_WORDS
    if not path.is_file() or path.stat().st_size > LARGEST:
        return frozenset()
    return frozenset(_words(path.read_text(encoding="utf-8", errors="replace")))


def warn_of_unknown(known: frozenset[str], prompts: Iterable[Prompt]) -> None:
    """Name the words of prompts that a backbone has never seen, once for all of them."""
    unknown = {word: None for prompt in prompts for word in _words(prompt.text) if word not in known}
    if known and unknown:
        words = ", ".join(list(unknown)[:20])
        warnings.warn(f"unknown to this backbone: {words}; it will make something else of them", stacklevel=3)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())
