import os

import pytest

from maskvid.errors import UserError
from maskvid.files import file_name
from maskvid.footage.sources import SETTINGS, find_sources
from tests.data.tiny import make_frames, write_pictures


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_videos_and_picture_folders_at_any_depth(tmp_path):
    touch(tmp_path / "b.MOV", tmp_path / "a.mp4", tmp_path / "day 1" / "a.flv", tmp_path / ".hidden.mp4")
    touch(tmp_path / "__MACOSX" / "x.mp4", tmp_path / "notes.txt")
    write_pictures(tmp_path / "day 1" / "stills", make_frames(2))
    sources, left_out = find_sources(tmp_path)
    assert [source.label for source in sources] == ["a.mp4", "b.MOV", "day 1/a.flv", "day 1/stills"]
    assert [source.name for source in sources][:2] == ["a", "b"]
    assert all(file_name(source.name) == source.name for source in sources)
    assert left_out == [".: 1 files are neither videos nor pictures"]


def test_names_stay_apart(tmp_path):
    touch(
        tmp_path / "a.mp4", tmp_path / "a.mov", tmp_path / "x" / "y.mp4", tmp_path / "x_y.mp4", tmp_path / "<b>'\".mp4"
    )
    names = [source.name for source in find_sources(tmp_path)[0]]
    assert len({name.lower() for name in names}) == 5
    assert not any(set(name) & set("<>'\"/ ") for name in names)


def test_one_file_is_looked_into_whatever_its_name(tmp_path):
    touch(tmp_path / "clip.weird")
    assert [source.name for source in find_sources(tmp_path / "clip.weird")[0]] == ["clip"]


def test_a_folder_of_pictures_is_a_clip_itself(tmp_path):
    write_pictures(tmp_path / "shots", make_frames(2))
    [source], left_out = find_sources(tmp_path / "shots")
    assert (source.name, source.label, left_out) == ("shots", "shots", [])
    touch(tmp_path / "shots" / "a.mp4")
    [source], left_out = find_sources(tmp_path / "shots")
    assert source.label == "a.mp4"
    assert "2 pictures lie beside videos" in left_out[0]


def test_what_was_written_here_is_no_source(tmp_path):
    touch(tmp_path / "a.mp4", tmp_path / "made" / SETTINGS, tmp_path / "made" / "videos" / "a.mp4")
    sources, left_out = find_sources(tmp_path)
    assert [source.label for source in sources] == ["a.mp4"]
    assert left_out == ["made: it was written by maskvid.prepare"]


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(UserError, match="missing file"):
        find_sources(tmp_path / "nowhere")
    touch(tmp_path / "a.txt")
    with pytest.raises(UserError, match="no clips are in it"):
        find_sources(tmp_path)
    write_pictures(tmp_path / "p", make_frames(1))
    with pytest.raises(UserError, match="one picture"):
        find_sources(tmp_path / "p" / "0.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe"):
        find_sources(tmp_path / "pipe")
