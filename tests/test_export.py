"""What others get of a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from hydra import compose, initialize_config_dir

from maskvid import MaskVidPipeline
from maskvid.config import CONF
from maskvid.errors import UserError
from maskvid.export import export
from maskvid.model import save_adapter
from maskvid.train import train
from maskvid.tuned import read_run
from tests.backbones import save_backbone
from tests.runs import configure


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "run"
    mine = [entry for entry in overrides if not entry.startswith("callbacks.metrics")]
    train(configure(mine, f"run_dir={folder}", "trainer.max_steps=1", "trainer.limit_val_batches=1"))
    return folder


def configured(*more: str):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("export", overrides=list(more))


def test_weights_card_and_samples_and_nothing_of_ones_own_machine(run, triples, tiny_backbone):
    folder = export(configured(f"run={run}", "base=somebody/their-diffusion"))
    assert folder == run / "export"
    described = json.loads((folder / "adapter.json").read_text())["run"]
    assert described["backbone"]["path"] == "somebody/their-diffusion"
    for path in (run, triples, tiny_backbone):
        for name in ("adapter.json", "adapter.safetensors", "README.md"):
            assert str(path).encode() not in (folder / name).read_bytes(), (path, name)
    card = ModelCard.load(folder / "README.md")
    assert card.data.base_model == "somebody/their-diffusion"
    assert card.data.license == "apache-2.0"
    assert "mask_iou" in card.text
    assert "MaskVidPipeline.from_pretrained" in card.text
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert [name for name in samples if name.endswith(".mp4")] == ["seen-one.mp4", "seen-three.mp4", "seen-two.mp4"]
    assert all(f"samples/{name}" in card.text for name in samples if name.endswith(".png"))


def test_what_is_exported_makes_the_videos_of_the_run(run, tiny_backbone, tmp_path):
    folder = export(configured(f"run={run}", f"out={tmp_path / 'mine'}"))
    masks = torch.zeros(3, 32, 48)
    masks[:, 8:24, 8:24] = 1
    videos = [
        MaskVidPipeline.from_pretrained(path, backbone={"path": str(tiny_backbone)})(
            "[a fox] runs", masks, generator=torch.Generator().manual_seed(1), output_type="latent"
        ).frames
        for path in (run, folder)
    ]
    assert torch.equal(*videos)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_every_kind_of_backbone_goes_the_whole_way(kind, overrides, tmp_path):
    """Tuned, gone on with, exported; made, made long and edited by what was exported."""
    backbone = save_backbone(tmp_path / "backbone", kind)
    mine = [entry for entry in overrides if not entry.startswith(("backbone.path=", "data.validation="))]
    mine += [f"backbone.path={backbone}", "data.validation=null", f"run_dir={tmp_path / 'run'}", "ckpt_path=auto"]
    for steps in (1, 2):
        train(configure(mine, f"trainer.max_steps={steps}", "optim.decay_from=1", f"data.cache_dir={tmp_path}/cache"))
    with pytest.warns(UserWarning, match="give base=HUB_ID"):
        folder = export(configured(f"run={tmp_path / 'run'}"))
    pipe = MaskVidPipeline.from_pretrained(folder)
    masks = torch.zeros(5, 32, 48)
    masks[:, 8:24, 8:24] = 1
    made = pipe("[a fox] runs", masks, num_frames=3, num_inference_steps=1, guidance_scale=2.0, output_type="pt").frames
    assert made.shape == (1, 3, 3, 32, 48)
    assert made.isfinite().all()
    assert sum(1 for _ in pipe.long("[a fox] runs", masks, num_frames=5, num_inference_steps=1)) == 5
    clip = torch.rand(3, 3, 32, 48).mul(2).sub(1)
    assert len(pipe.edit("[a fox] runs", clip, masks, num_inference_steps=1).frames[0]) == 3


def test_a_folder_in_use_is_refused_and_replaced_where_that_is_asked(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"out=.*mine: it holds something.*overwrite=true"):
        export(configured(f"run={run}", f"out={tmp_path / 'mine'}"))
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert (export(configured(f"run={run}", f"out={tmp_path / 'mine'}", "overwrite=true")) / "README.md").exists()
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(UserError, match="run=/nowhere"):
        export(configured("run=/nowhere"))


@pytest.mark.parametrize("place", ["", "adapter"])
def test_a_run_is_never_exported_over_itself(run, place):
    before = sorted(path for path in run.rglob("*"))
    with pytest.raises(UserError, match=r"out=.*: it is a run's own folder.*give another"):
        export(configured(f"run={run}", f"out={run / place}", "overwrite=true"))
    assert sorted(path for path in run.rglob("*")) == before


def test_samples_that_no_export_wrote_stay(run, tmp_path):
    (tmp_path / "mine" / "samples").mkdir(parents=True)
    (tmp_path / "mine" / "samples" / "holiday.png").write_text("mine")
    export(configured(f"run={run}", f"out={tmp_path / 'mine'}", "overwrite=true"))
    assert (tmp_path / "mine" / "samples" / "holiday.png").exists()


def test_nothing_is_uploaded_unless_that_is_asked(run, tmp_path, monkeypatch):
    sent = []

    class Hub:
        def create_repo(self, name, exist_ok):
            sent.append(name)

        def upload_folder(self, repo_id, folder_path):
            sent.append(folder_path)
            raise OSError("no network")

    monkeypatch.setattr("maskvid.export.HfApi", Hub)
    export(configured(f"run={run}", f"out={tmp_path / 'a'}"))
    assert sent == []
    with pytest.raises(UserError, match="push=me/horse: the hub refuses: no network; the folder is whole"):
        export(configured(f"run={run}", f"out={tmp_path / 'b'}", "push=me/horse"))
    assert sent == ["me/horse", tmp_path / "b"]


def test_judges_that_lie_on_ones_own_machine_are_not_told(run, tmp_path):
    """Names of hubs are of use to others; a path says who tuned it, and means nothing elsewhere."""
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    described = read_run(copied)
    judges = replace(described.judges, clip="ViT-L-14", pretrained="openai", segmenter=str(tmp_path / "sam2"))
    steering = MaskVidPipeline.from_pretrained(run).inflated.steering.state_dict()
    save_adapter(copied / "adapter", steering, asdict(replace(described, judges=judges)))
    folder = export(configured(f"run={copied}", f"out={tmp_path}/out"))
    told = json.loads((folder / "adapter.json").read_text())["run"]["judges"]
    assert told == {"clip": "ViT-L-14", "pretrained": "openai", "segmenter": None, "dino": None}
