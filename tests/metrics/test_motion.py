import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from maskvid.errors import UserError
from maskvid.metrics.motion import FlowMagnitude, flow_magnitude


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
