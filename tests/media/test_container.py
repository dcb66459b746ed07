"""Videos are read as FFmpeg shows them, whatever their container says of them."""

import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from maskvid.errors import UserError
from maskvid.media import container, regular
from maskvid.media.container import open_video
from maskvid.media.frames import frame_count, iter_frames, measure

CASES = Path(__file__).parent / "cases"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SOURCE = ["-f", "lavfi", "-i", "mandelbrot=size=96x64:rate=12:start_scale=2"]
H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]


def ffmpeg(*arguments: str | Path) -> bytes:
    return subprocess.run([FFMPEG, "-y", "-v", "error", *map(str, arguments)], capture_output=True, check=True).stdout


def shown(path: Path, height: int, width: int, *filters: str) -> np.ndarray:
    """What FFmpeg shows, every frame once."""
    raw = ffmpeg("-i", path, *filters, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "plain.mp4"
    ffmpeg(*SOURCE, "-frames:v", 6, *H264, path)
    return path


WRITTEN = {
    "h264.mp4": H264,
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"],
    "hevc_10_bits.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le"],
    "prores.mov": ["-c:v", "prores_ks"],
    "ffv1.mkv": ["-c:v", "ffv1"],
    "vp8.webm": ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "4"],
    "vp8_alpha.webm": ["-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"],
    "vp9_alpha.webm": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-bf", "2"],
    "interlaced.mp4": [*H264, "-flags", "+ilme+ildct"],
    "variable_rate.mp4": ["-vf", "setpts=if(lt(N\\,3)\\,N\\,3*N-6)/(12*TB)", "-fps_mode", "passthrough", *H264],
    "fragments.mp4": [*H264, "-movflags", "frag_keyframe+empty_moov"],
    "colours_709.mp4": ["-vf", "scale=out_color_matrix=bt709", *H264, "-colorspace", "bt709"],
    "mpeg2.mpg": ["-c:v", "mpeg2video"],
    "h264.ts": H264,
    "av1.mkv": ["-c:v", "libsvtav1"],
    "moving.gif": [],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_codec_gives_the_pixels_that_ffmpeg_shows(tmp_path, name):
    ffmpeg(*SOURCE, "-frames:v", 6, *WRITTEN[name], tmp_path / name)
    frames, wanted = np.stack(list(iter_frames(tmp_path / name))), shown(tmp_path / name, 64, 96)
    assert measure(tmp_path / name) == (6, 64, 96)
    assert len(frames) == len(wanted) == frame_count(tmp_path / name) == 6
    np.testing.assert_array_equal(frames, wanted)


@pytest.mark.parametrize("turn", [["-display_rotation", "90"], ["-display_rotation", "180"],
                                  ["-display_rotation", "270"], ["-display_hflip"], ["-display_vflip"],
                                  ["-display_rotation", "90", "-display_hflip"],
                                  ["-display_rotation", "270", "-display_hflip"]])  # fmt: skip
def test_a_display_matrix_turns_and_mirrors(plain, tmp_path, turn):
    path = tmp_path / "turned.mp4"
    ffmpeg(*turn, "-i", plain, "-c", "copy", path)
    size = (96, 64) if turn[-1] in ("90", "270") or len(turn) == 3 else (64, 96)
    assert open_video(path).size == size
    np.testing.assert_array_equal(np.stack(list(iter_frames(path))), shown(path, *size))


def test_an_odd_angle_is_refused_by_its_number(plain, tmp_path):
    ffmpeg("-display_rotation", "30", "-i", plain, "-c", "copy", tmp_path / "a.mp4")
    with pytest.raises(UserError, match="turned by 330 degrees"):
        open_video(tmp_path / "a.mp4")


