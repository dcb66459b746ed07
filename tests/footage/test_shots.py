import numpy as np
import pytest

from maskvid.footage.shots import find_cuts
from tests.footage.films import CUT, film, horse


def test_a_cut_is_found_where_it_is():
    assert find_cuts(iter(film()[0]), 3.0) == [CUT]


@pytest.mark.parametrize("before", [1, 2, 23])
def test_a_cut_is_found_near_the_ends_too(before):
    first, second = horse(0)[0], horse(3)[0]
    assert find_cuts(np.concatenate([first[:before], second]), 3.0) == [before]
    assert find_cuts(np.concatenate([first, second[:before]]), 3.0) == [len(first)]


def test_three_shots_of_a_few_frames_each():
    first, second = horse(0)[0], horse(3)[0]
    assert find_cuts(np.concatenate([first[:4], second[:4], first[10:]]), 3.0) == [4, 8]


def test_a_moving_camera_and_a_still_one_are_no_cuts():
    noise = np.random.default_rng(0).integers(0, 255, (64, 400, 3), np.uint8)
    pan = [np.ascontiguousarray(np.repeat(noise, 1, 0)[:, 4 * i : 4 * i + 96]) for i in range(40)]
    assert find_cuts(pan, 3.0) == []
    assert find_cuts([pan[0]] * 20, 3.0) == []
    assert find_cuts([pan[0]], 3.0) == []
    assert find_cuts([], 3.0) == []


def test_a_fade_through_black_parts_two_shots():
    first, second = horse(0)[0], horse(3)[0]
    down = [(first[-1] * (1 - i / 10)).astype(np.uint8) for i in range(11)]
    up = [(second[0] * (i / 10)).astype(np.uint8) for i in range(11)]
    cuts = find_cuts([*first, *down, *up, *second], 3.0)
    assert cuts
    assert all(len(first) + 5 < cut < len(first) + 17 for cut in cuts)
