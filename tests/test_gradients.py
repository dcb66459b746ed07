"""Every trained parameter has a part in a training step, whatever is switched: DDP stops at one that has none."""

from pathlib import Path

import pytest
import torch

from maskvid.clip import ClipBatch
from maskvid.config import CONF
from maskvid.method import REFERENCES, Method, Parts
from maskvid.model import Backbone
from maskvid.prompt import Prompt, parse_prompt
from maskvid.train import build_module
from tests.backbones import tiny_unet
from tests.runs import configure

FRAMES, HEIGHT, WIDTH = 3, 8, 12
OTHERS = {
    "layers": ["all"],
    "rank": ["null", "3"],
    "first_frame": ["denoised", "denoised,first_frame_input=false"],
    "reference": REFERENCES,
    "temporal_attention": ["full", "null"],
    "temporal_conv": ["full", "null"],
    "self_attention_strength": ["null"],
    "cross_attention_strength": ["null"],
    "gradient_checkpointing": ["true"],  # the backbone's, false here
}


def switches() -> list[str]:
    """Each setting of the method and of its U-Net alone, each method, each ablation: overrides with commas."""
    found = [f"method.{key}=false" for key, value in vars(Method()).items() if value is True and key != "trained"]
    for key, value in vars(Parts()).items():
        for other in [str(not value).lower()] if isinstance(value, bool) else OTHERS[key]:
            found.append(f"method.unet.{key}={other}".replace(",", ",method.unet."))
    found.remove("method.unet.first_frame=denoised")  # refused, see tests/model/test_peers.py
    for group, sign in (("method", ""), ("ablation", "+")):
        found += [f"{sign}{group}={path.stem}" for path in sorted(Path(CONF, group).glob("*.yaml"))]
    return [*found, "method.unet.temporal_words=true,method.unet.temporal_attention=null"]


@pytest.fixture(scope="module")
def backbone(tiny_backbone) -> Backbone:
    return Backbone(str(tiny_backbone))


@pytest.fixture(scope="module")
def batch(backbone) -> ClipBatch:
    """Two clips: one with a subject, one whose prompt was dropped."""
    text, subject, pooled = backbone.encode_text([parse_prompt("[a horse] runs"), Prompt("")])
    generator = torch.Generator().manual_seed(0)
    return ClipBatch(
        ids=["a", "b"],
        masks=torch.rand(2, FRAMES, 1, 4 * HEIGHT, 4 * WIDTH, generator=generator),
        text=text,
        subject=subject,
        latents=torch.randn(2, FRAMES, 4, HEIGHT, WIDTH, generator=generator),
        frames=None,
        prompts=["a horse runs", ""],
        pooled=pooled,
        positions=[0, 1],
    )


@pytest.mark.parametrize("switch", switches())
def test_every_trained_parameter_gets_a_gradient(switch, overrides, backbone, batch, tmp_path):
    backbone.pipeline.unet = tiny_unet("mini")  # inflation sets hooks, which nothing takes away
    config = configure(overrides, f"run_dir={tmp_path}", *switch.split(","))
    module = build_module(config, backbone, []).train()
    trained = dict(module.unet.steering.named_parameters())
    if not trained:
        assert config.method.trained is False
        return
    module.training_step(batch, 0).backward()
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []
