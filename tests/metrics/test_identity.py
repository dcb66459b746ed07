"""Looks that stay: seen whether a coat stays, wherever it goes."""

import pytest
import torch

from maskvid.metrics.identity import foreground_colour, foreground_look


def walk(colours):
    """A block that goes right on a grey ground, in a colour of its own in each frame, and its masks."""
    frames, masks = torch.zeros(len(colours), 3, 32, 48), torch.zeros(len(colours), 1, 32, 48)
    for i, colour in enumerate(colours):
        frames[i, :, 8:24, 4 + 6 * i : 20 + 6 * i] = torch.tensor(colour).view(3, 1, 1)
        masks[i, :, 8:24, 4 + 6 * i : 20 + 6 * i] = 1
    return frames, masks


RED, BLUE = (1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)


def test_a_coat_that_stays_is_the_same_wherever_it_goes_and_one_that_is_painted_anew_is_not():
    assert float(foreground_colour(*walk([RED, RED, RED]))) == pytest.approx(100)
    assert float(foreground_colour(*walk([RED, BLUE, BLUE]))) == pytest.approx(0)
    assert float(foreground_colour(*walk([RED, BLUE, RED]))) == pytest.approx(50)
    frames, masks = walk([RED, RED, RED])
    frames[2, :, 8:16] = torch.where(masks[2, :, 8:16] > 0, torch.tensor(BLUE).view(3, 1, 1), frames[2, :, 8:16])
    assert float(foreground_colour(frames, masks)) == pytest.approx(75)


def test_frames_without_a_foreground_say_nothing_of_it():
    frames, masks = walk([RED, BLUE, RED])
    masks[1] = 0
    assert float(foreground_colour(frames, masks)) == pytest.approx(100)
    masks[0] = 0
    assert foreground_colour(frames, masks).isnan()


def test_the_look_is_held_against_the_first_frames_crop():
    crops = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    assert float(foreground_look(crops)) == pytest.approx(50)
