import numpy as np
import pytest
import torch
from PIL import Image

from maskvid.errors import UserError
from maskvid.masks.faults import mask_faults
from maskvid.masks.read import iter_masks
from maskvid.masks.video import read_masks
from maskvid.media.frames import frame_count, iter_frames
from maskvid.media.resample import resize_crop
from maskvid.media.times import evenly
from tests.data.tiny import make_frames, make_masks, write_mp4, write_pictures


def test_every_source_of_masks_reads_the_same(tmp_path):
    masks = make_masks()
    np.savez(tmp_path / "bytes.npz", masks=masks)
    np.savez(tmp_path / "zero_one.npz", masks=(masks // 255))
    np.savez(tmp_path / "floats.npz", other=(masks / 255.0).astype(np.float32)[:, None])
    np.savez(tmp_path / "bools.npz", masks=masks > 0)
    write_pictures(tmp_path / "grey", masks)
    write_pictures(tmp_path / "ones", masks // 255)
    write_pictures(tmp_path / "deep", masks.astype(np.uint16) * 257)
    for source in ["bytes.npz", "zero_one.npz", "floats.npz", "bools.npz", "grey", "ones", "deep"]:
        np.testing.assert_array_equal(np.stack(list(iter_masks(tmp_path / source))), masks, err_msg=source)


def test_palette_pictures_hold_object_numbers(tmp_path):
    for index, mask in enumerate(make_masks(3)):
        picture = Image.fromarray(np.where(mask > 0, 2, 0).astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        (tmp_path / "m").mkdir(exist_ok=True)
        picture.save(tmp_path / "m" / f"{index:05d}.png")
    np.testing.assert_array_equal(np.stack(list(iter_masks(tmp_path / "m"))), make_masks(3))


def test_a_compressed_mask_is_clean_away_from_its_edges(tmp_path):
    masks = make_masks(6, 64, 96)
    read = np.stack(list(iter_masks(write_mp4(tmp_path / "m.mp4", masks))))
    assert ((read > 127) == (masks > 127)).mean() > 0.995
    assert (read[:, 48:] == 0).all()


def test_numeric_order_of_pictures(tmp_path):
    frames = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(12)])
    read = np.stack(list(iter_frames(write_pictures(tmp_path / "f", frames))))
    np.testing.assert_array_equal(read, frames)


def test_a_decoded_video_equals_its_frames_within_the_codec(tmp_path):
    frames = make_frames(6, 64, 96)
    path = write_mp4(tmp_path / "v.mp4", frames)
    read = np.stack(list(iter_frames(path)))
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).mean() < 4
    assert (frame_count(path), *next(iter_frames(path)).shape[:2]) == (6, 64, 96)


@pytest.mark.parametrize("width", [16, 20, 48, 50, 72, 200])
def test_narrow_videos_decode_to_three_channels(tmp_path, width):
    frames = make_frames(2, 32, width)
    read = np.stack(list(iter_frames(write_mp4(tmp_path / "v.mp4", frames))))
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).mean() < 4


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_video_is_unreadable(tmp_path, keep):
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 96, 3), np.uint8)
    path = write_mp4(tmp_path / "v.mp4", noise)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(UserError, match="unreadable video"):
        list(iter_frames(path))


def test_a_broken_npz_is_a_clear_error(tmp_path):
    np.savez(tmp_path / "m.npz", masks=make_masks())
    whole = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="unreadable npz"):
        list(iter_masks(tmp_path / "m.npz"))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 8)), "expected masks of shape"),
        (np.full((2, 8, 8), np.nan), "expected 0 to 1"),
        (np.full((2, 8, 8), -1.0), "expected 0 to 1"),
        (np.full((2, 8, 8), 300), "expected 0 to 1"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path, array, words):
    np.savez(tmp_path / "m.npz", masks=array)
    with pytest.raises(UserError, match=words):
        list(iter_masks(tmp_path / "m.npz"))


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "m.npz", masks=np.array([{"code": 1}], dtype=object))
    with pytest.raises(UserError, match="objects, which are never unpickled"):
        list(iter_masks(tmp_path / "m.npz"))


def test_resize_crop_keeps_the_aspect_ratio():
    rows, columns = np.mgrid[:200, :400]
    disc = (((rows - 100) ** 2 + (columns - 200) ** 2) < 60**2).astype(np.uint8) * 255
    for height, width in [(64, 96), (96, 64), (64, 64)]:
        small = resize_crop(disc, height, width) > 127
        tall, wide = small.any(1).sum(), small.any(0).sum()
        assert small.shape == (height, width)
        assert abs(int(tall) - int(wide)) <= 1, (height, width)


