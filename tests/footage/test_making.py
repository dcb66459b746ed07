"""From raw clips to triples that the training accepts, and everything that may go wrong between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from maskvid.data.checked import check_sets
from maskvid.errors import UserError
from maskvid.footage import making
from maskvid.footage.making import prepare
from maskvid.footage.wording import marked
from maskvid.masks.read import iter_masks
from maskvid.media.decode import decode_frames
from maskvid.preparation import Preparation
from maskvid.settings import Requirements
from tests.data.tiny import make_frames, write_mp4, write_pictures
from tests.footage.films import FPS, film, horse, iou, write_film
from tests.footage.networks import save_blip, save_grounding_dino
from tests.media.test_container import ffmpeg
from tests.metrics.judges import save_sam2

WANTED = Preparation(subject="the horse", foreground="embedded", num_frames=12, fps=6, height=64, width=96)
NAMES = ["film-001-001", "film-002-001"]


def requirements(**more) -> Requirements:
    return Requirements(**{"height": 64, "width": 96, "num_frames": 12, "fps": 6, **more})


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Every file with its bytes and time of change."""
    found = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_film(folder / "film.mp4")
    return folder


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """How many windows were looked at for their foreground."""
    made, make = [], making.make_finder

    def counting(wanted, device):
        finder = make(wanted, device)

        def found(frames, lead):
            made.append(len(frames))
            return finder(frames, lead)

        return found

    monkeypatch.setattr(making, "make_finder", counting)
    return made


def test_a_film_with_a_cut_becomes_triples_with_the_exact_masks(raw, tmp_path):
    outcome = prepare(WANTED, raw, tmp_path / "out")
    assert [verdict.record.name for verdict in outcome.verdicts] == NAMES
    assert outcome.accepted == 2
    frames, exact = film()
    for number, row in enumerate(rows(tmp_path / "out")):
        assert row["text"] == "[the horse]"
        assert row["clip"] == "film.mp4"
        chosen = slice(24 * number, 24 * number + 24, 2)
        masks = np.stack(list(iter_masks(tmp_path / "out" / row["mask"]))) >= 128
        assert iou(masks, exact[chosen]) > 0.85
        video = decode_frames(tmp_path / "out" / row["file_name"], 64, 96)
        assert np.abs(video.astype(int) - frames[chosen]).mean() < 6  # coded twice
    report = check_sets({"train": [tmp_path / "out"]}, requirements())
    assert [clip.triple.id for clip in report.accepted["train"]] == NAMES
    assert report.rejected["train"] == []
    assert report.accepted["train"][0].triple.prompt.words == "the horse"
    assert iio.imread(tmp_path / "out" / "strips" / f"{NAMES[0]}.jpg").shape[0] >= 120


