"""Rough masks fitted to the first frame."""

import doctest

import numpy as np
import pytest
import torch

import maskvid.masks.fitting
from maskvid.masks.fitting import fitted
from maskvid.masks.perturb import perturb
from maskvid.metrics.mask import mask_iou


def moving():
    """A cross that goes right, (4, 1, 64, 96)."""
    masks = torch.zeros(4, 1, 64, 96)
    for i in range(4):
        masks[i, 0, 24:40, 10 + 8 * i : 42 + 8 * i] = 1
        masks[i, 0, 14:50, 20 + 8 * i : 32 + 8 * i] = 1
    return masks


@pytest.mark.parametrize("kind", ["dilate", "erode", "shift"])
def test_what_is_wrong_alike_in_all_frames_is_mended(kind):
    exact = moving()
    rough = perturb(exact, kind, 3, np.random.default_rng(3))
    made = fitted(rough, exact[0, 0])
    assert float(mask_iou(made, exact)) > max(0.85, float(mask_iou(rough, exact)) + 0.1)


def test_masks_that_fit_stay_as_they_are_edges_and_all():
    masks = torch.nn.functional.avg_pool2d(moving(), 3, 1, 1)
    assert masks.unique().numel() > 2
    assert torch.equal(fitted(masks, moving()[0, 0]), masks)


@pytest.mark.parametrize("found", ["nothing", "far away", "far larger", "far smaller"])
def test_what_is_another_thing_moves_no_mask(found):
    masks, shown = moving(), torch.zeros(64, 96)
    if found == "far away":
        shown[20:40, 60:90] = 1
    elif found == "far larger":
        shown[:, :] = 1
    elif found == "far smaller":
        shown[30:34, 24:28] = 1
    assert torch.equal(fitted(masks, shown), masks)


def test_a_frame_without_foreground_stays_empty():
    masks = moving()
    masks[2] = 0
    assert fitted(masks, masks[0, 0].roll(4, 1))[2].sum() == 0


def test_the_example_of_the_docstring_runs():
    assert doctest.testmod(maskvid.masks.fitting, extraglobs={"torch": torch}).failed == 0