def test_faults_name_empty_and_inverted_masks():
    masks = make_masks()
    assert mask_faults(masks) == []
    assert "empty mask: 10 of 10" in mask_faults(np.zeros_like(masks))[0]
    assert "inverted mask" in mask_faults(255 - masks)[0]
    half = masks.copy()
    half[:5] = 0
    assert mask_faults(half) == []
    half[5] = 0
    assert "6 of 10" in mask_faults(half)[0]
    assert mask_faults(255 - masks, max_foreground=1) == []


def test_a_large_foreground_inside_a_frame_of_ground_is_not_inverted():
    masks = np.zeros((4, 40, 40), np.uint8)
    masks[:, 4:36, 4:36] = 255
    assert mask_faults(masks) == []
    ring = 255 - masks
    ring[:, 12:28, 12:28] = 255
    ring[:, 2:38, 2:20] = 255
    assert "border" in mask_faults(ring)[0]


def test_masks_for_generation(tmp_path):
    np.savez(tmp_path / "m.npz", masks=make_masks(), fps=12.0)
    masks = read_masks(tmp_path / "m.npz", evenly(3, 4), 16, 24)
    assert masks.shape == (3, 1, 16, 24)
    assert masks.dtype == torch.float32
    assert (masks.min(), masks.max()) == (0, 1)
    np.testing.assert_array_equal(masks[1, 0], resize_crop(make_masks()[3], 16, 24) / np.float32(255))
    with pytest.warns(UserWarning, match="beyond the video's are not used"):
        assert len(read_masks(tmp_path / "m.npz", evenly(2, 4), 16, 24)) == 2
    with pytest.raises(UserError, match=r"10 frames at 12 a second, enough for 4 of the 5 asked for"):
        read_masks(tmp_path / "m.npz", evenly(5, 4), 16, 24)
    assert len(read_masks(tmp_path / "m.npz", evenly(10, 4), 16, 24, mask_fps=4)) == 10


def test_masks_that_do_not_say_their_rate_stand_for_a_frame_each(tmp_path):
    np.savez(tmp_path / "m.npz", masks=make_masks())
    for fps in (4, 30):
        masks = read_masks(tmp_path / "m.npz", evenly(10, fps), 32, 48)
        np.testing.assert_array_equal(masks[:, 0].mul(255).byte(), make_masks())
    with pytest.raises(UserError, match="enough for 10 of the 11"):
        read_masks(tmp_path / "m.npz", evenly(11, 4), 32, 48)


def test_masks_of_a_clip_belong_to_its_frames(tmp_path):
    np.savez(tmp_path / "m.npz", masks=make_masks())
    clock = evenly(10, 30)
    masks = read_masks(tmp_path / "m.npz", evenly(3, 10), 32, 48, clock=clock)
    np.testing.assert_array_equal(masks[:, 0].mul(255).byte(), make_masks()[::3][:3])
    video = write_mp4(tmp_path / "m.mp4", make_masks())  # as many masks as frames, whatever rate the writer noted
    assert len(read_masks(video, clock, 32, 48, clock=clock)) == 10
    with pytest.raises(UserError, match="does not say its frame rate; give mask_fps"):
        read_masks(tmp_path / "m.npz", evenly(3, 10), 32, 48, clock=evenly(20, 30))


def test_slow_masks_are_held_and_that_is_said(tmp_path):
    video = write_mp4(tmp_path / "m.mp4", make_masks())
    with pytest.warns(UserWarning, match="held for several frames"):
        masks = read_masks(video, evenly(20, 16), 32, 48)
    assert torch.equal(masks[::2], masks[1::2])


def test_one_picture_is_held_for_all_frames(tmp_path):
    Image.fromarray(make_masks(1)[0]).save(tmp_path / "m.png")
    masks = read_masks(tmp_path / "m.png", evenly(5, 4), 32, 48)
    assert masks.shape == (5, 1, 32, 48)
    assert (masks == masks[0]).all()


@pytest.mark.parametrize("polarity", ["empty", "inverted"])
def test_bad_masks_for_generation(tmp_path, polarity):
    masks = make_masks() * 0 if polarity == "empty" else 255 - make_masks()
    np.savez(tmp_path / "m.npz", masks=masks)
    with pytest.raises(UserError, match=f"{polarity} mask"):
        read_masks(tmp_path / "m.npz", evenly(4, 4), 32, 48)
    with pytest.raises(UserError, match="missing file"):
        read_masks(tmp_path / "other.npz", evenly(4, 4), 32, 48)
