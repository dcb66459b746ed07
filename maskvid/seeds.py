"""Randomness as a function of names and numbers, not of what was drawn before."""

from __future__ import annotations

import hashlib

import torch


def seeded(*key: int | str) -> torch.Generator:
    """A CPU generator that depends on `key` alone, for example (seed, position) or (seed, clip id)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
