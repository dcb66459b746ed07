import numpy as np
import pytest

from maskvid.data.checked import check_sets, enforce
from maskvid.errors import UserError
from maskvid.media.times import window
from maskvid.settings import Requirements
from tests.data.tiny import FRAMES, make_frames, make_masks, write_mp4, write_pictures, write_triple

NEEDS = Requirements(height=16, width=24, num_frames=4, fps=8 / 3)


def unreadable_video(folder):
    (folder / "bad.mp4").write_bytes(b"no video")


def missing_video(folder):
    (folder / "bad.mp4").unlink()


def broken_picture_mask(folder):
    (folder / "bad.npz").write_bytes(b"no archive")


def too_short(folder):
    write_mp4(folder / "bad.mp4", make_frames(9))
    np.savez(folder / "bad.npz", masks=make_masks(9))


def other_count(folder):
    np.savez(folder / "bad.npz", masks=make_masks(FRAMES + 1))


def other_size(folder):
    np.savez(folder / "bad.npz", masks=make_masks(FRAMES, 24, 24))


def empty(folder):
    np.savez(folder / "bad.npz", masks=make_masks() * 0)


def inverted(folder):
    np.savez(folder / "bad.npz", masks=255 - make_masks())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (unreadable_video, "unreadable video"),
        (missing_video, "missing file"),
        (broken_picture_mask, "unreadable npz"),
        (
            too_short,
            "too short: 9 frames, whose last is shown 1 s after the first, but num_frames=4 at data.fps=2.66667 needs",
        ),
        (other_count, "frame-count mismatch: video has 10 frames over 1.12 s"),
        (other_size, "shape mismatch: video is 48x32"),
        (empty, "empty mask"),
        (inverted, "inverted mask"),
    ],
)
def test_files_that_do_not_pass(tmp_path, spoil, words):
    write_triple(tmp_path, "good")
    write_triple(tmp_path, "bad")
    spoil(tmp_path)
    report = check_sets({"train": [tmp_path]}, NEEDS)
    assert [clip.triple.id for clip in report.accepted["train"]] == ["good"]
    (rejected,) = report.rejected["train"]
    assert len(rejected.reasons) == 1, rejected.reasons
    assert words in rejected.reasons[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": None}, "no caption"),
        ({"text": "  "}, "no caption"),
        ({"mask": None}, "no mask"),
        ({"mask": "elsewhere.npz"}, "missing file"),
        ({"subject": "a cat", "text": "a caterpillar crawls"}, "subject 'a cat' is not in the caption"),
        ({"text": "[a square meets [a disc"}, "unbalanced brackets"),
        ({"text": "[a square] meets [a disc]"}, "marks 2 subjects"),
        ({"text": "[ ] wanders"}, "empty brackets"),
        ({"subject": "a square", "text": "a square meets a square"}, "stands 2 times"),
        ({"subject": "a disc", "text": "[a square] meets a disc"}, "another subject"),
    ],
)
def test_rows_that_do_not_pass(tmp_path, row, words):
    write_triple(tmp_path, "bad", **row)
    (rejected,) = check_sets({"train": [tmp_path]}, NEEDS).rejected["train"]
    assert len(rejected.reasons) == 1, rejected.reasons
    assert words in rejected.reasons[0]


def test_a_frame_folder_with_two_sizes_is_unreadable(tmp_path):
    write_triple(tmp_path, "a", file_name="frames")
    write_pictures(tmp_path / "frames", make_frames())
    write_pictures(tmp_path / "odd", make_frames(1, 16, 24))
    (tmp_path / "odd" / "0.png").rename(tmp_path / "frames" / "7.png")
    (rejected,) = check_sets({"train": [tmp_path]}, NEEDS).rejected["train"]
    assert "every frame of a clip must have one size" in rejected.reasons[0]


def test_every_reason_of_a_clip_is_listed(tmp_path):
    write_triple(tmp_path, "bad", text=None)
    unreadable_video(tmp_path)
    inverted(tmp_path)
    (rejected,) = check_sets({"train": [tmp_path]}, NEEDS).rejected["train"]
    assert len(rejected.reasons) == 3


