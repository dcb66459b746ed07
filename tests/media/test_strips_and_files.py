import errno

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from maskvid.clip import Sample
from maskvid.errors import UserError
from maskvid.media.decode import decode_frames
from maskvid.media.strips import MARGIN, contact_sheet, outline, sample_sheet, spaced, strip
from maskvid.media.writing import to_uint8, viewable_scale, write_png, write_video


def ramp(count: int = 5, height: int = 16, width: int = 24) -> torch.Tensor:
    """Frames of one colour each, from black to white."""
    return torch.linspace(-1, 1, count).reshape(-1, 1, 1, 1).expand(-1, 3, height, width).clone()


def read_mp4(path) -> np.ndarray:
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]), meta


def test_mp4_holds_the_frames_in_order(tmp_path):
    frames = ramp()
    pixels, meta = read_mp4(write_video(tmp_path / "deep" / "a.mp4", frames, fps=5, scale=2))
    assert pixels.shape == (5, 32, 48, 3)
    assert meta["fps"] == 5
    assert "yuv420p" in meta["pix_fmt"]
    want = to_uint8(frames)[:, 0, 0, 0].astype(float)
    assert np.abs(pixels.mean((1, 2, 3)) - want).max() < 3


def test_small_videos_are_enlarged_and_odd_sides_padded_not_stretched(tmp_path):
    assert viewable_scale(64, 96) == 4
    assert viewable_scale(320, 512) == 1
    assert read_mp4(write_video(tmp_path / "a.mp4", ramp(3, 15, 21), 8, scale=1))[0].shape == (3, 16, 22, 3)
    assert read_mp4(write_video(tmp_path / "b.mp4", ramp(2, 64, 96), 8))[0].shape == (2, 256, 384, 3)


def test_gif(tmp_path):
    with Image.open(write_video(tmp_path / "a.gif", ramp(4), fps=10, scale=1)) as image:
        assert image.n_frames == 4
        assert image.info["duration"] == 100
        image.seek(3)
        assert np.asarray(image.convert("RGB")).min() == 255


@pytest.mark.parametrize("fps", [8, 12, 24, 50])
def test_a_gif_keeps_every_frame_and_its_time(fps, tmp_path):
    """Frames that equal each other are not joined, and what is not a hundredth of a second adds up."""
    frames = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).mul(2).sub(1).repeat(9, 1, 1, 1)
    frames[4] *= -1
    path = write_video(tmp_path / "a.gif", frames, fps=fps, scale=1)
    with av.open(str(path)) as container:
        shown = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, np.arange(9) / fps, atol=0.0101)
    read = decode_frames(path, 24, 32)
    error = np.abs(read.astype(int) - to_uint8(frames)).mean((1, 2, 3))
    assert error.max() < 12  # noise has 768 colours, and 256 are written


def test_a_gif_of_more_frames_a_second_than_players_show_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"fps is 60.*at 50 at most; write an \.mp4"):
        write_video(tmp_path / "a.gif", ramp(4), fps=60)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", ramp(), 8, scale=1)
    before = path.read_bytes()

    def broken(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("maskvid.media.writing.av.open", broken)
    with pytest.raises(UserError, match=r"cannot write .*a\.mp4: No space left on device; free some space"):
        write_video(path, -ramp(), 8, scale=1)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "frames", "word"),
    [
        ("a.avi", ramp(), "suffix"),
        ("a.mp4", torch.zeros(2, 1, 8, 8), "shape"),
        ("a.mp4", torch.zeros(0, 3, 8, 8), "f >= 1"),
    ],
)
def test_refusals(tmp_path, name, frames, word):
    with pytest.raises(UserError, match=word):
        write_video(tmp_path / name, frames, 8)


def test_outline_is_thin_and_follows_the_edge():
    mask = np.zeros((16, 16), np.float32)
    mask[4:12, 4:12] = 1
    drawn = outline(np.full((16, 16, 3), 128, np.uint8), mask, scale=8)
    changed = (drawn != 128).any(-1)
    rows, columns = np.nonzero(changed)
    assert abs(rows.min() - 32) <= 5
    assert abs(columns.max() - 95) <= 5
    assert not changed[48:80, 48:80].any()  # an outline, not a filling
    assert changed[64].sum() <= 10  # two crossings, each thinner than one pixel of the frame
    assert (drawn.max(-1) > 200).any()
    assert (drawn.max(-1) < 60).any()


def test_strip_shows_evenly_spaced_frames_with_masks():
    assert spaced(16, 8)[0] == 0
    assert spaced(16, 8)[-1] == 15
    bare = strip(ramp(5), columns=3, scale=1)
    assert bare.shape == (16, 3 * 24 + 2 * MARGIN, 3)
    assert [bare[8, x, 0] for x in (5, 33, 61)] == [0, 128, 255]
    masks = torch.zeros(5, 1, 16, 24)
    masks[:, :, 4:12, 6:18] = 1
    assert (strip(ramp(5), masks, columns=None, scale=1) != strip(ramp(5), columns=None, scale=1)).any()
    with pytest.raises(UserError, match="masks"):
        strip(ramp(5), masks[:4])


def test_contact_sheet_keeps_every_row(tmp_path):
    red, blue = np.zeros((10, 30, 3), np.uint8), np.zeros((12, 50, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = contact_sheet([("red", red), ("a much longer label than the image", blue)])
    assert (sheet == [255, 0, 0]).all(-1).sum() == 300
    assert (sheet == [0, 0, 255]).all(-1).sum() == 600
    path = write_png(tmp_path / "sheet.png", sheet)
    assert (np.asarray(Image.open(path)) == sheet).all()


@pytest.mark.parametrize("known", [True, False])
def test_sample_sheet_has_two_rows(known):
    masks = torch.zeros(5, 1, 16, 24)
    masks[:, :, 4:12, 6:18] = 1
    sample = Sample("heldout", "a", "a horse", ramp(), masks, ramp() if known else None)
    sheet = sample_sheet(sample, columns=5, scale=2)
    assert sheet.shape[0] > 2 * 32
    assert sheet.shape[1] >= 5 * 48 + 4 * MARGIN
