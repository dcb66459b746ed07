"""The file that describes moving masks: what it may hold, and what is refused in words."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from maskvid.errors import UserError
from maskvid.masks.draw import Drawing, draw_masks, drawing_of, read_drawing, write_drawing
from maskvid.masks.read import count_masks, iter_masks, mask_times
from maskvid.masks.video import read_masks

BALL = {"shape": "ellipse", "keys": [{"at": 0, "x": 0.25, "y": 0.5, "scale": 0.4}, {"at": 4, "x": 0.75}]}


def drawn(*objects, frames=5, size=(64, 96), **more):
    return draw_masks(Drawing(objects=list(objects), frames=frames, size=size, **more))


def test_json_and_yaml_say_the_same_and_what_is_written_reads_back(tmp_path):
    content = {"frames": 5, "fps": 4, "size": [64, 96], "objects": [BALL, {"shape": "horse/trot", "jumps": [2]}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "a.yaml").write_text(
        "frames: 5\nfps: 4\nsize: [64, 96]\nobjects:\n  - shape: ellipse\n    keys:\n"
        "      - {at: 0, x: 0.25, y: 0.5, scale: 0.4}\n      - {at: 4, x: 0.75}\n  - {shape: horse/trot, jumps: [2]}\n"
    )
    one, other = read_drawing(tmp_path / "a.json"), read_drawing(tmp_path / "a.yaml")
    assert one == other
    assert read_drawing(write_drawing(tmp_path / "b.json", one)) == one
    assert '"horse/trot"' in (tmp_path / "b.json").read_text()  # as short as people write it


def test_a_drawing_is_read_wherever_masks_are(tmp_path):
    path = write_drawing(tmp_path / "ball.json", Drawing(objects=[BALL], frames=5, fps=4, size=(64, 96)))
    assert count_masks(path) == 5
    np.testing.assert_array_equal(np.stack(list(iter_masks(path))), drawn(BALL))
    np.testing.assert_allclose(mask_times(path, 5), np.arange(5) / 4)
    masks = read_masks(path, np.arange(3) / 2, 32, 48)  # every other frame, by time
    centres = [float((m[0] * np.arange(48)).sum() / m.sum()) for m in masks.numpy()]
    np.testing.assert_allclose(centres, [11.5, 23.5, 35.5], atol=0.3)


def test_one_of_several_objects_can_be_chosen(tmp_path):
    box = {"shape": "rectangle", "keys": [{"at": 0, "x": 0.9, "scale": 0.1}]}
    path = write_drawing(tmp_path / "two.json", Drawing(objects=[BALL, box], frames=5, size=(64, 96)))
    second = np.stack(list(iter_masks(path, objects=[2])))
    assert (second > 0).any()
    np.testing.assert_array_equal(np.stack(list(iter_masks(path))), np.maximum(drawn(BALL), second))
    with pytest.raises(UserError, match="objects 1 to 2"):
        next(iter_masks(path, objects=[3]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"objects": []}, "objects: List should have at least 1 item"),
        ({"objects": [{"shape": "ellipse", "keys": [{"at": 3}, {"at": 1}]}]}, "bring them in order"),
        ({"objects": [{"shape": "ellipse", "keys": [{"at": 1}, {"at": 1}]}]}, "bring them in order"),
        ({"objects": [{"shape": {"kind": "polygon", "points": [[0, 0], [1, 1]]}}]}, "at least 3 items"),
        ({"objects": [{"shape": "ellipse", "keys": [{"at": 0, "x": 1e9}]}]}, r"objects\[0\].keys\[0\].x"),
        ({"objects": [{"shape": "ellipse", "keys": [{"at": 0, "scale": 0}]}]}, "greater than 0"),
        ({"objects": [{"shape": "ellipse", "keys": [{"at": 0, "ease": "bouncy"}]}]}, "ease"),
        ({"objects": [{"shape": "ellipse", "keys": [{"when": 0}]}]}, "when: there is no such key"),
        ({"objects": [{"shape": {"kind": "circle"}}]}, "kind"),
        ({"objects": [{"shape": "ellipse", "path": {"points": [[0, 0]]}}]}, "path.points"),
        ({"objects": [{"shape": "ellipse", "path": {"points": [[0, 0], [9, 9]]}}]}, "path.points"),
        ({"objects": [{"shape": "ellipse", "path": {}}]}, "points or svg"),
        ({"objects": [{"shape": "ellipse", "path": {"svg": "M0 0L1 1", "start": 4, "end": 2}}]}, "end later"),
        ({"objects": [{"shape": "ellipse", "path": {"svg": "M0 0L1 1"}, "keys": [{"at": 0, "x": 1}]}]}, "one of them"),
        (
            {"objects": [{"shape": "ellipse", "path": {"svg": "M0 0L1 1", "speed": [[0, 0], [0.5, 0.8], [0.4, 1]]}}]},
            "rise from",
        ),
        ({"objects": [{"shape": "ellipse", "jumps": [1]}]}, "only animals"),
        ({"objects": [{"shape": "ellipse", "occluder": True}]}, "nothing is foreground"),
        ({"objects": [BALL], "frames": 10**9}, "frames"),
        ({"objects": [BALL], "size": [10**9, 8]}, "size"),
        ({"objects": [BALL], "fps": float("nan")}, "fps|JSON"),
        ({"objects": [{"shape": {"kind": "svg"}}]}, "path or file"),
        ({"objects": [{"shape": {"kind": "silhouette", "of": "horse", "stride": 1}}]}, "leave it out"),
        ({"objects": "horse"}, "objects"),
        ([], "a drawing is a mapping"),
    ],
)
def test_what_means_nothing_is_refused_with_its_place(tmp_path, content, said):
    path = tmp_path / "bad.yaml"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=said) as refused:
        read_drawing(path)
    assert "bad.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("unicorn", "the library has horse"),
        ("horse/flies", "can stand, walk"),
        ({"kind": "svg", "path": "M0 0 L"}, "no path of SVG|encloses nothing|neither side"),
        ({"kind": "svg", "path": "hello"}, "svg.path"),
        ({"kind": "svg", "path": "M0 0L5 5L10 10Z"}, "encloses nothing"),
        ({"kind": "svg", "path": "M0 0L1000 0L1000 1Z"}, "times the other"),
        ({"kind": "svg", "file": "none.svg"}, "no such file"),
        ({"kind": "svg", "file": "bomb.svg"}, "entities"),
        ({"kind": "svg", "file": "empty.svg"}, "no forms"),
        ({"kind": "svg", "file": "torn.svg"}, "no SVG"),
        ({"kind": "picture", "file": "none.png"}, "none.png"),
        ({"kind": "silhouette", "file": "none.mp4"}, "none.mp4"),
        ({"kind": "polygon", "points": [[0, 0], [1, 1], [2, 2]]}, "encloses nothing"),
    ],
)
def test_shapes_that_are_none_are_refused(tmp_path, shape, said):
    bomb = '<!DOCTYPE svg [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg"></svg>'
    (tmp_path / "bomb.svg").write_text(bomb)
    (tmp_path / "empty.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    (tmp_path / "torn.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0')
    (tmp_path / "one.json").write_text(json.dumps({"objects": [BALL, {"shape": shape}], "frames": 2}))
    with pytest.raises(UserError, match=said) as refused:
        draw_masks(read_drawing(tmp_path / "one.json"))
    assert "objects[1]" in str(refused.value)


def test_a_short_file_that_stands_for_gigabytes_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="aliases"):
        read_drawing(tmp_path / "bomb.yaml")
    (tmp_path / "code.yaml").write_text("objects: !!python/object/apply:os.system [echo]")
    with pytest.raises(UserError, match="not valid YAML"):
        read_drawing(tmp_path / "code.yaml")
    (tmp_path / "deep.yaml").write_text("[" * 5000)
    with pytest.raises(UserError, match="nested|not valid"):
        read_drawing(tmp_path / "deep.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UserError, match="bytes"):
        read_drawing(tmp_path / "large.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a unicorn walks", "what moves is one of horse"),
        ("a horse flies", "'flies'"),
        ("a horse walks to the moon", "places are left"),
        ("a horse walks to the 300%", "places are left"),
        ("a horse stops for ever", "for 2 seconds"),
        ("a horse walks, enters left", "at the beginning"),
        ("a horse enters", "say left or right"),
        ("a ball jumps", "only animals"),
        ("a brown horse walks", "'brown'"),
        ("", "empty"),
        ("...", "empty"),
    ],
)
def test_a_sentence_that_it_does_not_know_is_answered_by_what_it_knows(text, said):
    with pytest.raises(UserError, match=said) as refused:
        drawing_of(text)
    assert "turns" in str(refused.value)


def test_the_sentence_of_the_readme_does_what_it_says():
    drawing = drawing_of("a horse enters left, gallops to the middle, stops, turns, walks out", size=(64, 96))
    masks = draw_masks(drawing)
    assert len(masks) == drawing.frames
    columns = np.array([(m * np.arange(96.0)).sum() / m.sum() if m.any() else np.nan for m in masks])
    first, middle = columns[0], np.nanargmax(columns)
    assert first < 12
    assert columns[middle] == pytest.approx(47.5, abs=6)
    keys = drawing.objects[0].keys
    assert [key.gait for key in keys if key.gait][:2] == ["gallop", "stand"]
    assert [key.gait for key in keys if key.gait][-2:] == ["walk", "stand"]
    assert not masks[-1].any()  # it is out, where it came from
    assert np.nanmin(columns[middle:]) < 12


def test_a_sentence_takes_as_many_frames_as_are_asked_for():
    for frames in (2, 9, 40):
        drawing = drawing_of("a dog walks across; a ball rolls out right", frames=frames, fps=4)
        assert drawing.frames == frames
        assert max(key.at for one in drawing.objects for key in one.keys) == pytest.approx(frames - 1)


def test_the_drawing_of_the_readme_and_those_of_the_study_are_drawn(tmp_path):
    root = Path(__file__).parents[2]
    [text] = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    (tmp_path / "motion.yaml").write_text(text)
    shipped = [path for path in (root / "experiments" / "masks").iterdir() if path.suffix in (".yaml", ".json")]
    drawings = [path for path in shipped if not path.name.endswith(".figures.json")]
    assert len(drawings) >= 5
    for path in (tmp_path / "motion.yaml", *drawings):
        drawing = read_drawing(path)
        masks = draw_masks(drawing.model_copy(update={"size": (32, 48)}))
        assert len(masks) == drawing.frames
        assert masks[0].any(), path.name