def test_the_same_command_goes_on_where_it_was_stopped(raw, tmp_path, counted, monkeypatch):
    write = making.write_triple

    def stopping(out, name, *others):
        if name == NAMES[1]:
            raise KeyboardInterrupt
        write(out, name, *others)

    monkeypatch.setattr(making, "write_triple", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare(WANTED, raw, tmp_path / "out")
    first = files(tmp_path / "out")
    assert not (tmp_path / "out" / "metadata.jsonl").exists()
    monkeypatch.setattr(making, "write_triple", write)
    monkeypatch.setattr(making, "find_cuts", lambda *_: pytest.fail("the cuts are known"))
    assert prepare(WANTED, raw, tmp_path / "out").accepted == 2
    assert counted == [12, 12, 12]  # the second one twice
    second = files(tmp_path / "out")
    assert {name: second[name] for name in first} == first
    assert prepare(WANTED, raw, tmp_path / "out").accepted == 2
    assert len(counted) == 3
    monkeypatch.undo()
    straight = prepare(WANTED, raw, tmp_path / "straight")
    assert [verdict.record for verdict in straight.verdicts] == [
        verdict.record for verdict in prepare(WANTED, raw, tmp_path / "out").verdicts
    ]


def test_what_follows_by_flow_goes_on_from_the_masks_on_disk(tmp_path, monkeypatch):
    frames = np.concatenate([make_frames(12, 64, 96), make_frames(24, 64, 96)[12:]])
    write_mp4(tmp_path / "square.mp4", frames, fps=8)
    wanted = Preparation(subject="it", foreground="grabcut", box=[3, 14, 18, 34], num_frames=6, fps=8)
    whole = prepare(wanted, tmp_path / "square.mp4", tmp_path / "whole")
    assert len(whole.verdicts) == 4
    prepare(wanted, tmp_path / "square.mp4", tmp_path / "out")
    for folder, suffix in (("windows", ".json"), ("masks", ".npz"), ("videos", ".mp4")):
        (tmp_path / "out" / folder / f"square-001-003{suffix}").unlink()
    again = prepare(wanted, tmp_path / "square.mp4", tmp_path / "out")
    assert [verdict.record for verdict in again.verdicts] == [verdict.record for verdict in whole.verdicts]


def test_a_persons_word_wins_and_nothing_is_segmented_again(raw, tmp_path, counted):
    out = tmp_path / "out"
    prepare(WANTED, raw, out)
    strict = replace(WANTED, max_foreground=0.01)  # everything is too large now
    assert prepare(strict, raw, tmp_path / "none").accepted == 0
    assert rows(tmp_path / "none") == []
    before, looked = files(out), len(counted)
    said = {NAMES[0]: {"verdict": "reject"}, NAMES[1]: {"caption": "[a white horse] gallops"}, "nothing": {}}
    (out / "verdicts.json").write_text(json.dumps(said))
    outcome = prepare(WANTED, raw, out)
    assert [(row["id"], row["text"]) for row in rows(out)] == [(NAMES[1], "[a white horse] gallops")]
    assert outcome.unknown == ["nothing"]
    (tmp_path / "none" / "verdicts.json").write_text(json.dumps({NAMES[0]: {"verdict": "accept"}}))
    assert [row["id"] for row in rows(tmp_path / "none")] == []
    prepare(strict, raw, tmp_path / "none")
    assert [row["id"] for row in rows(tmp_path / "none")] == [NAMES[0]]
    after = files(out)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"metadata.jsonl", "index.html"}
    assert len(counted) == looked


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "mapping"),
        ('{"film-001-001": "reject"}', "film-001-001: expected"),
        ('{"film-001-001": {"verdict": "maybe"}}', "write accept or reject"),
        ('{"film-001-001": {"caption": "[a"}}', "unbalanced brackets"),
        ('{"film-001-001": {"caption": " "}}', "no text"),
        ('{"film-001-001": {"run": "rm"}}', "expected"),
    ],
)
def test_verdicts_that_say_nothing_are_refused_before_any_work(raw, tmp_path, content, message, counted):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "verdicts.json").write_text(content)
    with pytest.raises(UserError, match=message):
        prepare(WANTED, raw, tmp_path / "out")
    assert counted == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["verdicts.json"]


def test_other_settings_are_refused_and_overwrite_makes_the_folder_anew(raw, tmp_path, counted):
    out = tmp_path / "out"
    prepare(WANTED, raw, out)
    (out / "verdicts.json").write_text("{}")
    (out / "mine.txt").write_text("keep")
    other = replace(WANTED, num_frames=8)
    with pytest.raises(UserError, match=r"num_frames=12 \(now 8\).*overwrite=true"):
        prepare(other, raw, out)
    renamed = replace(WANTED, subject="horse", caption="[a brown horse] gallops")  # the captions alone
    assert prepare(renamed, raw, out).accepted == 2
    assert rows(out)[0]["text"] == "[a brown horse] gallops"
    renamed = replace(renamed, caption="a horse gallops")
    prepare(renamed, raw, out)
    assert rows(out)[0]["text"] == "a [horse] gallops"
    assert len(counted) == 2
    assert len(prepare(other, raw, out, overwrite=True).verdicts) == 2
    assert len(counted) == 4
    assert (out / "mine.txt").read_text() == "keep"
    assert (out / "verdicts-before.json").exists()
    assert not (out / "verdicts.json").exists()


