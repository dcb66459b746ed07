"""Randomness as a function of names and numbers, not of what was drawn before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seeded(*key: int | str) -> torch.Generator:
    """A CPU generator that depends on `key` alone, for example (seed, position) or (seed, clip id)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextmanager
def drawn_from(*key: int | str) -> Iterator[None]:
    """Within the block what PyTorch draws on the CPU depends on `key` alone; afterwards it goes on as if never used."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(seeded(*key).get_state())
        yield
