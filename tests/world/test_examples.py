"""The shipped horse examples, read as they are on disk."""

import json
from pathlib import Path

import decord
import numpy as np
import pytest

import maskvid
from maskvid.world import captions
from maskvid.world.movements import travel

ROOT = Path(maskvid.__file__).parent / "assets" / "horse"
SIZES = {"train": 12} | {
    f"{part}/{kind}": 8 for part in ("validation", "test") for kind in ("horse", "unseen", "motion")
}
SIZES |= {f"{part}/{motion}": 4 for part in ("motions", "motions/test") for motion in ("gallop", "walk", "turn")}


def _lines(folder: str) -> list[dict]:
    return [json.loads(line) for line in (ROOT / folder / "metadata.jsonl").read_text().splitlines()]


def _masks(folder: str, line: dict) -> np.ndarray:
    with np.load(ROOT / folder / line["mask"], allow_pickle=False) as archive:
        return archive["masks"]


@pytest.mark.parametrize("folder", SIZES)
def test_every_clip_is_whole_and_inside_the_picture(folder: str) -> None:
    lines = _lines(folder)
    assert len(lines) == SIZES[folder]
    for line in lines:
        captions.check_attributes(line)
        assert line["subject"] in line["text"]
        video = decord.VideoReader(str(ROOT / folder / line["file_name"]))
        masks = _masks(folder, line)
        assert masks.shape == (24, 320, 480)
        assert len(video) == 24
        assert video[0].shape == (320, 480, 3)
        assert abs(video.get_avg_fps() - line["fps"]) < 0.1
        share = (masks > 127).mean(axis=(1, 2))
        assert share.min() > 0.01
        assert share.max() < 0.4
        border = np.concatenate(
            [masks[:, 0].ravel(), masks[:, -1].ravel(), masks[:, :, 0].ravel(), masks[:, :, -1].ravel()]
        )
        assert border.max() == 0


@pytest.mark.parametrize("folder", ["train", "validation/horse", "test/horse", "validation/unseen", "test/unseen"])
def test_animals_cross_a_third_of_the_picture_also_in_eight_frames(folder: str) -> None:
    for line in _lines(folder):
        masks = _masks(folder, line)
        assert travel(masks) > 1 / 3
        assert travel(masks[::3]) > 1 / 3


def test_training_shows_horses_that_cross_both_ways_and_motion_shows_what_training_does_not() -> None:
    train = _lines("train")
    assert {line["species"] for line in train} == {"horse"}
    assert {line["movement"] for line in train} == {"cross"}
    columns = np.arange(480)
    signs = set()
    for line in train:
        masks = _masks("train", line).astype(float)
        first, last = ((m.sum(axis=0) * columns).sum() / m.sum() for m in (masks[0], masks[-1]))
        signs.add(np.sign(last - first))
    assert signs == {-1.0, 1.0}
    for part in ("validation", "test"):
        assert {line["movement"] for line in _lines(f"{part}/motion")} >= {"stop", "turn", "jump", "grow", "shrink"}
        assert "horse" not in {line["species"] for line in _lines(f"{part}/unseen")}


def test_no_clip_of_one_set_is_in_another() -> None:
    seen: set[bytes] = set()
    for folder in SIZES:
        for line in _lines(folder):
            content = (ROOT / folder / line["file_name"]).read_bytes()
            assert content not in seen
            seen.add(content)


def test_the_examples_stay_small() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 12 * 10**6


@pytest.mark.parametrize(("motion", "words"), [("gallop", "gallops"), ("walk", "walks"), ("turn", "turns back")])
def test_the_caption_says_which_motion_is_shown(motion: str, words: str) -> None:
    for line in _lines(f"motions/{motion}") + _lines(f"motions/test/{motion}"):
        assert words in line["text"]
        assert line["gait"] == {"turn": "trot"}.get(motion, motion)
        assert (line["movement"] == "turn") == (motion == "turn")
