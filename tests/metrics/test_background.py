import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from maskvid.errors import UserError
from maskvid.metrics.background import background_psnr


def test_it_is_the_psnr_of_the_pixels_outside_the_masks():
    draw = torch.Generator().manual_seed(0)
    source = torch.rand(3, 3, 8, 12, generator=draw) * 2 - 1
    edited = (source + 0.1 * torch.randn(source.shape, generator=draw)).clamp(-1, 1)
    masks = torch.zeros(3, 1, 8, 12)
    masks[:, :, 2:6, 3:9] = 1
    outside = np.broadcast_to(masks.numpy() < 0.5, source.shape)
    want = peak_signal_noise_ratio(source.numpy()[outside], edited.numpy()[outside], data_range=2)
    edited[:, :, 2:6, 3:9] = 1  # what happens to the foreground does not count
    assert float(background_psnr(edited, source, masks)) == pytest.approx(want, abs=1e-4)


def test_refusals():
    frames = torch.zeros(2, 3, 8, 8)
    with pytest.raises(UserError, match="no background"):
        background_psnr(frames, frames, torch.ones(2, 1, 8, 8))
    with pytest.raises(UserError, match="source"):
        background_psnr(frames, frames[:1], torch.ones(2, 1, 8, 8))