def test_where_nothing_was_made_other_settings_may_be_tried(raw, tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        prepare(replace(WANTED, foreground="sam2", model=str(raw)), raw, tmp_path / "out")
    assert (tmp_path / "out" / "prepare.json").exists()
    assert prepare(replace(WANTED, num_frames=8), raw, tmp_path / "out").accepted == 2


def test_folders_of_others_are_left_alone(raw, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="something that was not prepared"):
            prepare(WANTED, raw, tmp_path / "full", overwrite=overwrite)
    with pytest.raises(UserError, match="the raw clips"):
        prepare(WANTED, raw, raw)
    with pytest.raises(UserError, match="is a file"):
        prepare(WANTED, raw, raw / "film.mp4" / "out")


def test_clips_may_be_added_and_a_changed_one_is_told(raw, tmp_path, counted):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    (clips / "film.mp4").write_bytes((raw / "film.mp4").read_bytes())
    prepare(WANTED, clips, out)
    (clips / "film.mov").write_bytes((raw / "film.mp4").read_bytes())  # of the same stem
    outcome = prepare(WANTED, clips, out)
    assert len(counted) == 4
    assert len(outcome.verdicts) == 4
    assert {verdict.record.clip for verdict in outcome.verdicts} == {"film.mp4", "film.mov"}
    write_mp4(clips / "film.mp4", horse(2)[0], fps=FPS)
    with pytest.raises(UserError, match="has changed since"):
        prepare(WANTED, clips, out)


def test_a_dry_run_writes_nothing(raw, tmp_path, counted):
    outcome = prepare(WANTED, raw, tmp_path / "out", dry_run=True)
    [clip] = outcome.clips
    assert (clip.rows, clip.columns, clip.plan.shots) == (64, 96, 2)
    assert [clip.window(span) for span in clip.plan.spans] == NAMES
    assert not (tmp_path / "out").exists()
    assert counted == []


def test_a_clip_without_the_subject_is_rejected_and_not_written(tmp_path):
    write_mp4(tmp_path / "raw" / "grey.mp4", np.full((24, 64, 96, 3), 90, np.uint8), fps=FPS)
    outcome = prepare(WANTED, tmp_path / "raw", tmp_path / "out")
    [verdict] = outcome.verdicts
    assert not verdict.accepted
    assert "sees no animal" in verdict.reasons[0]
    assert rows(tmp_path / "out") == []
    assert not (tmp_path / "out" / "videos").exists()
    assert not (tmp_path / "out" / "masks").exists()
    (tmp_path / "out" / "verdicts.json").write_text(json.dumps({verdict.record.name: {"verdict": "accept"}}))
    again = prepare(WANTED, tmp_path / "raw", tmp_path / "out").verdicts[0]
    assert not again.accepted
    assert "cannot be accepted" in "; ".join(again.reasons)


def test_one_broken_clip_stops_no_other(raw, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "film.mp4").write_bytes((raw / "film.mp4").read_bytes())
    (clips / "cut.mp4").write_bytes((raw / "film.mp4").read_bytes()[:2000])
    (clips / "empty.mkv").write_bytes(b"")
    outcome = prepare(WANTED, clips, tmp_path / "out")
    assert outcome.accepted == 2
    assert [line.partition(":")[0] for line in outcome.not_read] == ["cut.mp4", "empty.mkv"]
    assert "cut.mp4: unreadable video" in (tmp_path / "out" / "index.html").read_text()


def test_pictures_odd_containers_and_turned_phones_are_read(raw, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    ffmpeg("-i", raw / "film.mp4", "-c:v", "mpeg4", "-q:v", "2", clips / "old.avi")
    ffmpeg("-i", raw / "film.mp4", "-c:v", "flv1", "-q:v", "2", clips / "web.flv")
    ffmpeg("-i", raw / "film.mp4", "-vf", "transpose=1", "-crf", "12", tmp_path / "turned.mp4")
    ffmpeg("-display_rotation", "90", "-i", tmp_path / "turned.mp4", "-c", "copy", clips / "phone.mp4")
    write_pictures(clips / "stills", film()[0])
    outcome = prepare(replace(WANTED, folder_fps=FPS), clips, tmp_path / "out")
    assert outcome.not_read == []
    assert len(outcome.verdicts) == 8
    assert outcome.accepted == 8
    exact = film()[1]
    for row in rows(tmp_path / "out"):
        first = 24 * (int(row["id"].split("-")[1]) - 1)
        masks = np.stack(list(iter_masks(tmp_path / "out" / row["mask"]))) >= 128
        assert iou(masks, exact[first : first + 24 : 2]) > 0.8, row["id"]


def test_sizes_are_kept_where_none_is_asked_for_and_never_enlarged(raw, tmp_path):
    wanted = Preparation(subject="the horse", foreground="embedded", num_frames=12, fps=6, largest_side=80)
    prepare(wanted, raw, tmp_path / "smaller")
    video = tmp_path / "smaller" / "videos" / f"{NAMES[0]}.mp4"
    assert iio.improps(video).shape[1:3] == (52, 80)
    prepare(replace(wanted, largest_side=640), raw, tmp_path / "same")
    assert iio.improps(tmp_path / "same" / "videos" / f"{NAMES[0]}.mp4").shape[1:3] == (64, 96)
    sets = {"small": [tmp_path / "smaller"], "same": [tmp_path / "same"]}
    report = check_sets(sets, requirements())
    assert report.num_rejected == 0


def test_hostile_names_become_harmless_files_and_words(raw, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    name = "<img src=x onerror=alert(1)>[b]'\"{{7*7}};$(id).mp4"
    (clips / name).write_bytes((raw / "film.mp4").read_bytes())
    prepare(WANTED, clips, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "{{7*7}}" in page
    for path in (tmp_path / "out").rglob("*"):
        assert not set(path.name) & set("<>'\"{}$; "), path
    assert rows(tmp_path / "out")[0]["clip"] == name
    assert check_sets({"train": [tmp_path / "out"]}, requirements()).num_rejected == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subject": None}, "subject must be set"),
        ({"subject": "[a"}, "unbalanced"),
        ({"caption": "[a] [b]"}, "marks 2 subjects"),
        ({"subject": "the cat", "caption": "a dog runs"}, "is not in the caption"),
        ({"height": 64, "width": None}, "give both"),
        ({"foreground": "grabcut"}, "cuts out what a box shows"),
        ({"foreground": "grabcut", "box": [0.5, 0, 0.2, 1]}, "left below the right"),
        ({"foreground": "grabcut", "box": [0, 0, 1, 1], "points": [[1, 1]]}, "no effect with foreground=grabcut"),
        ({"box": [0, 0, 1, 1]}, "no effect with foreground=embedded"),
        ({"model": "facebook/sam2"}, "no effect with foreground=embedded"),
        ({"detector": "owl"}, "no effect with foreground=embedded"),
        ({"foreground": "sam2", "detector": "owl", "box": [0, 0, 1, 1]}, "where box or points are given"),
        ({"foreground": "sam2", "points": []}, "at least one"),
        ({"foreground": "sam2", "points": [[1, 2, 3]]}, "for the background"),
        ({"foreground": "sam2", "subject": None, "caption": "[a dog] runs"}, "must be shown the foreground"),
        ({"caption": "[the horse] runs", "captioner": "blip"}, "leave one out"),
        ({"foreground": "magic"}, "choose one of"),
        ({"num_frames": 1}, "num_frames=1"),
        ({"cut_threshold": 0.5}, "cut_threshold=0.5"),
    ],
)
def test_what_cannot_be_prepared_is_refused_before_any_work(raw, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        prepare(replace(WANTED, **settings), raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_captioners_words_hold_the_subject_in_brackets(raw, tmp_path):
    folder = save_blip(tmp_path / "blip")
    wanted = replace(WANTED, captioner=str(folder))
    outcome = prepare(wanted, raw, tmp_path / "out")
    words = [verdict.record.words for verdict in outcome.verdicts]
    assert all(words)
    for row, said in zip(rows(tmp_path / "out"), words, strict=True):
        assert row["text"] == marked(said, "the horse")[0]
        assert "horse]" in row["text"]


def test_sam2_goes_the_whole_way_and_another_subject_is_another_search(tmp_path):
    write_mp4(tmp_path / "raw" / "square.mp4", make_frames(16, 64, 96), fps=8)
    model, detector = save_sam2(tmp_path / "sam2", seed=3), save_grounding_dino(tmp_path / "dino" / "model")
    wanted = Preparation(subject="the horse", model=str(model), detector=str(detector), num_frames=8, fps=8)
    outcome = prepare(wanted, tmp_path / "raw", tmp_path / "out")
    assert len(outcome.verdicts) == 2
    for verdict in outcome.verdicts:  # by random weights: something is found, and where it is told why not
        assert verdict.record.found or verdict.record.missing
        assert (tmp_path / "out" / "masks" / f"{verdict.record.name}.npz").exists() == verdict.record.found
    assert any(verdict.record.found for verdict in outcome.verdicts)
    with pytest.raises(UserError, match="subject=the horse"):
        prepare(replace(wanted, subject="a dog"), tmp_path / "raw", tmp_path / "out")
    points, caption = [[10, 20], [90, 60, 0]], "[a square] wanders"  # no words are looked for now
    shown = replace(wanted, detector=Preparation.detector, points=points, subject=None, caption=caption)
    assert len(prepare(shown, tmp_path / "raw", tmp_path / "pointed").verdicts) == 2
