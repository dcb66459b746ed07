"""Sampling by position: what is drawn at global position p is a function of (seed, p) and of nothing else.

Positions count clips over the whole run: step after step, micro-batch after micro-batch, place after place in the
batch, rank after rank. A position therefore stands for (rank, step, micro-batch), a run continues exactly where its
checkpoint was written, and two processes draw together what one process with twice the batch draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

_ORDER, _DRAW = 0, 1  # separate streams: the order of an epoch must not be correlated with what is drawn in it


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> tuple[int, ...]:
    """The shuffled order of `count` clips in an epoch."""
    return tuple(np.random.default_rng([_ORDER, seed, epoch]).permutation(count).tolist())


def clip_at(seed: int, position: int, count: int) -> int:
    """Index of the clip at a global position: each epoch shows every clip once."""
    return epoch_order(seed, position // count, count)[position % count]


def generator_at(seed: int, position: int) -> np.random.Generator:
    """The generator for everything else that is drawn at a position: window, flip, prompt dropout."""
    return np.random.default_rng([_DRAW, seed, position])


def shard(count: int, rank: int, world_size: int) -> range:
    """This rank's share of `count` validation clips: disjoint, complete, and never padded with repeats."""
    return range(rank, count, world_size)


class PositionSampler(Sampler[list[int]]):
    """Infinite batches of global positions; rank r takes every `world_size`-th one, from the r-th on."""

    def __init__(self, *, batch_size: int, rank: int = 0, world_size: int = 1, start: int = 0) -> None:
        """Set up a sampler.

        Args:
            batch_size: Clips per batch and rank.
            rank: This process, in [0, world_size).
            world_size: Number of processes.
            start: Global position of the first clip: what all ranks have consumed before.
        """
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.start = start

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this rank's positions for one micro-batch after the other, without end."""
        position = self.start
        while True:
            yield [position + place * self.world_size + self.rank for place in range(self.batch_size)]
            position += self.batch_size * self.world_size
