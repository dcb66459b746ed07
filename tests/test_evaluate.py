"""Scoring runs, folders of videos and single videos through the entry point."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from maskvid.config import CONF
from maskvid.edit import edit
from maskvid.errors import UserError
from maskvid.evaluate import evaluate, take_judges
from maskvid.generate import generate
from maskvid.media.decode import decode_frames, frames_to_float
from maskvid.metrics.background import background_psnr
from maskvid.metrics.suite import CONSISTENCY, IDENTITY, MASKS, METRICS, MOTION
from maskvid.settings import Judges
from maskvid.train import train
from tests.data.tiny import make_frames, make_masks, write_mp4, write_triple
from tests.metrics.judges import KnownMasks
from tests.runs import configure, configure_generate
from tests.test_ddp import run_command
from tests.test_requests import configure_edit


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    # With metrics, so that an evaluation can be held against them.
    mine = [entry for entry in overrides if not entry.startswith("callbacks.metrics")]
    train(configure(mine, f"run_dir={folder}", "trainer.max_steps=2", "trainer.limit_val_batches=1"))
    return folder


def configure_evaluate(*more):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("evaluate", overrides=["trainer.accelerator=cpu", *more])


def test_a_run_is_scored_as_its_own_final_validation_scored_it(run, tmp_path):
    found = evaluate(configure_evaluate(f"run={run}", f"out={tmp_path}"))
    assert found == pytest.approx(json.loads((run / "metrics.json").read_text()), rel=1e-6)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["metrics"] == found
    assert written["frames"] == [3]
    assert written["clips"] == {"seen": 3}
    assert written["encoders"]["clip"] == "maskvid miniature CLIP"
    assert set(written["conventions"]) == {key.partition("/")[2] for key in found}
    assert list(tmp_path.rglob("*.mp4"))
    assert evaluate(configure_evaluate(f"run={run}", f"out={tmp_path / 'bare'}", "save_videos=false")) == found
    assert not list((tmp_path / "bare").rglob("*.mp4"))
    assert {"torch", "open_clip_torch"} <= set(written["versions"])


def test_sets_stand_in_the_order_of_the_configuration(run, triples, tmp_path):
    order = [f"+sets.{name}={triples}" for name in ("zebra", "ant", "moth")]
    found = evaluate(configure_evaluate(f"run={run}", f"out={tmp_path}", "save_videos=false", *order))
    assert list(dict.fromkeys(key.partition("/")[0] for key in found)) == ["zebra", "ant", "moth"]
    lines = (tmp_path / "metrics_per_clip.csv").read_text().splitlines()[1:]
    assert list(dict.fromkeys(line.partition(",")[0] for line in lines)) == ["zebra", "ant", "moth"]


def test_the_runs_judges_judge_unless_others_are_named():
    mine = Judges(clip="ViT-L-14", pretrained="openai", segmenter="facebook/sam2.1-hiera-small")
    assert mine.instead({"clip": None, "segmenter": None}) == mine
    assert mine.instead({"clip": "ViT-B-32"}) == replace(mine, clip="ViT-B-32", pretrained=None)
    assert mine.instead({"clip": "ViT-B-32", "pretrained": "laion2b"}).pretrained == "laion2b"
    assert mine.instead({"dino": "facebook/dinov2-base"}) == replace(mine, dino="facebook/dinov2-base")
    metrics = OmegaConf.create({"clip": None, "pretrained": None, "segmenter": "folder"})
    take_judges(metrics, mine)
    assert metrics == {"clip": "ViT-L-14", "pretrained": "openai", "segmenter": "folder"}


def test_judges_that_are_too_small_for_a_run_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("maskvid.train.MINIATURE", 32 * 48 - 1)
    with pytest.raises(UserError, match="metrics.clip=null: the embedded miniature"):
        evaluate(configure_evaluate(f"run={run}", f"out={tmp_path}"))


def test_several_videos_of_each_clip_are_measured_for_diversity(run, triples, tmp_path):
    found = evaluate(
        configure_evaluate(
            f"run={run}", f"out={tmp_path}", f"+sets.mine={triples}", "sampling.samples=2", "seed=5",
            "scheduler.name=EulerDiscreteScheduler",
        )
    )  # fmt: skip
    assert 0 < found["mine/diversity"] < 99.999  # 100 is the same video for both seeds
    with (tmp_path / "metrics_per_clip.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["seed"] for row in rows] == ["5", "6"] * 3
    assert len(list(tmp_path.rglob("*.mp4"))) == 6


def test_what_generate_writes_can_be_scored_and_is_a_folder_of_triples(run, triples, tmp_path):
    for seed in (1, 2):
        generate(configure_generate(run, triples, f"out={tmp_path}", f"seed={seed}"))
    found = evaluate(configure_evaluate(f"videos={tmp_path}", "given_frames=0"))
    assert {key.partition("/")[2] for key in found} == {*METRICS} - {
        "subject_consistency",
        "background_psnr",
        "reference_mask_iou",
    }
    with (tmp_path / "evaluation" / "metrics_per_clip.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["clip"], row["seed"]) for row in rows] == [
        ("00-a-fox-runs-one", "1"), ("00-a-fox-runs-one", "2"), ("01-a-bird-one", "1"), ("01-a-bird-one", "2"),
    ]  # fmt: skip
    assert rows[0]["prompt"] == "a fox runs"


def test_masks_and_source_of_another_frame_rate_follow_the_video(run, triples, tmp_path):
    """The masks that were asked with, at the clip's rate, score a video at the run's as its own sidecar does."""
    generate(configure_generate(run, triples, f"out={tmp_path}", "prompt='[a fox] runs'"))
    [path] = tmp_path.glob("*.mp4")
    own, given = (
        evaluate(
            configure_evaluate(f"videos={path}", f"masks={masks}", f"out={tmp_path / name}", "height=32", "width=48")
        )
        for name, masks in (("a", path.with_suffix(".mask.npz")), ("b", f"{triples}/one.npz"))
    )
    assert own == given
    np.savez(tmp_path / "rateless.npz", masks=np.load(triples / "one.npz")["masks"])
    with pytest.raises(UserError, match="10 frames for the clip's 3 and does not say its frame rate; give mask_fps"):
        evaluate(configure_evaluate(f"videos={path}", f"masks={tmp_path}/rateless.npz", f"out={tmp_path / 'c'}"))


def test_a_command_that_names_nothing_says_so_without_a_traceback():
    done = run_command([], module="maskvid.evaluate", expect=1)
    assert "give one of run and videos" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_edit_is_held_against_its_source(run, triples, tmp_path):
    [path] = edit(configure_edit(run, triples, f"out={tmp_path}"))
    single = [f"videos={path}", "prompt='[a fox] runs'", f"masks={path.with_suffix('.mask.npz')}"]
    found = evaluate(configure_evaluate(*single, f"source={triples}/one.mp4", f"out={tmp_path / 'b'}"))
    edited, source = (frames_to_float(decode_frames(file, 32, 48)) for file in (path, triples / "one.mp4"))
    with np.load(path.with_suffix(".mask.npz")) as archive:
        masks = torch.from_numpy(archive["masks"])[:, None].float() / 255
    want = background_psnr(edited, source[::2][: len(edited)], masks)
    assert found["videos/background_psnr"] == pytest.approx(float(want), rel=1e-5)


def test_a_figure_that_is_not_finite_is_null_in_what_other_programs_read(triples, tmp_path):
    single = [f"videos={triples}/one.mp4", f"source={triples}/one.mp4", f"masks={triples}/one.npz", f"out={tmp_path}"]
    assert evaluate(configure_evaluate(*single))["videos/background_psnr"] == math.inf
    written = json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert written["metrics"]["videos/background_psnr"] is None
    assert "null" in written["conventions"]["background_psnr"]


@pytest.mark.parametrize(("height", "width"), [(36, 52), (100, 100)])
def test_a_video_of_any_size_is_scored(tmp_path, height, width):
    write_mp4(tmp_path / "a.mp4", make_frames(4, height, width))
    np.savez_compressed(tmp_path / "a.npz", masks=make_masks(4, height, width))
    single = [f"videos={tmp_path}/a.mp4", f"masks={tmp_path}/a.npz", f"out={tmp_path / 'out'}"]
    assert {f"videos/{name}" for name in MASKS} < set(evaluate(configure_evaluate(*single)))


def test_videos_of_imprecise_masks_are_scored_by_the_exact_ones(run, tmp_path, monkeypatch):
    """The segmenter knows the exact masks: whoever is scored by them has an IoU of 1."""
    judge = ["metrics.segmenter={_target_: tests.metrics.judges.KnownMasks, stride: 2}", "save_videos=false"]
    made = []
    for name, more in (("exact", []), ("wide", ["sampling.perturb=dilate", "sampling.perturb_strength=5"])):
        monkeypatch.setattr(KnownMasks, "frames", [])
        found = evaluate(configure_evaluate(f"run={run}", *judge, *more, f"out={tmp_path / name}"))
        assert found["seen/mask_iou"] == 1
        made.append(torch.cat(KnownMasks.frames))
    assert (made[0] - made[1]).abs().max() > 1e-4  # the imprecise masks were those that the videos were made from


def test_a_bare_video_is_scored_as_far_as_that_goes(triples, tmp_path):
    write_triple(tmp_path, "alone")
    found = evaluate(configure_evaluate(f"videos={tmp_path}/alone.mp4", f"out={tmp_path / 'a'}"))
    assert set(found) == {f"videos/{name}" for name in (*CONSISTENCY, *MOTION)}
    with_masks = evaluate(
        configure_evaluate(f"videos={tmp_path}/alone.mp4", f"masks={triples}/one.npz", f"out={tmp_path / 'b'}")
    )
    assert set(with_masks) == {f"videos/{name}" for name in (*MASKS, *CONSISTENCY, *IDENTITY, *MOTION)}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "give one of run and videos"),
        (["run=x", "videos=y"], "give one of run and videos"),
        (["videos=/nowhere"], "nowhere"),
        (["videos={folder}", "prompt=a"], "go with a single video"),
        (["videos={folder}/one.mp4", "source={folder}/two.mp4"], "give masks as well"),
        (["run=/nowhere"], "nowhere"),
        (["videos={folder}", "metrics.dino=/nowhere"], "dino"),
        (["videos={folder}/one.mp4", "metrics.clip=NoSuchModel"], "NoSuchModel"),
        (["run=[]"], "give a run directory"),
        (["videos={folder}", "sampling.samples=2"], "sampling.samples=2: it has no effect where videos are scored"),
        (["videos={folder}", "seed=2"], "seed=2: it has no effect"),
        (["videos={folder}", "mix=[1]"], "mix=.*no effect"),
        (["videos={folder}", "+sets.a=b"], "sets=.*no effect"),
        (["videos={folder}", "save_videos=false"], "save_videos=False: it has no effect"),
        (["videos={folder}", "backbone.path=x"], "backbone.path=x: it has no effect"),
        (["videos={folder}", "scheduler.name=x"], "scheduler.name=x: it has no effect"),
        (["videos={folder}", "source_fps=2"], "source_fps=2.0: it has no effect without a source"),
        (["run=/nowhere", "masks=m"], "masks=m: it has no effect where a run is scored"),
        (["run=/nowhere", "height=64"], "height=64: it has no effect"),
        (["run=/nowhere", "mask_fps=2"], "mask_fps=2.0: it has no effect"),
        (["run=/nowhere", "sampling.samples=0"], "sampling.samples=0: give 1 to 1024"),
        (["run=/nowhere", "given_frames=-1"], "given_frames=-1"),
        (["run=/nowhere", "out={folder}/one.mp4"], "is a file; give a folder"),
    ],
)
def test_bad_requests_name_what_is_wrong(triples, tmp_path, more, words):
    with pytest.raises(UserError, match=words):
        evaluate(configure_evaluate(f"out={tmp_path}", *(entry.format(folder=triples) for entry in more)))


@pytest.mark.parametrize(
    "key", ["backbone.safety_checker=false", "backbone.control_picture=edge", "sampling.first_frame_guidance_scale=2"]
)
def test_what_only_a_painted_first_frame_looks_at_is_refused_where_it_is_given(run, key):
    with pytest.raises(UserError, match=f"{key.partition('=')[0]}=.*it has no effect"):
        evaluate(configure_evaluate(f"run={run}", key))
