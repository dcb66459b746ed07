import numpy as np
import pytest
import torch

from maskvid.masks.perturb import boxes, sliding_box
from maskvid.masks.precision import precision_of
from maskvid.masks.rough import KINDS, roughened, wandering
from tests.masks.test_perturb import disks


def animals(count: int = 8) -> torch.Tensor:
    """A body with four legs, a neck and a tail that walks across the picture."""
    masks = torch.zeros(count, 1, 64, 96)
    for i in range(count):
        x = 10 + 5 * i
        masks[i, 0, 24:38, x : x + 30] = 1
        masks[i, 0, 12:26, x + 26 : x + 32] = 1
        masks[i, 0, 24:28, max(x - 8, 0) : x] = 1
        for leg in (1, 8, 20, 26):
            masks[i, 0, 38:54, x + leg + i % 3 : x + leg + 3 + i % 3] = 1
    return masks


def test_every_way_keeps_some_of_every_frame_and_is_a_function_of_what_is_drawn():
    masks = animals()
    seen = set()
    for number in range(80):
        rough, how = roughened(masks, np.random.default_rng(number))
        again, same = roughened(masks, np.random.default_rng(number))
        assert torch.equal(rough, again)
        assert how == same
        assert 0 < how <= 1
        assert rough.shape == masks.shape
        assert 0 <= rough.min() <= rough.max() <= 1
        assert (rough >= 0.5).flatten(1).any(1).all()
        seen.add(round(float((rough - masks).abs().mean()), 6))
    assert len(seen) > 50  # sliding boxes and hulls know no chance


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_stronger_is_rougher(kind):
    masks = animals()
    off = [
        np.mean([float((kind(masks, float(s), s, np.random.default_rng(n)) - masks).abs().mean()) for n in range(6)])
        for s in (1, 5)
    ]
    assert off[1] >= off[0] > 0
    assert off[1] > 0.01


def test_errors_wander_slowly():
    courses = np.stack([wandering(16, np.random.default_rng(n)) for n in range(200)])
    assert courses.mean() == pytest.approx(1, abs=0.05)
    steps, spread = np.abs(np.diff(courses, axis=1)).mean(), courses.std()
    assert steps < spread


def test_what_masks_look_like():
    masks = animals()
    assert precision_of(masks) == "exact"
    assert precision_of(boxes(masks)) == precision_of(sliding_box(masks)) == "box"
    assert precision_of(disks()) == "rough"
    assert precision_of(torch.zeros(3, 1, 64, 96)) == "exact"
    unsure = torch.nn.functional.avg_pool2d(masks, 15, 1, 7)
    assert precision_of(unsure) == "soft"
    smooth = torch.nn.functional.avg_pool2d(masks, 3, 1, 1)  # an outline that is antialiased
    assert precision_of(smooth) == "exact"
