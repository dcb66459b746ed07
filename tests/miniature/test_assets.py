"""The shipped miniature is what users get: it loads with the plain libraries and is small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

import maskvid
from maskvid.judges.clip_encoder import load_clip
from maskvid.judges.segmenter import Segmenter

ASSETS = Path(maskvid.__file__).parent / "assets"


def test_plain_diffusers_makes_a_picture():
    pipeline = StableDiffusionPipeline.from_pretrained(ASSETS / "mini")
    pipeline.set_progress_bar_config(disable=True)
    draw = torch.Generator().manual_seed(0)
    image = pipeline("a brown horse on a green meadow", num_inference_steps=6, generator=draw, output_type="np").images[
        0
    ]
    assert image.shape == (64, 96, 3)
    assert image.std() > 0.05
    # Green below: the meadow was understood, whatever the animal looks like after six steps.
    assert image[44:, :, 1].mean() > image[44:, :, 2].mean() + 0.05


def test_the_small_clip_tells_words_apart():
    encoder = load_clip(ASSETS / "mini_clip")
    assert encoder.size == (64, 96)
    day, night = encoder.texts(["a horse in the snow in daylight", "a horse in the desert at night"])
    bright, dark = encoder.images(torch.stack([torch.full((3, 64, 96), 0.8), torch.full((3, 64, 96), -0.8)]))
    assert float(day @ night) < 0.9
    assert float(bright @ day) > float(dark @ day)


def test_the_small_segmenter_finds_nothing_in_an_empty_picture():
    segmenter = Segmenter.from_pretrained(ASSETS / "mini_segmenter")
    with torch.no_grad():
        mask = segmenter(torch.zeros(1, 3, 64, 96))
    assert mask.shape == (1, 1, 64, 96)
    assert float((mask > 0.5).float().mean()) < 0.05


def test_all_assets_fit_in_sixty_megabytes():
    sizes = [path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()]
    assert sum(sizes) <= 60e6


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "samples.png"])
def test_the_card_lies_beside_the_weights(name):
    assert (ASSETS / name).stat().st_size > 1000
