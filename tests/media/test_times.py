"""Clips of every frame rate become windows of one, and files play as fast as what they show."""

import imageio_ffmpeg
import numpy as np
import pytest

from maskvid.errors import UserError
from maskvid.media.times import covered, evenly, following, frame_times, num_starts, shown_at, window
from tests.data.tiny import make_frames, make_masks, write_pictures


def film(path, count: int, fps: float, *options: str):
    """A video whose frame rate is `fps`, by FFmpeg."""
    frames = make_frames(count)
    writer = imageio_ffmpeg.write_frames(
        str(path), (48, 32), fps=fps, macro_block_size=1, output_params=["-crf", "12", *options]
    )
    writer.send(None)
    for frame in frames:
        writer.send(frame)
    writer.close()
    return path


@pytest.mark.parametrize("fps", [8, 12, 24000 / 1001, 29.97, 60])
def test_a_video_says_when_its_frames_are_shown(tmp_path, fps):
    path = film(tmp_path / "a.mp4", 30, fps)
    np.testing.assert_allclose(frame_times(path, 30), np.arange(30) / fps, atol=1e-3)
    assert frame_times(path, 30, fps=5)[1] == 0.2  # whoever knows better is believed


def test_a_variable_frame_rate_is_right_too(tmp_path):
    # Frames 10.. are shown twice as long.
    slow = [
        "-vf",
        "setpts='if(lt(N,10),N,10+2*(N-10))/(24*TB)'",
        "-fps_mode",
        "passthrough",
        "-video_track_timescale",
        "24000",
    ]
    times = frame_times(film(tmp_path / "a.mp4", 20, 24, *slow), 20)
    np.testing.assert_allclose(times[:11], np.arange(11) / 24, atol=2e-3)
    np.testing.assert_allclose(np.diff(times[10:]), 2 / 24, atol=2e-3)
    assert window(times, 0, 8, 12)[:5] == [0, 2, 4, 6, 8]
    assert window(times, 10, 5, 12) == [10, 11, 12, 13, 14]


def test_arrays_say_their_rate_and_pictures_do_not(tmp_path):
    np.savez(tmp_path / "a.npz", fps=12, masks=make_masks())
    np.savez(tmp_path / "b.npz", masks=make_masks())
    assert frame_times(tmp_path / "a.npz", 10)[3] == 0.25
    assert frame_times(tmp_path / "b.npz", 10) is None
    assert frame_times(write_pictures(tmp_path / "c", make_frames()), 10) is None
    np.savez(tmp_path / "d.npz", fps=0, masks=make_masks())
    with pytest.raises(UserError, match="d.npz: fps=0: give a positive number"):
        frame_times(tmp_path / "d.npz", 10)
    for rate in ([1, 2], "fast", True):
        np.savez(tmp_path / "d.npz", fps=rate, masks=make_masks())
        with pytest.raises(UserError, match=r"d\.npz: fps is no number"):
            frame_times(tmp_path / "d.npz", 10)


@pytest.mark.parametrize(("rate", "chosen"), [(4, [0, 1, 2]), (12, [0, 3, 6]), (24, [0, 6, 12]), (60, [0, 15, 30])])
def test_a_window_lasts_as_long_at_every_rate_of_its_clip(rate, chosen):
    times = evenly(40, rate)
    assert window(times, 0, 3, 4) == chosen
    assert num_starts(times, 3, 4) == 40 - chosen[-1]
    assert window(times, num_starts(times, 3, 4) - 1, 3, 4)[-1] == 39


def test_a_viewer_sees_the_frame_that_has_begun():
    assert shown_at(evenly(4, 10), np.array([0, 0.09, 0.1, 0.29, 9])).tolist() == [0, 0, 1, 2, 3]
    assert covered(evenly(24, 12), evenly(50, 4)) == 8
    assert covered(evenly(8, 4), evenly(50, 8)) == 16


def test_masks_of_another_rate_follow_and_masks_that_lack_frames_do_not():
    assert following(evenly(24, 12), evenly(8, 4)).tolist() == [i // 3 for i in range(24)]
    assert following(evenly(8, 4), evenly(24, 12)).tolist() == [3 * i for i in range(8)]
    assert following(evenly(24, 12), evenly(12, 4)) is None  # a second longer
    assert following(evenly(24, 12), evenly(23, 12)) is None  # one is missing, and nobody knows which
