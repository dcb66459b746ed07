"""Clips of two animals."""

import numpy as np
import pytest

import maskvid.world  # noqa: F401 - chooses the renderer's back end before MuJoCo is imported

pytest.importorskip("mujoco")

from maskvid.prompt import parse_prompt
from maskvid.world.pairs import random_pair


@pytest.mark.parametrize("index", [0, 1])
def test_two_animals_run_behind_each_other_or_pass(index):
    pair = random_pair(seed=1, index=index, frames=4)
    assert pair.passing is bool(index)
    assert pair.frames.shape == (4, 64, 96, 3)
    assert pair.masks.shape == (4, 2, 64, 96)
    assert parse_prompt(pair.caption, most=2).all_words == pair.subjects
    assert len({words.split()[1] for words in pair.subjects}) == 2
    seen = pair.masks > 128
    assert not (seen[:, 0] & seen[:, 1]).any()  # what stands before hides what is behind
    places = np.array([[np.nonzero(mask)[1].mean() for mask in frame] for frame in seen])
    way = np.sign(places[-1] - places[0])
    assert (way[0] != way[1]) is np.bool_(pair.passing)
    assert np.array_equal(random_pair(seed=1, index=index, frames=4).frames, pair.frames)
