import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from maskvid.errors import UserError
from maskvid.metrics.motion import FlowMagnitude, dynamic_degree, flow_magnitude
from maskvid.metrics.warp import warp_error


def sliding(dy: float, dx: float, count: int = 4, height: int = 64, width: int = 96) -> torch.Tensor:
    """A smooth texture that moves by (dy, dx) pixels per frame."""
    rng = np.random.default_rng(0)
    ground = gaussian_filter(rng.standard_normal((height + 40, width + 40)), 3)
    ground /= np.abs(ground).max()
    frames = [shift(ground, (dy * i, dx * i), mode="nearest")[20:-20, 20:-20] for i in range(count)]
    return torch.tensor(np.stack(frames)).float()[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("step", [(0, 2), (1.5, -2), (0.5, 0)])
def test_magnitude_is_the_known_shift_in_pixels_per_frame(step):
    assert float(flow_magnitude(sliding(*step))) == pytest.approx(np.hypot(*step), rel=0.15)


def test_frozen_video_has_none_and_clips_are_averaged():
    still = sliding(0, 0)
    assert float(flow_magnitude(still)) == pytest.approx(0, abs=1e-3)
    metric = FlowMagnitude()
    metric.update(still)
    metric.update(sliding(0, 2, count=7))
    assert float(metric.compute()) == pytest.approx(1, rel=0.15)


def test_one_frame_is_refused():
    with pytest.raises(UserError, match="at least 2 frames"):
        flow_magnitude(sliding(0, 0, count=1))


def test_a_video_is_dynamic_when_its_fastest_pixels_move_in_enough_pairs():
    fast, slow = sliding(0, 3, count=8), sliding(0, 0.5, count=8)  # the threshold is 1.5 pixels at 64 rows
    assert dynamic_degree(fast) == 1
    assert dynamic_degree(slow) == 0
    one_pair = torch.cat([slow[:1].expand(7, -1, -1, -1), fast[1:2]])
    assert dynamic_degree(one_pair) == 0  # two of eight frames' worth are asked for
    corner = sliding(0, 0, count=8).clone()
    corner[:, :, :24, :36] = fast[:, :, :24, :36]  # a seventh of the picture moves: the fastest twentieth is in it
    assert dynamic_degree(corner) == 1


def test_warp_error_forgives_motion_and_sees_flicker():
    moving = sliding(0, 2, count=5)
    jumping = moving[[0, 3, 1, 4, 2]]  # by up to six pixels, forth and back: motion all the same
    for frames in (moving, jumping):
        naive = 100 * float((frames[1:] - frames[:-1]).div(2).square().mean())
        assert float(warp_error(frames)) < 0.05 * naive
    cut = torch.cat([moving[:3], moving[3:].flip(-1)])  # another scene, to which no flow leads
    assert float(warp_error(cut)) > 0.1
    flicker = moving + 0.2 * (torch.arange(5) % 2).view(-1, 1, 1, 1)
    assert float(warp_error(flicker)) == pytest.approx(100 * 0.1**2, rel=0.2)
    assert float(warp_error(sliding(0, 0))) == pytest.approx(0, abs=1e-6)


def test_warp_error_leaves_occlusions_out():
    """A square slides over a ground: what it uncovers cannot be known from the frame before."""
    ground = sliding(0, 0, count=2)
    square = torch.full((3, 20, 20), 0.9)
    frames = ground.clone()
    frames[0, :, 20:40, 30:50] = square
    frames[1, :, 20:40, 36:56] = square
    naive = 100 * float((frames[1] - frames[0]).div(2).square().mean())
    assert float(warp_error(frames)) < 0.17 * naive  # 0.18 with what is uncovered