def test_error_and_skip(tmp_path):
    write_triple(tmp_path, "good")
    write_triple(tmp_path, "bad", text=None)
    write_triple(tmp_path, "worse", mask="elsewhere.npz")
    report = check_sets({"train": [tmp_path]}, NEEDS)
    with pytest.raises(UserError, match=r"(?s)2 clips rejected.*train/bad.*no caption.*train/worse.*missing file"):
        enforce(report, "error")
    with pytest.warns(UserWarning, match=r"(?s)2 clips rejected.*train/bad.*train/worse"):
        enforce(report, "skip")
    with pytest.raises(UserError, match="on_reject='drop'"):
        enforce(report, "drop")  # type: ignore[arg-type]


def test_a_set_without_any_usable_clip_stops_even_when_skipping(tmp_path):
    write_triple(tmp_path, "bad", text=None)
    report = check_sets({"horse": [tmp_path]}, NEEDS)
    with pytest.warns(UserWarning, match="rejected"), pytest.raises(UserError, match="horse has no usable clip"):
        enforce(report, "skip")


def test_a_good_report_passes_silently(tmp_path, recwarn):
    write_triple(tmp_path, "good")
    enforce(check_sets({"train": [tmp_path]}, NEEDS), "error")
    assert not recwarn.list


def test_the_report_prints_every_clip(tmp_path):
    write_triple(tmp_path, "good")
    write_triple(tmp_path, "bad", text="[open")
    text = str(check_sets({"train": [tmp_path]}, NEEDS))
    assert "1 clips accepted, 1 rejected" in text
    assert "a square wanders, good" in text
    assert "caption='[open': unbalanced brackets" in text


def test_one_id_in_two_folders_of_a_set(tmp_path):
    for name in ("x", "y"):
        write_triple(tmp_path / name, "same")
    with pytest.raises(UserError, match="clip id 'same'"):
        check_sets({"train": [tmp_path / "x", tmp_path / "y"]}, NEEDS)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"num_frames": 0},
        {"fps": -1.0},
        {"fps": float("nan")},
        {"folder_fps": 0.0},
        {"max_foreground": 0.0},
    ],
)
def test_impossible_requirements(change):
    with pytest.raises(UserError, match=f"data.{next(iter(change))}"):
        Requirements(**{"height": 16, "width": 24, "num_frames": 4, "fps": 8.0, **change})


def test_clips_of_other_rates_pass_and_their_windows_last_as_long(tmp_path):
    """A clip of twice the rate has twice the frames, and one that shows too few frames a second is refused."""
    for name, count, fps in (("slow", 10, 8), ("fast", 20, 16), ("slower", 10, 2)):
        write_triple(tmp_path, name, fps=fps)
        write_mp4(tmp_path / f"{name}.mp4", make_frames(count))
        np.savez(tmp_path / f"{name}.npz", masks=make_masks(count))
    report = check_sets({"train": [tmp_path]}, NEEDS)
    slow, fast = report.accepted["train"]
    assert window(slow.times, 0, 4, NEEDS.fps) == [0, 3, 6, 9]
    assert window(fast.times, 0, 4, NEEDS.fps) == [0, 6, 12, 18]
    (rejected,) = report.rejected["train"]
    assert "too few frames a second: 2, so that at data.fps=2.66667 a window would repeat" in rejected.reasons[0]


def test_masks_at_another_rate_follow_the_video(tmp_path):
    write_triple(tmp_path, "a", mask="a.mask.mp4")
    write_mp4(tmp_path / "a.mask.mp4", make_masks()[::2], fps=4)
    (clip,) = check_sets({"train": [tmp_path]}, NEEDS).accepted["train"]
    assert len(clip.masks) == FRAMES
    assert np.array_equal(clip.masks[0], clip.masks[1])
    assert not np.array_equal(clip.masks[1], clip.masks[2])


def test_masks_of_a_rate_that_is_none_are_a_reason_and_stop_no_other_clip(tmp_path):
    write_triple(tmp_path, "good")
    write_triple(tmp_path, "bad")
    np.savez(tmp_path / "bad.npz", masks=make_masks(5), fps=[1, 2])
    report = check_sets({"train": [tmp_path]}, NEEDS)
    assert [clip.triple.id for clip in report.accepted["train"]] == ["good"]
    (rejected,) = report.rejected["train"]
    assert "fps is no number" in rejected.reasons[0]


@pytest.mark.parametrize("fps", ["fast", 0, -1, True])
def test_a_rate_that_is_none_is_a_reason(tmp_path, fps):
    write_triple(tmp_path, "a", fps=fps)
    (rejected,) = check_sets({"train": [tmp_path]}, NEEDS).rejected["train"]
    assert rejected.reasons == (f"fps={fps!r} is no positive number of frames a second",)
