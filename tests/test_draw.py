"""`python -m maskvid.draw`, as people type it."""

import sys

import hydra
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from maskvid import entry
from maskvid.config import CONF, register
from maskvid.draw import draw
from maskvid.errors import UserError
from maskvid.masks.draw import draw_masks, read_drawing
from maskvid.masks.read import iter_masks
from maskvid.media.frames import measure
from tests.data.tiny import write_mp4, write_pictures

TEXT = "text=a horse enters left, trots to the middle, stops; a ball rolls across"
SMALL = ["height=32", "width=48", "fps=4"]


def asked(*arguments):
    register()
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("draw", entry.quote_values(list(arguments)))


@pytest.fixture
def motion(tmp_path):
    path = tmp_path / "motion.yaml"
    path.write_text("frames: 6\nfps: 4\nsize: [32, 48]\nobjects:\n  - {shape: dog, keys: [{at: 0, x: 0.5, y: 0.9}]}\n")
    return path


@pytest.mark.parametrize("kind", ["npz", "mp4", "png", "davis"])
def test_every_form_reads_back_as_it_was_drawn(tmp_path, kind, capsys):
    written = draw(asked(TEXT, *SMALL, f"out={tmp_path}", f"format={kind}"))
    masks, strip, preview, page, drawing = written
    assert page.suffix == ".html"
    want = draw_masks(read_drawing(drawing))
    found = np.stack(list(iter_masks(masks)))
    assert found.shape == want.shape
    if kind in ("npz", "png"):
        np.testing.assert_array_equal(found, want)
    else:
        want = np.where(want >= 128, 255, 0) if kind == "davis" else want  # object numbers know no edges in between
        assert (np.abs(found.astype(int) - want) > 60).mean() < 0.002
    assert measure(preview)[0] == len(want)
    assert Image.open(strip).height >= 32
    if kind == "davis":
        assert masks.parent.name == "Annotations"
        numbers = np.stack([np.asarray(Image.open(one)) for one in sorted(masks.iterdir())])
        assert set(np.unique(numbers)) == {0, 1, 2}
        second = np.stack(list(iter_masks(masks, objects=[2])))
        np.testing.assert_array_equal(second > 0, numbers == 2)
    if kind == "npz":
        assert np.load(masks)["masks"].shape[1] == 2
        assert np.load(masks)["fps"] == 4


def test_a_drawing_may_be_named_alone_and_nothing_is_replaced_unasked(tmp_path, motion, monkeypatch, capsys):
    def main():
        with initialize_config_dir(CONF, version_base="1.3"):
            config = compose("draw", sys.argv[1:])
        for path in draw(config):
            print(path.name)

    hydra.core.global_hydra.GlobalHydra.instance().clear()
    for want in (["motion.npz", "motion.png", "motion.preview.mp4"], ["motion-2.npz", "motion-2.png", None]):
        monkeypatch.setattr(sys, "argv", ["draw", str(motion), f"out={tmp_path / 'drawn'}"])
        entry.run(main, bare="drawing")
        names = capsys.readouterr().out.split()
        assert names[:2] == want[:2]
    draw(asked(f"drawing={motion}", f"out={tmp_path / 'drawn'}", "overwrite=true"))
    assert len(list((tmp_path / "drawn").glob("*.npz"))) == 2


def test_no_form_of_masks_replaces_what_another_left(tmp_path, motion):
    motion = motion.rename(tmp_path / "motion.v1.yaml")
    first = draw(asked(f"drawing={motion}", f"out={tmp_path}"))
    assert [path.name for path in first] == [f"motion.v1{end}" for end in (".npz", ".png", ".preview.mp4", ".html")]
    before = {path: path.stat().st_mtime_ns for path in first}
    for kind in ("mp4", "png", "davis"):
        others = draw(asked(f"drawing={motion}", f"out={tmp_path}", f"format={kind}"))
        assert not set(others) & set(before)
    assert {path: path.stat().st_mtime_ns for path in first} == before