def test_two_streams_and_a_cover_are_one_film(plain, tmp_path):
    ffmpeg("-i", plain, "-frames:v", 1, tmp_path / "cover.png")
    ffmpeg("-i", tmp_path / "cover.png", "-i", plain, "-map", 0, "-map", 1, "-c:v:0", "png", "-c:v:1", "copy",
           "-disposition:v:0", "attached_pic", tmp_path / "a.mp4")  # fmt: skip
    np.testing.assert_array_equal(np.stack(list(iter_frames(tmp_path / "a.mp4"))), shown(plain, 64, 96))


@pytest.mark.parametrize("width", [16, 24, 50, 62, 72])
def test_widths_that_decord_takes_for_channels(tmp_path, width):
    ffmpeg(*SOURCE, "-frames:v", 2, "-vf", f"scale={width}:32,setsar=1", *H264, tmp_path / "a.mp4")
    np.testing.assert_array_equal(np.stack(list(iter_frames(tmp_path / "a.mp4"))), shown(tmp_path / "a.mp4", 32, width))


def test_frames_that_an_edit_list_hides_are_not_shown():
    frames = np.stack(list(iter_frames(CASES / "01_lossless_cut.mp4")))
    np.testing.assert_array_equal(frames, shown(CASES / "01_lossless_cut.mp4", 64, 96))
    assert len(frames) == len(open_video(CASES / "01_lossless_cut.mp4").times) == 26


def test_pixels_that_are_not_square_are_shown_as_wide_as_a_player_does():
    path = CASES / "02_pixel_aspect_4_3.mp4"
    frames = np.stack(list(iter_frames(path)))
    assert frames.shape == (16, 64, 128, 3)
    np.testing.assert_array_equal(frames, shown(path, 64, 128, "-vf", "scale=128:64"))


def clean_aperture(path: Path, numbers: tuple[int, ...]) -> Path:
    """Put a `clap` box of width, height and shift of the centre, all fractions, into an mp4 whose index stands last."""
    data, places, start, end = path.read_bytes(), [], 0, path.stat().st_size
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        while data[start + 4 : start + 8] != kind:
            start += struct.unpack_from(">I", data, start)[0]
        places.append(start)
        end = start + struct.unpack_from(">I", data, start)[0]
        start += 16 if kind == b"stsd" else 8
    box = struct.pack(">I4s8i", 40, b"clap", *numbers)
    grown = bytearray(data[:end] + box + data[end:])
    for place in places:
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + len(box))
    cut = path.with_name("cut_out.mp4")
    cut.write_bytes(grown)
    return cut


def test_what_the_container_cuts_off_is_not_shown(plain):
    path = clean_aperture(plain, (64, 1, 48, 1, 6, 1, -4, 1))
    assert measure(path) == (6, 48, 64)
    frames = np.stack(list(iter_frames(path)))
    np.testing.assert_array_equal(frames, shown(path, 48, 64))
    np.testing.assert_array_equal(frames, shown(plain, 64, 96)[:, 4:52, 22:86])


@pytest.mark.parametrize("name", ["17_av1.mp4", "18_moving.gif"])
def test_what_decord_does_not_open(name):
    assert len(list(iter_frames(CASES / name))) == frame_count(CASES / name) == 16


def test_what_decord_reads_rightly_it_still_reads(plain):
    assert open_video(plain).plain
    assert not any(open_video(path).plain for path in CASES.glob("*.mp4"))


def test_a_long_clip_is_not_given_to_decord_which_would_hold_it_whole(plain, monkeypatch):
    frames = list(iter_frames(plain))
    monkeypatch.setattr(container, "DECORDS_SHARE", 5 * 64 * 96 * 3)
    container._surveyed.cache_clear()
    assert not open_video(plain).plain
    np.testing.assert_array_equal(list(iter_frames(plain)), frames)
    container._surveyed.cache_clear()


def test_a_file_that_changes_is_looked_at_anew(plain, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(plain.read_bytes())
    assert open_video(path).count == 6
    ffmpeg(*SOURCE, "-frames:v", 3, *H264, path)
    assert open_video(path).count == 3


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_cut_file_is_a_sentence(plain, tmp_path, share):
    data = plain.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"unreadable video .*cut\.mp4"):
        list(iter_frames(tmp_path / "cut.mp4"))


