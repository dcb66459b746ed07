import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

from maskvid.errors import UserError
from maskvid.masks.perturb import KINDS, boxes, perturb, shifted, sliding_box


def disks(count: int = 10, height: int = 64, width: int = 96) -> torch.Tensor:
    """A disk that crosses the picture."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([((y - 32) ** 2 + (x - 24 - 5 * i) ** 2 < 14**2).float() for i in range(count)]).unsqueeze(1)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_boxes_bound_the_foreground_of_each_frame():
    masks = torch.zeros(3, 1, 8, 12)
    masks[0, 0, 2, 3] = masks[0, 0, 5, 9] = 1  # two specks: one box around both
    masks[1, 0, :, 0] = 0.6
    masks[1, 0, 4, 4] = 0.4  # no foreground
    expected = torch.zeros(3, 1, 8, 12)
    expected[0, 0, 2:6, 3:10] = 1
    expected[1, 0, :, 0] = 1
    assert torch.equal(boxes(masks), expected)


@pytest.mark.parametrize("strength", [1, 3, 5])
def test_outlines_move_by_so_many_pixels(strength):
    masks = disks()
    wide, tight = (perturb(masks, kind, strength, draw()).numpy()[0, 0] > 0.5 for kind in ("dilate", "erode"))
    solid = masks[0, 0].numpy() > 0.5
    assert distance_transform_edt(~solid)[wide].max() == pytest.approx(strength, abs=0.6)
    assert distance_transform_edt(solid)[solid & ~tight].max() == pytest.approx(strength, abs=0.6)
    assert (wide >= binary_dilation(solid)).all()
    assert (tight <= binary_erosion(solid)).all()


def test_eroding_never_empties_a_frame():
    small = torch.zeros(2, 1, 64, 96)
    small[:, :, 30:33, 40:43] = 1
    assert torch.equal(perturb(small, "erode", 5, draw()), small)


def test_a_shift_moves_all_frames_alike_and_twice_as_far():
    masks = disks()
    moved = perturb(masks, "shift", 3, draw(1))
    places = [np.argwhere(m[:, 0].numpy() > 0.5) for m in (masks, moved)]
    steps = [places[1][places[1][:, 0] == i].mean(0) - places[0][places[0][:, 0] == i].mean(0) for i in range(10)]
    assert np.ptp(steps, axis=0).max() < 1e-9
    assert np.hypot(*steps[0][1:]) == pytest.approx(6, abs=0.75)
    assert torch.equal(shifted(masks, 2, -3)[0, 0, 10:60, 10:80], masks[0, 0, 8:58, 13:83])


@pytest.mark.parametrize("strength", range(1, 6))
def test_dropped_frames_repeat_the_mask_before(strength: int):
    masks = disks()[:8]  # the window of the miniature: every strength drops one more
    held = perturb(masks, "drop", strength, draw())
    repeated = [i for i in range(8) if not torch.equal(held[i], masks[i])]
    assert len(repeated) == strength
    assert 0 not in repeated
    assert all(torch.equal(held[i], held[i - 1]) for i in repeated)


def test_boxes_by_fifths():
    masks = disks()
    for strength in (1, 5):
        changed = (perturb(masks, "boxes", strength, draw()) != masks).flatten(1).any(1)
        assert int(changed.sum()) == 2 * strength
    assert torch.equal(perturb(masks, "boxes", 5, draw()), boxes(masks))


def test_a_sliding_box_holds_the_foreground_and_says_nothing_of_its_gait():
    masks = disks()
    masks[::2] = shifted(masks[::2], 2, 0)  # a bob up and down
    masks[3] = 0
    found = sliding_box(masks)
    sizes = {tuple(np.ptp(np.argwhere(m[0].numpy() > 0.5), axis=0) + 1) for i, m in enumerate(found) if i != 3}
    assert sizes == {(27, 27)}  # one size for all
    assert not found[3].any()
    tops = [np.argwhere(m[0].numpy() > 0.5)[:, 0].min() for i, m in enumerate(found) if i != 3]
    assert np.ptp(tops) <= 1
    assert (found * masks).sum() > 0.93 * masks.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_strength_zero_is_nothing_and_one_seed_gives_one_perturbation(kind):
    masks = disks()
    assert torch.equal(perturb(masks, kind, 0, draw()), masks)
    assert torch.equal(perturb(masks, kind, 2, draw(3)), perturb(masks, kind, 2, draw(3)))
    assert not torch.equal(perturb(masks, kind, 2, draw(3)), masks)


def test_what_it_does_not_know_is_named():
    with pytest.raises(UserError, match="'blur'"):
        perturb(disks(), "blur", 1, draw())
    with pytest.raises(UserError, match="9"):
        perturb(disks(), "drop", 9, draw())
