"""A run on another machine: its own folder, its backbone and its clips lie elsewhere, and nothing lies where it lay."""

import os
import shutil

import pytest

from maskvid.edit import edit
from maskvid.errors import UserError
from maskvid.evaluate import evaluate
from maskvid.generate import generate
from maskvid.pipeline import MaskVidPipeline
from maskvid.report import report
from maskvid.train import train
from tests.backbones import save_backbone
from tests.runs import configure, configure_generate
from tests.test_evaluate import configure_evaluate
from tests.test_report import configure_report
from tests.test_requests import configure_edit


@pytest.fixture(scope="module")
def moved(overrides, tiny_backbone, triples, tmp_path_factory):
    """Folder of the runs `maskvid` and `tune_a_video`, their backbone and their clips: all moved after tuning."""
    there, here = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("here")
    shutil.copytree(tiny_backbone, there / "backbone")
    shutil.copytree(triples, there / "clips")
    before = os.getcwd()
    os.chdir(there)  # relative paths, of which a run must not depend
    try:
        given = ["backbone.path=backbone", "data.train=clips", "data.validation={seen: clips}", "data.cache_dir=cache"]
        given += ["trainer.max_steps=2", "trainer.limit_val_batches=0"]
        for method in ("maskvid", "tune_a_video"):
            train(configure(overrides, *given, f"method={method}", f"run_dir={there / method}"))
        assert MaskVidPipeline.from_pretrained(there / "maskvid").run.backbone.path == str(there / "backbone")
    finally:
        os.chdir(before)
    for name in ("maskvid", "tune_a_video", "backbone", "clips"):
        shutil.copytree(there / name, here / name)
    shutil.rmtree(there)
    return here


def at(moved) -> list[str]:
    return [f"backbone.path={moved / 'backbone'}"]


def test_it_generates_edits_is_scored_reported_and_resumed(moved, overrides, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, clips = tmp_path / "copied", moved / "clips"
    shutil.copytree(moved / "maskvid", run)
    assert all(path.exists() for path in generate(configure_generate(run, clips, *at(moved))))
    assert all(path.exists() for path in edit(configure_edit(run, clips, *at(moved), "sampling.num_inference_steps=2")))
    found = evaluate(configure_evaluate(f"run={run}", f"+sets.mine={clips}", *at(moved), "data.cache_dir=cache"))
    assert 0 <= found["mine/mask_iou"] <= 1
    assert (report(configure_report(f"runs={tmp_path}", "plots=false")) / "index.html").is_file()
    more = [f"run_dir={run}", "ckpt_path=last", f"data.train={clips}", "data.validation=null", "data.cache_dir=cache"]
    train(configure(overrides, *at(moved), *more, "trainer.max_steps=3"))
    assert MaskVidPipeline.from_pretrained(run).run.backbone.path == str(moved / "backbone")  # from now on it knows


def test_what_is_gone_is_named_with_the_remedy(moved, overrides, tmp_path):
    run, clips, other = moved / "maskvid", moved / "clips", tmp_path / "other"
    with pytest.raises(UserError, match=r"give backbone\.path=PATH"):
        generate(configure_generate(run, clips))
    with pytest.raises(UserError, match=r"give \+sets\.seen=FOLDER"):
        evaluate(configure_evaluate(f"run={run}", *at(moved), f"out={tmp_path}"))
    save_backbone(other, seed=1)
    with pytest.raises(UserError, match="other weights"):
        generate(configure_generate(run, clips, f"backbone.path={other}"))
    more = [f"run_dir={run}", "ckpt_path=last", f"data.train={clips}", "data.validation=null"]
    with pytest.raises(UserError, match="other weights"):
        train(configure(overrides, f"backbone.path={other}", *more, "trainer.max_steps=4"))


def test_training_clips_are_asked_for_only_where_sampling_starts_from_them(moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, clips = moved / "tune_a_video", moved / "clips"
    with pytest.raises(UserError, match=r"give data\.train=FOLDER"):
        generate(configure_generate(run, clips, *at(moved)))
    more = [*at(moved), f"data.train={clips}", "data.cache_dir=cache"]
    assert all(path.exists() for path in generate(configure_generate(run, clips, *more, "prompt='[a fox] runs'")))
    with pytest.raises(UserError, match=r"data\.train=.*no effect"):
        generate(configure_generate(moved / "maskvid", clips, *more))


def test_runs_mix_by_their_backbones_fingerprint_wherever_it_lay(moved, overrides, triples, tiny_backbone, tmp_path):
    more = ["trainer.max_steps=1", "data.validation=null", f"run_dir={tmp_path / 'second'}"]
    train(configure(overrides, *more))
    run = f"run=[{moved / 'maskvid'},{tmp_path / 'second'}]"
    mixed = configure_generate(tmp_path, triples, run, *at(moved), f"out={tmp_path}", "prompt='[a fox] runs'")
    assert all(path.exists() for path in generate(mixed))