def test_speeds_are_those_of_the_clips_where_masks_do_not_say_their_rate(tmp_path, capsys):
    frames = np.zeros((4, 64, 96), np.uint8)
    for index, mask in enumerate(frames):
        mask[20:44, 10 + 8 * index : 40 + 8 * index] = 255
    write_mp4(tmp_path / "clips" / "a.mp4", np.stack([frames] * 3, -1), fps=12)
    write_pictures(tmp_path / "clips" / "a.mask", frames)
    (tmp_path / "clips" / "a.txt").write_text("[a box] moves\n")
    box = "{shape: rectangle, keys: [{at: 0, x: 0.3, scale: 0.3}, {at: 3, x: %s}]}"
    for x, said in ((0.45, False), (0.8, True)):  # as fast as the clip, and three times as fast
        (tmp_path / "box.yaml").write_text(f"frames: 4\nfps: 12\nsize: [64, 96]\nobjects:\n  - {box % x}\n")
        draw(asked(f"drawing={tmp_path}/box.yaml", f"out={tmp_path}/drawn", f"like={tmp_path}/clips"))
        assert ("faster than anything" in capsys.readouterr().err) == said


def test_a_drawing_takes_another_size_and_is_the_same(tmp_path, motion):
    [small, *_] = draw(asked(f"drawing={motion}", f"out={tmp_path}"))
    [large, *_] = draw(asked(f"drawing={motion}", f"out={tmp_path}", "height=64", "width=96"))
    shares = [np.load(path)["masks"].mean() for path in (small, large)]
    assert shares[0] == pytest.approx(shares[1], rel=0.02)
    assert np.load(large)["masks"].shape == (6, 64, 96)


def test_what_will_go_wrong_is_said(tmp_path, capsys):
    draw(asked("text=a horse enters left", *SMALL, f"out={tmp_path}", "frames=3"))
    said = capsys.readouterr().err
    assert "cut off" in said
    path = tmp_path / "fast.yaml"
    path.write_text(
        "frames: 3\nfps: 12\nobjects:\n  - {shape: dog, keys: [{at: 0, x: 0.3, y: 0.8, scale: 0.3}, {at: 2, x: 0.7}]}\n"
    )
    draw(asked(f"drawing={path}", f"out={tmp_path}"))
    assert "faster than anything that tuning saw" in capsys.readouterr().err
    draw(asked(f"drawing={path}", f"out={tmp_path}", "like=null"))
    assert "faster" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of them"),
        (["drawing={motion}", "text=a horse walks"], "one of them"),
        (["drawing=/nowhere.yaml"], "no such file"),
        (["drawing={motion}", "frames=8"], "frames=8"),
        (["drawing={motion}", "fps=3"], "fps=3"),
        (["text=a horse walks on water"], "means nothing"),
        (["drawing={away}"], "nothing of it is in the picture"),
        (["drawing={motion}", "like=/nowhere"], "like=/nowhere"),
        (["drawing={motion}", "out={motion}"], "is a file"),
        (["drawing={motion}", "format=gif"], "one of npz"),
        (["drawing={motion}", "height=0"], "height=0"),
        (["drawing={motion}", "+unknown=1"], "unknown"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, motion, arguments, said):
    away = tmp_path / "away.yaml"
    away.write_text("frames: 2\nobjects:\n  - {shape: ellipse, keys: [{at: 0, x: 3, scale: 0.1}]}\n")
    out = f"out={tmp_path / 'drawn'}"
    filled = [argument.format(motion=motion, away=away) for argument in arguments]
    with pytest.raises(UserError, match=said):
        draw(asked(*([out] if not any(one.startswith("out=") for one in filled) else []), *filled))
    assert not (tmp_path / "drawn").exists()


def test_files_named_by_a_drawing_lie_beside_it(tmp_path, monkeypatch):
    folder = tmp_path / "deep"
    folder.mkdir()
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 4)).save(folder / "cut.png")
    (folder / "one.yaml").write_text("frames: 2\nobjects:\n  - {shape: {kind: picture, file: cut.png}}\n")
    monkeypatch.chdir(tmp_path)
    assert draw(asked("drawing=deep/one.yaml", "out=drawn"))[0].exists()
