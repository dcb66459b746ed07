import json

import numpy as np
import pytest
from PIL import Image

from maskvid.data.checked import check_sets
from maskvid.data.triples import read_triples, resolve_folder
from maskvid.errors import UserError
from maskvid.settings import Requirements
from tests.data.tiny import make_frames, make_masks, write_mp4, write_pictures, write_triple

NEEDS = Requirements(height=16, width=24, num_frames=4, fps=8 / 3, folder_fps=8)


def all_accepted(folder):
    report = check_sets({"train": [folder]}, NEEDS)
    assert report.num_rejected == 0, report.rejections()
    return [clip.triple for clip in report.accepted["train"]]


def test_metadata_layout(tmp_path):
    write_triple(tmp_path, "a", subject="a square", text="a square wanders", gait="walk", fps=8)
    write_triple(tmp_path, "b", text=None, caption="[A big  square] rests", mask=None, mask_file_name="b.npz")
    write_triple(tmp_path, "c", id="named", text="no subject here")
    first, second, third = all_accepted(tmp_path)
    assert (first.id, first.caption, first.prompt.words) == ("a", "a square wanders", "a square")
    assert (first.attributes, first.fps, second.fps) == ({"gait": "walk"}, 8, None)
    assert (second.caption, second.prompt.words) == ("A big square rests", "A big square")
    assert (third.id, third.subject) == ("named", None)


def test_ids_stay_unique(tmp_path):
    write_triple(tmp_path, "a")
    write_triple(tmp_path, "a")
    assert [triple.id for triple in read_triples(tmp_path)] == ["a", "a#2"]


@pytest.mark.parametrize("line", ["not json", "[1]", '{"text": "x"}'])
def test_metadata_errors_name_the_line(tmp_path, line):
    write_triple(tmp_path, "a")
    with (tmp_path / "metadata.jsonl").open("a") as handle:
        handle.write(line + "\n")
    report = check_sets({"train": [tmp_path]}, NEEDS)
    assert [clip.triple.id for clip in report.accepted["train"]] == ["a"]
    (rejected,) = report.rejected["train"]
    assert rejected.triple.id == "line-2"
    assert len(rejected.reasons) == 1
    assert "metadata.jsonl, line 2: " in rejected.reasons[0]


def test_sidecar_layout(tmp_path):
    write_mp4(tmp_path / "one.mp4", make_frames())
    write_mp4(tmp_path / "one.mask.mp4", make_masks())
    write_mp4(tmp_path / "two.mp4", make_frames())
    write_pictures(tmp_path / "two_mask", make_masks())
    write_pictures(tmp_path / "three", make_frames(), ".jpg")
    (tmp_path / "masks").mkdir()
    np.savez(tmp_path / "masks" / "three.npz", masks=make_masks())
    write_mp4(tmp_path / "four.mp4", make_frames())
    write_pictures(tmp_path / "masks" / "four", make_masks())
    for name in ("one", "two", "three", "four"):
        (tmp_path / f"{name}.txt").write_text(f"[square {name}] wanders\n")
    triples = all_accepted(tmp_path)
    assert [triple.id for triple in triples] == ["four", "one", "three", "two"]
    assert triples[1].prompt.words == "square one"
    assert triples[1].mask is not None
    assert triples[1].mask.name == "one.mask.mp4"


def test_sidecars_that_lack_a_part_are_listed(tmp_path):
    write_mp4(tmp_path / "a.mp4", make_frames())
    (tmp_path / "b.txt").write_text("a caption without its video")
    rejected = check_sets({"train": [tmp_path]}, NEEDS).rejected["train"]
    reasons = {clip.triple.id: "; ".join(clip.reasons) for clip in rejected}
    assert "no caption" in reasons["a"]
    assert "no mask" in reasons["a"]
    assert "no video beside b.txt" in reasons["b"]


@pytest.mark.parametrize("captions", ["json", "txt", "sidecar"])
@pytest.mark.parametrize("resolution", ["480p", ""])
def test_davis_layout(tmp_path, captions, resolution):
    write_pictures(tmp_path / "JPEGImages" / resolution / "horse", make_frames(), ".jpg")
    folder = tmp_path / "Annotations" / resolution / "horse"
    folder.mkdir(parents=True)
    for index, mask in enumerate(make_masks()):
        picture = Image.fromarray((mask // 255).astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, 128, 0, 0])
        picture.save(folder / f"{index}.png")
    if captions == "json":
        (tmp_path / "captions.json").write_text(json.dumps({"horse": {"text": "a horse jumps", "subject": "a horse"}}))
    elif captions == "txt":
        (tmp_path / "captions.txt").write_text("horse: [a horse] jumps\n")
    else:
        (tmp_path / "horse.txt").write_text("[a horse] jumps")
    (triple,) = all_accepted(tmp_path)
    assert (triple.id, triple.caption, triple.prompt.words) == ("horse", "a horse jumps", "a horse")


def test_folders_without_clips(tmp_path):
    with pytest.raises(UserError, match="holds no clips"):
        read_triples(tmp_path)
    with pytest.raises(UserError, match=r"data folder .*: missing file: /"):
        read_triples(tmp_path / "missing")


def test_assets_lie_in_the_package():
    path = resolve_folder("assets://horse/train")
    assert path.parts[-4:] == ("maskvid", "assets", "horse", "train")
