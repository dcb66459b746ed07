"""Folders as people have them, each with what it means: `tests/media/cases` holds them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from maskvid.data.checked import check_sets
from maskvid.errors import UserError
from maskvid.masks.video import read_masks
from maskvid.media.times import evenly
from maskvid.model import Backbone
from maskvid.settings import Requirements

CASES = Path(__file__).parents[1] / "media" / "cases"
NEEDS = Requirements(height=64, width=96, num_frames=4, fps=8)


def checked(name: str, needs: Requirements = NEEDS):
    report = check_sets({"train": [CASES / name]}, needs)
    return report.accepted["train"], report.rejected["train"]


def test_frames_and_masks_of_other_numbers_are_not_paired_by_order():
    accepted, [rejected] = checked("10_numbers")
    assert accepted == []
    [reason] = rejected.reasons
    assert "frame 0 has no mask" in reason
    assert "mask 16 has no frame" in reason


def test_the_words_of_a_subject_may_stand_twice():
    [clip], _ = checked("11_words_twice")
    backbone = Backbone("assets://mini")
    _, marks, _ = backbone.encode_text([clip.triple.prompts[0]])
    assert marks[0].nonzero().flatten().tolist() == [13, 14, 15, 16]


def test_a_subject_behind_the_end_of_a_long_caption_is_a_reason():
    accepted, rejected = checked("12_long_caption")
    assert (len(accepted), rejected) == (1, [])  # without a tokenizer nobody knows its length
    faults = Backbone("assets://mini").prompt_faults(accepted[0].triple.prompts[0])
    assert "lies beyond the" in faults[0]


def test_a_list_of_captions_is_several_captions():
    [clip], _ = checked("13_list_of_captions")
    assert [prompt.text for prompt in clip.triple.prompts] == ["a yellow box slides", "a box moves to the right"]


@pytest.mark.parametrize(
    ("name", "clip"), [("14_notebook_folder", "a"), ("15_capitals", "A"), ("16_line_separator", "a")]
)
def test_hidden_files_capitals_and_line_separators_are_no_obstacle(name, clip):
    [found], rejected = checked(name)
    assert rejected == []
    assert found.triple.id == clip
    assert "a yellow box" in found.triple.prompts[0].text
    assert found.masks[0].any()


def test_one_bad_line_stops_no_other_clip(tmp_path):
    shutil.copytree(CASES / "16_line_separator", tmp_path / "a")
    with (tmp_path / "a" / "metadata.jsonl").open("a") as handle:
        handle.write('{"file_name": "b.mp4", "mask"\n')
    report = check_sets({"train": [tmp_path / "a"]}, NEEDS)
    assert [clip.triple.id for clip in report.accepted["train"]] == ["a"]
    [rejected] = report.rejected["train"]
    assert any("line 2" in reason and "not JSON" in reason for reason in rejected.reasons)


def test_a_mask_for_each_frame_needs_no_rate():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = read_masks(CASES / "20_eight_masks.npz", evenly(8, 4), 64, 96)
    with np.load(CASES / "20_eight_masks.npz") as archive:
        wanted = archive["masks"]
    assert masks.shape == (8, 1, 64, 96)
    assert float(masks.mean()) == pytest.approx(
        float((wanted > 127).mean() if wanted.max() > 1 else wanted.mean()), abs=0.02
    )


def test_a_close_up_is_taken_for_inverted_unless_that_is_said():
    with pytest.raises(UserError, match=r"inverted mask.*max_foreground"):
        read_masks(CASES / "21_close_up.npz", evenly(8, 4), 64, 96)
    assert read_masks(CASES / "21_close_up.npz", evenly(8, 4), 64, 96, max_foreground=1.0).mean() > 0.8
