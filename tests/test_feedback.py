"""What a person is told after generating and editing: figures, strips, and the best of several."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from maskvid import feedback
from maskvid.config import CONF
from maskvid.edit import edit
from maskvid.entry import quote_values
from maskvid.errors import UserError
from maskvid.evaluate import evaluate, take_judges
from maskvid.generate import generate
from maskvid.metrics.following import Followed
from maskvid.metrics.mask import mask_iou
from maskvid.settings import Judges
from maskvid.train import train
from maskvid.tuned import read_run
from tests.runs import configure, configure_generate


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    judges = ["metrics.clip=null", "metrics.segmenter=null"]
    train(configure(overrides, f"run_dir={folder}", "trainer.max_steps=1", "data.validation={}", *judges))
    return folder


def beside(path):
    return json.loads(path.with_suffix(".json").read_text())


def test_a_video_comes_with_its_figures(run, triples, tmp_path, capsys):
    [path, other] = generate(configure_generate(run, triples, f"out={tmp_path}", "seed=3"))
    found = beside(path)
    assert found["prompt"] == "[a fox] runs"
    assert found["seed"] == 3
    assert (found["frames"], found["fps"], found["seconds"]) == (3, 4.0, 0.75)
    assert (found["height"], found["width"]) == (256, 384)
    assert found["judges"]["segmenter"] == "maskvid miniature segmenter"
    frames = found["followed"]["frames"]
    assert len(frames["mask_iou"]) == len(frames["boundary_f"]) == 3
    assert found["followed"]["mask_iou"] == pytest.approx(np.mean(frames["mask_iou"][1:]))
    capsys.readouterr()
    notes = feedback.print_made([path, other])
    printed = capsys.readouterr().out
    assert re.search(r"video: .*\(3 frames, 0.75 s, 384 x 256\)", printed)
    assert "text alignment" in printed
    assert path.stem in printed
    assert "seed3" in printed
    assert any("the segmenter does not know it" in note for note in notes)  # an untrained model paints no foxes


def test_the_figures_are_those_of_the_video_that_was_made(run, triples, tmp_path, monkeypatch):
    """What the segmenter is shown are the frames that are written, and what it is asked for are the masks."""
    seen = []

    class Half:
        def __call__(self, frames, masks=None):
            seen.append(frames)
            return (
                (torch.arange(frames.shape[-1]) < frames.shape[-1] // 2)
                .float()
                .expand(len(frames), 1, *frames.shape[-2:])
            )

    monkeypatch.setattr("maskvid.judges.segmenter.load_segmenter", lambda *_: Half())
    [path, _] = generate(configure_generate(run, triples, f"out={tmp_path}"))
    asked = torch.from_numpy(np.load(path.with_suffix(".mask.npz"))["masks"])[:, None] / 255
    left = (torch.arange(48) < 24).float().expand(3, 1, 32, 48)
    want = [float(mask_iou(left[i : i + 1], asked[i : i + 1], given_frames=0)) for i in range(3)]
    assert beside(path)["followed"]["frames"]["mask_iou"] == pytest.approx(want)


def test_the_best_of_several_is_the_one_of_its_seed_alone(run, triples, tmp_path, monkeypatch):
    scores = iter([0.2, 0.9, 0.4] * 2)  # three seeds of two prompts
    monkeypatch.setattr(
        "maskvid.metrics.following.Following.done", lambda self: Followed([next(scores)] * 1, [1.0], None, 0)
    )
    best = generate(configure_generate(run, triples, f"out={tmp_path / 'best'}", "seed=5", "best_of=3"))
    monkeypatch.undo()
    alone = generate(configure_generate(run, triples, f"out={tmp_path / 'alone'}", "seed=6"))
    assert [path.name for path in best] == [path.name for path in alone]
    for one, other in zip(best, alone, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert [entry["seed"] for entry in beside(one)["best_of"]] == [5, 6, 7]
        assert beside(one)["seed"] == 6
        assert "best_of" not in beside(other)
    kinds = {".mp4", ".png", ".json", ".txt", ".npz"}
    assert {path.suffix for path in (tmp_path / "best").iterdir()} == kinds
    assert len(list((tmp_path / "best").iterdir())) == 2 * len(kinds)  # nothing is left of the others


def test_the_score_is_stated_for_every_seed(run, triples, tmp_path):
    [path, _] = generate(configure_generate(run, triples, f"out={tmp_path}", "best_of=2"))
    tries = beside(path)["best_of"]
    assert [entry["seed"] for entry in tries] == [0, 1]
    for entry in tries:
        assert entry["score"] == pytest.approx(entry["mask_iou"] * max(entry["text_alignment"], 0))
    assert max(entry["score"] for entry in tries) == beside(path)["followed"]["score"]


def test_without_judges_the_video_is_made_all_the_same(run, triples, tmp_path, capsys):
    [path, _] = generate(
        configure_generate(run, triples, f"out={tmp_path}/a", "metrics.segmenter=/nowhere", "judge=true")
    )
    assert path.exists()
    assert "followed" not in beside(path)
    said = capsys.readouterr().err
    assert "no figures" in said
    assert "judge=false" in said
    feedback.print_made([path])
    assert "how far" not in capsys.readouterr().out
    [path, _] = generate(configure_generate(run, triples, f"out={tmp_path}/b", "judge=false"))
    assert "followed" not in beside(path)
    assert "no figures" not in capsys.readouterr().err


def test_judges_are_downloaded_only_when_they_are_asked_for(tmp_path, monkeypatch, capsys):
    segmenter, clip = "facebook/sam2.1-hiera-small", "ViT-L-14"
    names = Judges(clip=clip, pretrained="openai", segmenter=segmenter)
    here = set()
    monkeypatch.setattr("maskvid.feedback.fetched", lambda hub, *files: hub in here and bool(files))
    assert feedback.not_here(names) == [segmenter, clip]
    here |= {segmenter, "timm/vit_large_patch14_clip_224.openai"}
    assert feedback.not_here(names) == []
    assert feedback.not_here(Judges()) == []
    assert feedback.not_here(Judges(segmenter=str(tmp_path))) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["best_of=2", "judge=false"], "best_of=2"),
        (["best_of=2", "metrics.segmenter=/nowhere"], "best_of=2.*nowhere"),
        (["best_of=0"], "best_of=0"),
        (["best_of=65"], "best_of=65"),
        (["judge=false", "metrics.clip=ViT-B-32"], "no effect with judge=false"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(run, triples, tmp_path, more, said):
    with pytest.raises(UserError, match=said):
        generate(configure_generate(run, triples, f"out={tmp_path / 'x'}", *more))
    assert not list((tmp_path / "x").glob("*.mp4"))


def test_the_embedded_judges_do_not_judge_large_pictures():
    with pytest.raises(UserError, match="320 x 512"):
        feedback.Judge(Judges(), torch.device("cpu"), 320, 512)


def test_an_edit_is_measured_too_and_what_was_made_can_be_evaluated(run, triples, tmp_path):
    words = [f"run={run}", f"source={triples}/one.mp4", f"masks={triples}/one.npz", "prompt=[a fox] runs"]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("edit", overrides=quote_values([*words, f"out={tmp_path}"]))
    [path] = edit(config)
    found = beside(path)
    assert found["source"].endswith("one.mp4")
    assert found["followed"]["frames"]["given"] == 0
    with initialize_config_dir(CONF, version_base="1.3"):
        results = evaluate(compose("evaluate", overrides=[f"videos={tmp_path}", "given_frames=0"]))
    assert results["videos/mask_iou"] == pytest.approx(found["followed"]["mask_iou"], abs=0.05)  # but for the codec


def test_a_run_keeps_the_names_of_its_judges_and_others_take_their_place(run, overrides, tmp_path):
    assert read_run(run).judges == Judges()
    with initialize_config_dir(CONF, version_base="1.3"):
        metrics = compose("evaluate", overrides=["videos=x"]).metrics
        own = compose("evaluate", overrides=["videos=x", "metrics.clip=ViT-B-32"]).metrics
    judges = Judges(clip="ViT-L-14", pretrained="openai", segmenter="facebook/sam2.1-hiera-small")
    take_judges(metrics, judges)
    assert {key: metrics[key] for key in asdict(judges)} == asdict(judges)
    take_judges(own, judges)
    assert own.clip == "ViT-B-32"
    assert own.pretrained is None
    assert own.segmenter == "facebook/sam2.1-hiera-small"
