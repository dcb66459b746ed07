"""Rough masks are fitted to a first frame that is given, where a segmenter says what it shows; others never are."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import maskvid.asked
from maskvid.evaluate import evaluate
from maskvid.generate import generate
from maskvid.train import train
from tests.runs import configure, configure_generate, opened
from tests.test_evaluate import configure_evaluate


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "run"
    more = ("data.validation=null", "method.rough_masks=1", "optim.mask_learning_rate=0.03")
    train(configure(overrides, f"run_dir={folder}", *more))
    return folder


def test_rough_masks_follow_the_first_frame_and_exact_ones_and_boxes_what_was_asked(run):
    pipe = opened(run)
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


def test_the_programs_fit_by_their_own_segmenter(run, triples, tmp_path, monkeypatch):
    """`evaluate` by what scores, `generate` by the run's judge where a picture is given; nobody else has one."""
    seen = []
    monkeypatch.setattr(maskvid.asked, "fitted", lambda masks, found: seen.append(tuple(found.shape)) or masks)
    sets = f"+sets.seen={triples}"
    for precision, count in (("exact", 0), ("rough", 3)):
        out = f"out={tmp_path / precision}"
        evaluate(
            configure_evaluate(f"run={run}", sets, f"sampling.mask_precision={precision}", out, "save_videos=false")
        )
        assert seen == [(32, 48)] * count
    Image.new("RGB", (48, 32), "grey").save(tmp_path / "first.png")
    made = ["sampling.mask_precision=rough", "device=cpu", f"out={tmp_path / 'made'}", "prompt='[a fox] runs'"]
    given = f"first_frame={tmp_path / 'first.png'}"
    generate(configure_generate(run, triples, *made))
    generate(configure_generate(run, triples, *made, given, "judge=false"))
    assert len(seen) == 3
    generate(configure_generate(run, triples, *made, given))
    assert len(seen) == 4
