import numpy as np
import pytest

from maskvid.footage.checks import CHECKS, measure_masks, reasons_against
from maskvid.footage.cleaning import clean, halfway
from tests.footage.films import horse, iou


def square(count: int = 9, step: int = 3) -> np.ndarray:
    masks = np.zeros((count, 64, 96), bool)
    for index in range(count):
        masks[index, 20:44, 10 + step * index : 34 + step * index] = True
    return masks


def test_specks_and_small_holes_go_and_a_large_hole_stays():
    exact = square(1)
    found = exact.copy()
    found[0, 2, 2] = True
    found[0, 60:62, 90] = True
    found[0, 30, 20] = False
    assert np.array_equal(clean(found).masks, exact)
    assert 0 < clean(found).removed < 0.01
    legs = exact.copy()
    legs[0, 26:38, 14:28] = False  # seen through
    assert np.array_equal(clean(legs).masks, legs)
    open_ = np.ones((1, 64, 96), bool)
    open_[0, 0, :3] = False  # at the border: no hole
    assert np.array_equal(clean(open_).masks, open_)


@pytest.mark.parametrize("gap", [[4], [4, 5]])
def test_a_gap_of_a_frame_or_two_is_filled_by_what_lies_between(gap):
    exact, found = square(), square()
    found[gap] = False
    cleaned = clean(found)
    assert cleaned.filled == len(gap)
    assert iou(cleaned.masks[gap], exact[gap]) > 0.9
    found[gap, 30:33, 40:43] = True  # a bit of it is no better
    assert iou(clean(found).masks[gap], exact[gap]) > 0.9


def test_longer_gaps_and_those_at_the_ends_stay():
    for gap in ([3, 4, 5], [0], [8], [0, 1]):
        found = square()
        found[gap] = False
        cleaned = clean(found)
        assert not cleaned.masks[gap].any()
        assert cleaned.filled == 0
    assert clean(np.zeros((4, 8, 8), bool)).filled == 0


def test_an_animal_that_walks_in_is_not_filled():
    found = square()
    for index in range(9):
        found[index, :, : 48 - 6 * index] = False
    assert clean(found).filled == 0


def test_the_shape_between_two_moves_and_changes():
    first, second = np.zeros((2, 64, 96), bool)
    first[20:40, 10:30] = True
    second[10:50, 60:80] = True
    middle = halfway(first, second, 0.5)
    assert abs(np.nonzero(middle)[1].mean() - 44.5) < 1.5
    assert first.sum() < middle.sum() < second.sum()


def test_exact_masks_are_clean_already_and_pass():
    for number in range(4):
        masks = horse(number)[1]
        cleaned = clean(masks)
        assert iou(cleaned.masks, masks) > 0.995
        assert reasons_against(measure_masks(masks, cleaned), cleaned.masks, 0.8) == []


def measured(masks: np.ndarray) -> tuple[dict[str, float], str]:
    cleaned = clean(masks)
    figures = measure_masks(masks, cleaned)
    return figures, "; ".join(reasons_against(figures, cleaned.masks, 0.8))


def test_each_fault_is_measured_and_told():
    assert measured(square())[1] == ""
    flickering = square()
    flickering[::2, 20:44:2] = False
    figures, said = measured(flickering)
    assert figures["flicker"] > 0.5
    assert "flicker" in said
    leaping = square()
    leaping[5:] = np.roll(leaping[5:], 40, axis=2)
    assert "leaps" in measured(leaping)[1]
    leaking = square()
    leaking[6:, 10:] = True
    assert "area changes at once" in measured(leaking)[1]
    tiny = np.zeros((9, 64, 96), bool)
    tiny[:, 30:34, 30:34] = True
    assert "tiny" in measured(tiny)[1]
    gone = square()
    gone[:4] = False
    figures, said = measured(gone)
    assert figures["nothing"] == pytest.approx(4 / 9)
    assert "nothing was found in many frames" in said
    assert "inverted" in measured(~square())[1]
    cut = square(step=0)
    cut[:, :, :12] |= cut[:, :, 12:24]
    cut[:3] = square(step=0)[:3]
    assert measured(cut)[0]["border"] == pytest.approx(6 / 9)
    scattered = square()
    for left in range(4, 90, 12):
        scattered[:, 50:58, left : left + 6] = True
    assert "many pieces" in measured(scattered)[1]
    assert set(measured(cut)[0]) == set(CHECKS)
