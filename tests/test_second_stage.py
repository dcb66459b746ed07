"""Rough masks are learnt behind the tuning: exact ones lose nothing, and a stage that was stopped goes on."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maskvid.clip import softened
from maskvid.errors import UserError
from maskvid.masks.perturb import boxes
from maskvid.model import ROUGH
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import train
from tests.runs import configure

ON = ("method.rough_masks=0.5", "data.validation=null", "optim.mask_learning_rate=0.05")


def adapter(run):
    return load_file(run / "adapter" / "adapter.safetensors")


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rough") / "run"
    train(configure(overrides, f"run_dir={folder}", *ON))
    return folder


def test_exact_masks_lose_nothing_to_the_bit(run, overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}/plain", *ON, "method.rough_masks=0"))
    plain, with_stage = adapter(tmp_path / "plain"), adapter(run)
    assert all(torch.equal(value, with_stage[name]) for name, value in plain.items())
    more = with_stage.keys() - plain.keys()
    assert more
    assert all(name.startswith(ROUGH) for name in more)
    moved = [name for name in more if not torch.equal(with_stage[name], plain[name.removeprefix(ROUGH)])]
    assert any("conv" in name for name in moved)
    first = MaskVidPipeline.from_pretrained(tmp_path / "plain")
    second = MaskVidPipeline.from_pretrained(run)
    masks = np.zeros((3, 32, 48), bool)
    masks[:, 8:24, 10:30] = masks[:, 20:30, 12:14] = True

    def video(pipe, **more):
        pipe.set_progress_bar_config(disable=True)
        draws = torch.Generator().manual_seed(1)
        return pipe("[a fox] runs", masks, num_frames=3, generator=draws, output_type="pt", **more).frames

    assert torch.equal(video(first, mask_precision="exact"), video(second, mask_precision="exact"))
    assert not torch.equal(video(second, mask_precision="exact"), video(second, mask_precision="rough"))
    with pytest.raises(UserError, match=r"mask_precision=rough: the run knows exact masks only"):
        video(first, mask_precision="rough")


def test_a_stage_that_was_stopped_goes_on_as_if_it_had_not_been(run, overrides, tmp_path, monkeypatch):
    from maskvid.module import MaskVidModule

    steps = MaskVidModule.training_step

    def fails_late(self, batch, batch_idx):
        if self.rough and self.trainer.global_step == 1:
            raise RuntimeError("the power is off")
        return steps(self, batch, batch_idx)

    often = "callbacks.checkpoint.every_n_train_steps=1"
    monkeypatch.setattr(MaskVidModule, "training_step", fails_late)
    with pytest.raises(RuntimeError, match="the power is off"):
        train(configure(overrides, f"run_dir={tmp_path}/run", *ON, often))
    assert not any(name.startswith(ROUGH) for name in adapter(tmp_path / "run"))  # of use as it is
    monkeypatch.setattr(MaskVidModule, "training_step", steps)
    train(configure(overrides, f"run_dir={tmp_path}/run", *ON, often, "ckpt_path=auto"))
    whole, resumed = adapter(run), adapter(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_boxes_are_seen_and_said(run):
    pipe = MaskVidPipeline.from_pretrained(run)
    masks = boxes(torch.ones(3, 1, 8, 12)) * 0
    masks[..., 2:6, 3:9] = 1
    with pytest.warns(UserWarning, match="look like boxes: mask_precision=box is taken"):
        assert pipe.looking_at(masks).sampling.mask_precision == "box"
    assert pipe.sampling.mask_precision == "exact"


def test_rough_masks_are_drawn_in_towards_what_nobody_knows():
    masks = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    drawn = softened(masks, torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(drawn, torch.tensor([[0.0, 1.0], [0.2, 0.8], [0.4, 0.6]]))


def test_a_method_without_mask_encoders_has_none_to_tune(overrides, tmp_path):
    with pytest.raises(UserError, match=r"method.rough_masks=0.5: the method has no mask encoders"):
        train(configure(overrides, f"run_dir={tmp_path}", *ON, "method=first_frame", "method.rough_masks=0.5"))


@pytest.mark.parametrize("share", ["0", "0.5"])
def test_a_tuning_begins_from_a_run_with_or_without_the_stage(run, overrides, tmp_path, share):
    mine = [*ON, f"method.rough_masks={share}", f"init_adapter={run}", "optim.learning_rate=0", "trainer.max_steps=1"]
    train(configure(overrides, f"run_dir={tmp_path}/next", *mine, "optim.mask_learning_rate=0"))
    before, after = adapter(run), adapter(tmp_path / "next")
    assert any(name.startswith(ROUGH) for name in after) == (share == "0.5")
    kept = [name for name in after if not name.startswith(ROUGH) and not name.endswith((".low", ".high"))]
    assert all(torch.equal(before[name], after[name]) for name in kept)
