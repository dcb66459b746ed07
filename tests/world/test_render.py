"""The renderer itself; skipped only where MuJoCo is not installed."""

import json
from pathlib import Path

import decord
import numpy as np
import pytest

import maskvid.world  # noqa: F401 - chooses the renderer's back end before MuJoCo is imported

pytest.importorskip("mujoco")

from maskvid.errors import UserError
from maskvid.world import captions, corpus, examples, render, studio
from maskvid.world.camera import from_rows
from maskvid.world.clips import render_clip
from maskvid.world.gaits import GAITS, leg_phase
from maskvid.world.scene import Stance, puppet
from maskvid.world.stills import Pictures, render_pictures

HORSE = {
    "species": "horse",
    "coat": "brown",
    "ground": "meadow",
    "time": "day",
    "style": "photo",
    "gait": "gallop",
}
ROOT = Path(examples.__file__).parents[1] / "assets" / "horse"


def test_a_picture_depends_on_seed_and_index_only(tmp_path: Path) -> None:
    whole = render_pictures(count=6, seed=4, progress=False)
    part = render_pictures(count=2, seed=4, start=3, progress=False)
    assert np.array_equal(whole.images[3:5], part.images)
    assert np.array_equal(whole.masks[3:5], part.masks)
    assert whole.captions[3:5] == part.captions
    assert whole.attributes[3:5] == part.attributes
    other = render_pictures(count=6, seed=5, progress=False)
    assert not np.array_equal(whole.images, other.images)
    whole.save(tmp_path / "pictures.npz")
    again = Pictures.load(tmp_path / "pictures.npz")
    assert np.array_equal(again.images, whole.images)
    assert again.attributes == whole.attributes
    with pytest.raises(UserError, match="count=0"):
        render_pictures(count=0, seed=4, progress=False)


def test_masks_are_the_renderers_segmentation_and_lie_inside_the_picture() -> None:
    pictures = render_pictures(count=24, seed=6, progress=False)
    for mask, subject, text in zip(pictures.masks, pictures.subjects, pictures.captions, strict=True):
        assert subject in text
        assert 0.02 < (mask > 127).mean() < 0.6
        assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
    animal = puppet("horse", (128, 192))
    animal.place(Stance(gait="trot", phase=0.3))
    camera = from_rows(distance=8.0, horizon=0.4, foot=0.85)
    view = animal.view(camera)
    seen = view.part >= 0
    actor = studio.Actor(Stance(gait="trot", phase=0.3), HORSE, 0)
    back = np.zeros((64, 96, 3), np.float32)
    _, [mask] = studio.compose(camera=camera, back=back, actors=[actor], mirror_light=False)
    coverage = seen.reshape(64, 2, 96, 2).mean(axis=(1, 3))
    assert np.abs(mask / 255 - coverage).max() < 0.01
    # Whatever is seen is nearer than the stage's far end, and its outline is that of the projected points.
    assert view.depth[seen].max() < 12 < view.depth[~seen].min()
    rows, columns = np.nonzero(seen)
    pixels = camera.project(animal.points(), (128, 192))
    assert columns.min() == pytest.approx(pixels[:, 0].min(), abs=2)
    assert columns.max() == pytest.approx(pixels[:, 0].max(), abs=2)
    assert rows.min() == pytest.approx(pixels[:, 1].min(), abs=2)
    assert rows.max() == pytest.approx(pixels[:, 1].max(), abs=2)


def test_feet_on_the_ground_are_lower_than_feet_in_the_air() -> None:
    animal = puppet("horse", (128, 192))
    for gait in ("walk", "trot", "gallop"):
        for phase in np.linspace(0, 1, 12, endpoint=False):
            animal.place(Stance(gait=gait, phase=float(phase)))
            heights = animal.foot_heights()
            assert min(heights.values()) > -1e-6
            swing = {leg: (leg_phase(GAITS[gait], leg, phase) - GAITS[gait].duty) for leg in heights}
            standing = [heights[leg] for leg in heights if swing[leg] < -0.05]
            lifted = [heights[leg] for leg in heights if abs(swing[leg] / (1 - GAITS[gait].duty) - 0.5) < 0.15]
            if standing and lifted:
                assert min(standing) < min(lifted)


