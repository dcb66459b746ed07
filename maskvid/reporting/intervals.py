"""Means with bootstrap intervals over clips and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskvid.errors import UserError

RESAMPLES = 2000
MOST_CLIPS = 2**14


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 percent interval.

    Attributes:
        mean: Over all videos.
        low: 2.5th percentile of the resampled means.
        high: 97.5th percentile.
        seeds: Number of seeds.
        clips: Number of clips.
    """

    mean: float
    low: float
    high: float
    seeds: int
    clips: int


def estimate(values: Mapping[tuple[str, str], float], *, resamples: int = RESAMPLES) -> Estimate:
    """Mean and percentile bootstrap interval, seeds and clips resampled apart.

    A seed's tuning is shared by all its clips and a clip by all seeds, so that videos are not independent of each
    other: each resample draws as many seeds and as many clips with replacement and takes the mean of the videos in both
    (Owen, "The pigeonhole bootstrap", 2007). With one seed the interval is over clips alone.

    Args:
        values: One score by (seed, clip); a pair may be missing. An infinite score or NaN is not missing: it makes the
            mean, and each limit that resamples with it reach, infinite or NaN.
        resamples: Number of resamples; the draws are the same in every call.

    Returns:
        The estimate.

    Raises:
        UserError: There are more seeds or clips than memory is there for.
    """
    seeds, clips = ({name: i for i, name in enumerate(sorted({key[axis] for key in values}))} for axis in (0, 1))
    if len(clips) > MOST_CLIPS or len(seeds) * len(clips) > 16 * MOST_CLIPS:
        raise UserError(f"{len(seeds)} seeds of {len(clips)} clips are more than a report takes, {MOST_CLIPS} clips.")
    table, known = np.zeros((len(seeds), len(clips))), np.zeros((len(seeds), len(clips)), bool)
    for (seed, clip), value in values.items():
        place = seeds[seed], clips[clip]
        table[place], known[place] = value, True
    draw = np.random.default_rng(0)
    rows = draw.integers(len(seeds), size=(resamples, len(seeds), 1))
    columns = draw.integers(len(clips), size=(resamples, 1, len(clips)))
    step = max(1, 2**22 // table.size)  # resamples at a time, which bounds the memory
    pieces = [(rows[i : i + step], columns[i : i + step]) for i in range(0, resamples, step)]
    sums = np.concatenate([table[piece].sum((1, 2)) for piece in pieces])
    counts = np.concatenate([known[piece].sum((1, 2)) for piece in pieces])
    means = sums[counts > 0] / counts[counts > 0]
    # Between a finite and an infinite mean there is nothing to interpolate.
    method: Literal["linear", "nearest"] = "linear" if np.isfinite(means).all() else "nearest"
    low, high = np.percentile(means, [2.5, 97.5], method=method)
    return Estimate(float(table[known].mean()), float(low), float(high), len(seeds), len(clips))
