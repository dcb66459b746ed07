"""The training method, seen from outside: what the 2-D U-Net receives, what is scored, how fast each weight learns."""

from __future__ import annotations

import inspect
from dataclasses import asdict, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from lightning.pytorch import Callback
from omegaconf import OmegaConf
from torch.nn import functional as F

from maskvid.clip import ClipBatch
from maskvid.config import loading
from maskvid.data import MaskVidDataModule
from maskvid.model import Backbone
from maskvid.module import MaskVidModule
from maskvid.train import build_module, train
from tests.backbones import PREDICTION, save_backbone
from tests.runs import configure

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # a step outside a trainer logs nothing


def build(overrides: list[str], *more: str) -> tuple[MaskVidModule, Any]:
    """A module as the entry point builds it, and its data, ready."""
    config = configure(overrides, "run_dir=unused", *more)
    backbone = Backbone(**asdict(loading(config.backbone)))
    data = MaskVidDataModule(OmegaConf.to_object(config.data)).attach(backbone)
    data.setup()
    return build_module(config, backbone, data.validation_names), data


def watch(module: MaskVidModule) -> list[SimpleNamespace]:
    """Record what the 2-D U-Net receives and returns: `frames` and `out` (b f, c, h, w), `levels` (b f)."""
    calls: list[SimpleNamespace] = []

    def record(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        given = inspect.signature(unet.forward).bind(*args, **kwargs).arguments
        calls.append(
            SimpleNamespace(
                frames=given["sample"].detach().clone(), levels=given["timestep"].clone(), out=out[0].detach().clone()
            )
        )

    module.backbone.unet.register_forward_hook(record, with_kwargs=True)
    return calls


def signal_share(levels: torch.Tensor) -> torch.Tensor:
    """alpha_bar (n, 1, 1, 1) of the schedule that `tests.backbones` saves."""
    return DDPMScheduler(beta_schedule="scaled_linear").alphas_cumprod[levels.long()].view(-1, 1, 1, 1)


@pytest.fixture(scope="module")
def folders(tiny_backbone, tmp_path_factory):
    return {"mini": tiny_backbone, "sd1": save_backbone(tmp_path_factory.mktemp("sd1"), "sd1")}


@pytest.mark.parametrize("kind", ["mini", "sd1"])
def test_a_step_scores_what_the_backbone_predicts_on_the_noised_frames_alone(overrides, folders, kind):
    """The loss against diffusers' `get_velocity`, or the noise, that is read off what the U-Net received."""
    module, data = build(overrides, f"backbone.path={folders[kind]}", "data.batch_size=3", "data.validation=null")
    calls = watch(module.train())
    batch = next(iter(data.train_dataloader()))
    loss = module.training_step(batch, 0)
    [call] = calls
    b, f = batch.latents.shape[:2]
    assert (b, f) == (3, 3)
    frames, levels, out = (x.unflatten(0, (b, f))[:, 1:].flatten(0, 1) for x in (call.frames, call.levels, call.out))
    clean = batch.latents[:, 1:].flatten(0, 1)
    alpha = signal_share(levels)
    noise = (frames - alpha.sqrt() * clean) / (1 - alpha).sqrt()
    assert noise.std().item() == pytest.approx(1, abs=0.1)  # frames are at the level that the U-Net is told
    schedule = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=PREDICTION[kind])
    target = schedule.get_velocity(clean, noise, levels) if PREDICTION[kind] == "v_prediction" else noise
    assert loss.item() == pytest.approx(F.mse_loss(out, target).item(), rel=1e-4)


def test_frame_0_is_given_clean_to_the_last_bit_and_no_other_is(overrides):
    module, data = build(overrides, "data.batch_size=8", "data.validation=null")
    calls = watch(module.train())
    batches = list(islice(data.train_dataloader(), 4))
    for batch in batches:
        module.training_step(batch, 0)
    for batch, call in zip(batches, calls, strict=True):
        frames = call.frames.unflatten(0, batch.latents.shape[:2])
        assert torch.equal(frames[:, 0], batch.latents[:, 0])
        assert ((frames - batch.latents)[:, 1:].abs().amax((2, 3, 4)) > 1e-3).all()
    # Every noise level is trained: of 32 draws some lie in each quarter of the schedule, and a clip has one level.
    levels = torch.cat([call.levels.unflatten(0, (8, 3))[:, 1:] for call in calls])
    assert torch.equal(levels[:, 0], levels[:, 1])
    assert set((levels[:, 0] // 250).tolist()) == {0, 1, 2, 3}


class Rates(Callback):
    """Remembers the learning rate of every trained weight at every step, and after the last."""

    seen: list[dict[str, float]]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        Rates.seen = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._remember(pl_module, optimizer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._remember(pl_module, trainer.optimizers[0])

    def _remember(self, module: Any, optimizer: Any) -> None:
        rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
        trained = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        Rates.seen.append({name: rates[id(weight)] for name, weight in trained.items()})


def test_rates_are_those_configured_warm_up_and_fall_to_zero(overrides, tmp_path):
    train(
        configure(
            overrides,
            f"run_dir={tmp_path}",
            "data.validation=null",
            "trainer.max_steps=8",
            "optim.learning_rate=1e-4",
            "optim.mask_learning_rate=2e-3",
            "optim.warmup_steps=2",
            "optim.decay_from=0.5",
            "+callbacks.rates={_target_: tests.test_module.Rates}",
        )
    )
    course = [0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    guides = [name for name in Rates.seen[0] if "mask_input" in name or name.endswith((".strength", ".gate"))]
    others = [name for name in Rates.seen[0] if "temporal" in name or "attn1.to_q" in name]
    for names, rate in ((guides, 2e-3), (others, 1e-4)):
        assert names
        for name in names:
            assert [step[name] for step in Rates.seen] == pytest.approx([rate * share for share in course]), name


def validation_batch(data: Any) -> ClipBatch:
    return next(iter(data.val_dataloader()[0]))


def test_videos_of_imprecise_masks_are_scored_by_the_exact_ones(overrides):
    module, data = build(overrides, "sampling.perturb=dilate", "sampling.perturb_strength=5")
    given: list[torch.Tensor] = []

    def record(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given.append(inspect.signature(unet.forward).bind(*args, **kwargs).arguments["masks"])

    module.unet.register_forward_pre_hook(record, with_kwargs=True)
    batch = validation_batch(data)
    exact = batch.masks.clone()
    [sample] = module.eval().validation_step(batch, 0, 0)
    assert torch.equal(sample.masks, exact[0])
    assert given
    assert all((masks >= exact).all() and masks.sum() > 1.1 * exact.sum() for masks in given)


def test_a_validation_video_is_sampled_from_its_own_masks_and_first_frame(overrides):
    """The masks make a difference where they steer, and the first frame of the video is the clip's own."""
    strong = ["method.unet.self_attention_strength=64", "method.unet.cross_attention_strength=64"]
    module, data = build(overrides, *strong)
    batch = validation_batch(data)
    [sample] = module.eval().validation_step(batch, 0, 0)
    torch.testing.assert_close(sample.frames[0], module.backbone.decode_latents(batch.latents[0, :1])[0])
    moved = replace(batch, masks=torch.cat([batch.masks[:, :1], batch.masks[:, 1:].flip(-1)], 1))
    [other] = module.validation_step(moved, 0, 0)
    assert (sample.frames - other.frames)[1:].abs().max() > 1e-4
