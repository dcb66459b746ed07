"""Rough masks are fitted to a first frame that is given, where a segmenter says what it shows; others never are."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from maskvid import MaskVidPipeline
from maskvid.train import train
from tests.runs import configure


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "run"
    more = ("data.validation=null", "method.rough_masks=1", "optim.mask_learning_rate=0.03")
    train(configure(overrides, f"run_dir={folder}", *more))
    return folder


def test_rough_masks_follow_the_first_frame_and_exact_ones_and_boxes_what_was_asked(run):
    pipe = MaskVidPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    masks = np.zeros((3, 32, 48), np.uint8)
    masks[:, 8:20, 8:20] = 255
    picture, asked = Image.new("RGB", (48, 32), "grey"), []

    def find(pictures, given):
        asked.append(tuple(pictures.shape))
        return torch.roll(given, 4, -1)  # it shows the foreground four pixels to the right

    def made(precision, masks=masks, image=picture):
        draws = torch.Generator().manual_seed(1)
        return pipe(
            "[a fox] runs", masks, image, mask_precision=precision, generator=draws, output_type="latent"
        ).frames

    before = {precision: made(precision) for precision in ("exact", "rough", "box")}
    there = made("rough", np.roll(masks, 4, -1))
    pipe.find = find
    with pytest.warns(UserWarning, match="moved and resized to fit"):
        after = made("rough")
    assert asked == [(1, 3, 32, 48)]
    torch.testing.assert_close(after, there, atol=0.05, rtol=0)
    assert not torch.equal(after, before["rough"])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*moved and resized")
        assert torch.equal(made("exact"), before["exact"])
        assert torch.equal(made("box"), before["box"])
        made("rough", image=None)  # painted by the masks
    assert len(asked) == 1