@pytest.mark.parametrize(("name", "options"), [("index_first.mp4", ["-movflags", "+faststart"]), ("a.avi", [])])
def test_a_file_that_ends_too_early_names_the_frame(tmp_path, name, options):
    ffmpeg(*SOURCE, "-frames:v", 6, *H264, *options, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(0.7 * len(data))])
    with pytest.raises(UserError, match=rf"unreadable video .*{name}: frame [0-5]: "):
        open_video(tmp_path / name)


def test_sizes_that_nobody_has_memory_for(tmp_path):
    ffmpeg(*SOURCE, "-frames:v", 3, tmp_path / "a.gif")
    data = bytearray((tmp_path / "a.gif").read_bytes())
    data[6:10] = b"\xff" * 4
    (tmp_path / "a.gif").write_bytes(data)
    with pytest.raises(UserError, match=r"unreadable video .*a\.gif: "):
        open_video(tmp_path / "a.gif")
    ffmpeg("-f", "lavfi", "-i", "color=size=9000x8000:rate=1", "-frames:v", 1, "-c:v", "png", tmp_path / "b.mov")
    with pytest.raises(UserError, match=r"unreadable video .*b\.mov: "):
        open_video(tmp_path / "b.mov")


def test_a_film_that_changes_its_size_is_refused(tmp_path):
    for name, size in (("a", "96x64"), ("b", "48x32")):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=12", "-frames:v", 6, *H264, tmp_path / f"{name}.h264")
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    with pytest.raises(UserError, match=r"c\.ts: frame 6: it is 48x32, the first 96x64"):
        open_video(tmp_path / "c.ts")


def test_text_pictures_and_sound_are_no_videos(tmp_path):
    (tmp_path / "a.mp4").write_text("no video at all\n" * 100)
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", tmp_path / "b.mp4")
    for name, reason in (("a.mp4", "Invalid data"), ("b.mp4", "no pictures, only audio")):
        with pytest.raises(UserError, match=rf"unreadable video .*{name}.*{reason}"):
            list(iter_frames(tmp_path / name))


def test_what_waits_or_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.mp4"))
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    for name, kind in (("pipe", "pipe"), ("s", "socket"), ("zero", "device"), ("loop", "symbolic links")):
        with pytest.raises(UserError, match=rf"{name}\.mp4.*{kind}"):
            open_video(tmp_path / f"{name}.mp4")
    with pytest.raises(UserError, match="missing file: .*http:/nowhere"):
        open_video(Path("http://nowhere/a.mp4"))


def test_a_disk_that_never_answers_does_not_hang(plain, monkeypatch):
    answer = threading.Event()
    look = os.stat
    monkeypatch.setattr(regular, "PATIENCE", 0.05)
    monkeypatch.setattr(os, "stat", lambda path, **options: (answer.wait(20), look(path, **options))[1])
    with pytest.raises(UserError, match=r"plain\.mp4: its disk has not answered for 0\.05 seconds"):
        next(iter_frames(plain))
    answer.set()


@pytest.mark.parametrize(("codec", "suffix"), [(H264, ".mp4"), (["-c:v", "mpeg4"], ".avi")])
def test_damage_in_the_middle_names_the_frame(tmp_path, capfd, codec, suffix):
    """decord alone would give the frame as best it can, and say nothing."""
    path = tmp_path / f"a{suffix}"
    ffmpeg(*SOURCE, "-frames:v", 24, *codec, path)
    data = bytearray(path.read_bytes())
    start = len(data) * 2 // 5
    data[start : start + 300] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"unreadable video .*a\.\w+: frame \d+: .*(damaged|Invalid data)"):
        open_video(path)
    assert capfd.readouterr() == ("", "")
