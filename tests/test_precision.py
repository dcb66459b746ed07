"""Types of the frozen backbone and of the arithmetic: which meet, and what is trained in them."""

import pytest
import torch

from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.model import InflatedUNet, read_adapter
from maskvid.pipeline import MaskVidPipeline
from maskvid.settings import Optim
from maskvid.train import check_precision, train
from tests.backbones import tiny_unet
from tests.model.test_inflate import clip
from tests.runs import configure, configure_generate

HALVES = ["float16", "bfloat16"]
MIXED = ["16-mixed", "bf16-mixed", "bf16", 16]
REFUSED = ["16-true", "bf16-true", "transformer-engine", "transformer-engine-float16"]


@pytest.mark.parametrize("dtype", ["float32", *HALVES])
def test_every_pair_of_types_is_decided(dtype):
    for precision in MIXED:
        check_precision(dtype, precision, "gpu")
    for precision in REFUSED:
        with pytest.raises(
            UserError, match=rf"precision={precision} .*dtype={dtype}.*set trainer\.precision=bf16-mixed"
        ):
            check_precision(dtype, precision, "gpu")
    for precision in ("32-true", "32", 32, None, "64-true", 64):
        if dtype == "float32":
            check_precision(dtype, precision, "cpu")
        else:
            with pytest.raises(UserError, match=rf"precision={precision} .*dtype={dtype}.*backbone\.dtype=float32"):
                check_precision(dtype, precision, "gpu")
    if dtype == "float16":
        with pytest.raises(UserError, match=r"on a CPU.*set backbone\.dtype=bfloat16"):
            check_precision(dtype, "bf16-mixed", "cpu")
    else:
        check_precision(dtype, "bf16-mixed", "cpu")


def test_a_pair_that_cannot_work_is_refused_before_the_backbone_is_looked_for(overrides, tmp_path):
    more = [f"run_dir={tmp_path}", "backbone.path=/nowhere", "backbone.dtype=bfloat16", "trainer.precision=32-true"]
    with pytest.raises(UserError, match="trainer.precision=32-true with backbone.dtype=bfloat16"):
        train(configure(overrides, *more))


@pytest.mark.parametrize("parts", [{}, {"cross_query": True, "temporal_attention": "full", "temporal_conv": "full"}])
def test_one_step_at_a_small_rate_moves_all_that_is_trained_in_float32(parts):
    video = InflatedUNet(
        tiny_unet("mini").to(torch.bfloat16), vae_scale_factor=4, gradient_checkpointing=not parts, **parts
    ).train()
    assert {parameter.dtype for parameter in video.steering.parameters()} == {torch.float32}
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in video.steering.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # off zero, where products of zeros hide gradients
    before = {name: value.detach().clone() for name, value in video.steering.named_parameters()}
    latents, timesteps, text, steer = clip("mini")
    with torch.autocast("cpu", torch.bfloat16):
        loss = video(latents, timesteps, text, **steer)[:, 1:].float().square().mean()
    loss.backward()
    torch.optim.AdamW(video.steering.parameters(), lr=1e-4, weight_decay=Optim().weight_decay).step()
    for name, value in video.steering.named_parameters():
        assert not torch.equal(value, before[name]), name
        if name.endswith(("to_q.weight", "to_k.weight", "to_v.weight")):
            assert (value != before[name]).float().mean() > 0.9, name


@pytest.mark.parametrize(("dtype", "precision"), [("bfloat16", "16-mixed"), ("float32", "64-true")])
def test_a_run_trains_averages_resumes_and_generates(overrides, triples, tmp_path, dtype, precision):
    """Float16 arithmetic is not for CPUs: there Lightning takes bfloat16 and says so."""
    more = [f"run_dir={tmp_path}", f"backbone.dtype={dtype}", f"trainer.precision={precision}", "data.validation=null"]
    train(configure(overrides, *more, "trainer.max_steps=1"))
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    train(configure(overrides, *more, "trainer.max_steps=2", "ckpt_path=last"))
    assert read_adapter(tmp_path / "adapter")["run"]["steps"] == 2
    wanted = torch.float64 if precision == "64-true" else torch.float32
    assert {value.dtype for value in kept["state_dict"].values()} == {wanted}
    assert {value.dtype for value in kept["callbacks"]["EMA"]["average"].values()} == {torch.float32}
    pipe = MaskVidPipeline.from_pretrained(tmp_path)
    assert {value.dtype for value in pipe.inflated.steering.state_dict().values()} == {torch.float32}
    assert generate(configure_generate(tmp_path, triples, f"out={tmp_path}"))[0].exists()