@pytest.mark.parametrize("style", [s for s in captions.STYLES if s != "photo"])
def test_a_style_changes_the_picture_and_not_the_mask(style: str) -> None:
    photo = render_clip(attributes=HORSE, seed=1, frames=2)
    styled = render_clip(attributes={**HORSE, "style": style}, seed=1, frames=2)
    assert np.array_equal(photo.masks, styled.masks)
    assert np.abs(photo.frames.astype(float) - styled.frames).mean() > 8


def test_coats_grounds_and_times_change_the_pixels_they_speak_of() -> None:
    plain = render_clip(attributes=HORSE, seed=2, frames=2)
    inside, outside = plain.masks == 255, plain.masks == 0
    white = render_clip(attributes={**HORSE, "coat": "white"}, seed=2, frames=2)
    assert white.frames[inside].mean() > plain.frames[inside].mean() + 60
    assert np.array_equal(white.frames[outside], plain.frames[outside])
    night = render_clip(attributes={**HORSE, "time": "night"}, seed=2, frames=2)
    assert night.frames[outside].mean() < 0.6 * plain.frames[outside].mean()
    # Even a black horse at night is told from its meadow.
    dark = render_clip(attributes={**HORSE, "coat": "black", "time": "night"}, seed=2, frames=2)
    assert (
        np.abs(dark.frames[inside].mean(axis=0) - night.frames[:, 45:][plain.masks[:, 45:] == 0].mean(axis=0)).max()
        > 12
    )


def test_the_shipped_examples_are_what_the_command_renders() -> None:
    for folder, index in (("train", 0), ("test/motion", 2)):
        clip = examples.clip_of(folder, index, examples.FOLDERS[folder][index])
        line = json.loads((ROOT / folder / "metadata.jsonl").read_text().splitlines()[index])
        assert (line["text"], line["subject"]) == (clip.caption, clip.subject)
        with np.load(ROOT / folder / line["mask"]) as archive:
            # Other processors may round a silhouette's edge differently.
            assert ((archive["masks"] > 127) == (clip.masks > 127)).mean() > 0.999
        frames = decord.VideoReader(str(ROOT / folder / line["file_name"])).get_batch(range(24)).asnumpy()
        error = np.abs(frames.astype(float) - clip.frames)
        assert error.mean() < 2.5


def test_the_command_writes_triples_and_spares_other_folders(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "clips"
    render.main(["--count", "1", "--seed", "3", "--species", "dog", "--out", str(out)])
    line = json.loads((out / "metadata.jsonl").read_text())
    assert line["species"] == "dog"
    with np.load(out / line["mask"]) as archive:
        assert archive["masks"].shape == (24, 320, 480)
    first = (out / "metadata.jsonl").read_text()
    render.main(["--count", "1", "--seed", "3", "--species", "dog", "--out", str(out)])
    assert (out / "metadata.jsonl").read_text() == first
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(SystemExit):
        render.main(["--count", "1", "--out", str(tmp_path / "other")])
    assert "thesis" not in capsys.readouterr().err
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    with pytest.raises(SystemExit):
        render.main(["--count", "1"])
    assert "--out" in capsys.readouterr().err


def test_a_corpus_resumes_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SHARD", 2)
    with pytest.raises(UserError, match="holds no shard"):
        corpus.load_pictures(tmp_path)
    corpus.render_corpus(folder=tmp_path, seed=8, count=3, progress=False)
    stamp = (tmp_path / "shard-00000.npz").stat().st_mtime_ns
    corpus.render_corpus(folder=tmp_path, seed=8, count=5, progress=False)
    assert (tmp_path / "shard-00000.npz").stat().st_mtime_ns == stamp
    pictures = corpus.load_pictures(tmp_path)
    assert len(pictures) == 5
    assert np.array_equal(pictures.images, render_pictures(count=5, seed=8, progress=False).images)
    assert len(corpus.load_pictures(tmp_path, limit=4).captions) == 4


def test_impossible_clips_are_refused() -> None:
    with pytest.raises(UserError, match="coat='green'"):
        render_clip(attributes={**HORSE, "coat": "green"}, seed=0)
    with pytest.raises(UserError, match="movement='fly'"):
        render_clip(attributes=HORSE, seed=0, movement="fly")
