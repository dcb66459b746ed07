import doctest

import numpy as np
import pytest

import maskvid.masks.draw.drawing
import maskvid.masks.draw.easing
import maskvid.masks.draw.raster
import maskvid.masks.draw.sentence
import maskvid.masks.draw.silhouettes
from maskvid.masks.draw import draw_masks
from maskvid.masks.draw.remarks import Seen, remarks, seen_in


def boxes(*places, size=20):
    masks = np.zeros((len(places), 100, 150), np.uint8)
    for mask, place in zip(masks, places, strict=True):
        if place is not None:
            mask[40 : 40 + size, place : place + size] = 255
    return masks


def test_nothing_is_said_where_all_is_well():
    masks = boxes(10, 15, 20)
    assert remarks(masks, 8.0, seen_in(masks, 8.0)) == []


def test_what_masks_are_like_is_measured():
    seen = seen_in(iter(boxes(10, 15, None, 145, 30)), 8.0)
    assert seen.smallest == seen.largest == pytest.approx(400 / 15000)
    assert seen.fastest == pytest.approx(5 / 100 * 8)  # heights of the picture a second; what is cut off is left out
    assert seen | Seen(0.01, 0.5, 9.0) == Seen(0.01, 0.5, 9.0)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (boxes(None, 10, 15), "frame 0 is empty: the first frame"),
        (boxes(10, None, None, 15, None), "frames 1-2, 4 are empty"),
        (boxes(10, 15, size=6), "frames 0-1 are tiny"),
        (boxes(0, 5, 10), "frame 0 is cut off"),
        (boxes(40, 45, size=55), "larger than anything that tuning saw: 20% of the picture, 3% there"),
        (boxes(10, 15, 25), "frame 2 is faster than anything that tuning saw: 0.80 of the picture's height a second"),
    ],
)
def test_what_will_go_wrong_is_said_with_its_frames(masks, said):
    found = remarks(masks, 8.0, seen_in(boxes(10, 15, 20), 8.0))
    assert any(said in one for one in found), found


def test_the_examples_of_the_docstrings_run():
    names = ("drawing", "easing", "raster", "sentence", "silhouettes")
    for name in names:
        module = getattr(maskvid.masks.draw, name)
        found = doctest.testmod(module, extraglobs={"draw_masks": draw_masks})
        assert found.failed == 0, name
        assert found.attempted, name
