"""Learning rates and weight decay by what layers say that they are, over every method and kind of backbone."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from maskvid.config import CONF, loading
from maskvid.model import decays, parameters_by_role
from maskvid.model.roles import Role, declare
from tests.backbones import UNETS, tiny_unet
from tests.model.test_peers import inflated

METHODS = sorted(path.stem for path in Path(CONF, "method").glob("*.yaml"))


@pytest.mark.parametrize("kind", UNETS)
@pytest.mark.parametrize("method", METHODS)
def test_groups_are_disjoint_and_complete_and_copies_do_not_decay(method, kind):
    unet = tiny_unet(kind)
    video = inflated(method, unet, temporal_words=True)
    found = parameters_by_role(video.steering)
    listed = [id(parameter) for parameters in found.values() for parameter in parameters]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in video.steering.parameters()}
    role_of = {id(parameter): role for role, parameters in found.items() for parameter in parameters}
    frozen = dict(unet.named_parameters())
    matrices = (nn.Linear, nn.Conv2d, nn.Conv3d)
    for layer_name, layer in video.steering.named_modules():
        for own, parameter in layer.named_parameters(recurse=False):
            name, role = f"{layer_name}.{own}", role_of[id(parameter)]
            block, _, rest = name.partition(".")
            original = frozen.get(f"{block.replace('-', '.')}.{rest}")
            copied = original is not None and torch.equal(original, parameter)
            assert copied == (role is Role.COPY), name
            assert decays(role, parameter) == (isinstance(layer, matrices) and own == "weight" and not copied), name
            fast = block.startswith(("mask_input", "first_frame_input")) or "from_words" in name
            fast |= name.endswith((".strength", ".gate"))  # gates that are convolutions end in weight and bias
            assert fast == (role is Role.GUIDE), name


def test_a_trained_layer_that_does_not_say_what_it_is_is_refused():
    layers = nn.ModuleDict({"known": declare(nn.Linear(2, 2), Role.LAYER), "new": nn.Linear(2, 2)})
    with pytest.raises(TypeError, match=r"new\.weight is trained"):
        parameters_by_role(layers)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_optimiser_steps_as_its_name_says(overrides, tmp_path, name):
    """Muon's step moves a matrix and a kernel in all directions alike, and as far on average as AdamW's."""
    from maskvid.model import Backbone
    from maskvid.train import build_module
    from tests.runs import configure

    settings = ["optim.weight_decay=0", "optim.warmup_steps=0", f"optim.name={name}"]
    config = configure(overrides, f"run_dir={tmp_path}", *settings)
    module = build_module(config, Backbone(**asdict(loading(config.backbone))), [])
    module.trainer = type("Trainer", (), {"max_steps": 10})()
    optimizer = module.configure_optimizers()["optimizer"]
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    rates = {key: rates[id(weight)] for key, weight in module.unet.steering.named_parameters()}
    before = {name: value.clone() for name, value in module.unet.steering.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    for parameter in module.unet.steering.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    for key, after in module.unet.steering.named_parameters():
        moved = (after - before[key]).detach()
        if key.endswith(("to_qkv.weight", "mask_input.conv.weight")):
            stretched = torch.linalg.svdvals(moved.flatten(1))
            assert (float(stretched.min()) > 0.5 * float(stretched.max())) is (name == "muon"), key
            assert 0.1 * rates[key] < moved.square().mean().sqrt() < 1.01 * rates[key], key
        if key.endswith(".bias"):  # no matrix: as large everywhere, whatever the gradient
            assert 0 < moved.abs().min() > 0.99 * moved.abs().max(), key
            assert moved.abs().max() < 2 * rates[key], key


def test_a_copy_keeps_its_weights_where_no_gradient_moves_it(overrides, tmp_path):
    """With a rate of decay that would take a third of it in a step, through the optimiser that trains."""
    from maskvid.model import Backbone
    from maskvid.train import build_module
    from tests.runs import configure

    rates = ["optim.weight_decay=0.5", "optim.learning_rate=0.7", "optim.mask_learning_rate=0.7"]
    config = configure(overrides, f"run_dir={tmp_path}", *rates, "optim.warmup_steps=0")
    module = build_module(config, Backbone(**asdict(loading(config.backbone))), [])
    module.trainer = type("Trainer", (), {"max_steps": 10})()
    optimizer = module.configure_optimizers()["optimizer"]
    before = {name: value.clone() for name, value in module.unet.steering.named_parameters()}
    for parameter in module.unet.steering.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {name for name, value in module.unet.steering.named_parameters() if not torch.equal(value, before[name])}
    assert any("to_qkv.weight" in name for name in changed)
    assert any(name.startswith("mask_input.shape") for name in changed)
    still = ("bias", "gate", "strength", "to_q.weight", "to_k.weight", "to_v.weight", "norm.weight")
    assert not [name for name in changed if name.endswith(still)]
