"""The optimiser's own part: matrices in stacks, against the library that orthogonalises one by one."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from timm.optim import Muon
from timm.optim.muon import zeropower_via_newtonschulz
from torch import nn

import maskvid.optimiser
from maskvid.optimiser import StackedMuon, is_matrix

SHAPES = [
    (8, 8),
    (8, 24),
    (8, 8),
    (24, 8),
    (6, 4, 3, 3),
    (6, 4, 3, 3),
    (5, 4, 3, 1, 1),
    (1, 8, 1, 1),
    (8, 1, 3),
    (4, 600),
    (8,),
    (),
]


def weights(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def test_stacks_step_as_the_library_does_one_by_one():
    """Three steps, so that momentum counts; the library is right to the hundredth, for it rounds to bfloat16."""
    ours, theirs, still = weights(0), weights(0), weights(0)
    group = {"lr": 1e-2, "weight_decay": 0.1}
    stacked = StackedMuon([{"params": ours, **group}])
    library = Muon([{"params": theirs, **group}], nesterov=True, betas=(0.9, 0.999))
    for step in range(3):
        for ours_, theirs_, gradient in zip(ours, theirs, weights(step + 1), strict=True):
            ours_.grad, theirs_.grad = gradient.detach().clone(), gradient.detach().clone()
        stacked.step()
        library.step()
        assert [weight.grad is None for weight in ours] == [is_matrix(weight) for weight in ours]  # spent
    for ours_, theirs_, before in zip(ours, theirs, still, strict=True):
        moved = (theirs_ - before).detach()
        bound = 0.02 if is_matrix(before) else 1e-6
        assert (ours_ - theirs_).abs().max() < bound * moved.abs().max(), tuple(before.shape)


def test_matrices_are_orthogonalised_in_float32_where_no_gpu_is(monkeypatch):
    """bfloat16 takes twenty times longer on processors without matrix tiles, and rounds otherwise on each."""
    seen = []

    def watched(matrices, *arguments, dtype):
        seen.append((matrices.shape, dtype))
        return zeropower_via_newtonschulz(matrices, *arguments, dtype=dtype)

    monkeypatch.setattr(maskvid.optimiser, "zeropower_via_newtonschulz", watched)
    ours = weights(0)
    for weight in ours:
        weight.grad = torch.ones_like(weight)
    StackedMuon([{"params": ours, "lr": 1e-2, "weight_decay": 0.0}]).step()
    shapes = [(2, 8, 8), (1, 8, 24), (1, 24, 8), (2, 6, 36), (1, 5, 12)]
    assert seen == [(torch.Size(shape), torch.float32) for shape in shapes]


@pytest.mark.parametrize("saved_by", [partial(Muon, nesterov=True, betas=(0.9, 0.999)), StackedMuon])
def test_a_checkpoint_goes_on_where_it_stopped(saved_by):
    """Also one of the library's own optimiser, by which runs were tuned before."""
    group = {"lr": 1e-2, "weight_decay": 0.1}
    ours = weights(0)
    before = saved_by([{"params": ours, **group}])
    for weight in ours:
        weight.grad = torch.ones_like(weight)
    before.step()
    again = [nn.Parameter(weight.detach().clone()) for weight in ours]
    after = StackedMuon([{"params": again, **group}])
    after.load_state_dict(deepcopy(before.state_dict()))
    for optimizer, chosen in ((before, ours), (after, again)):
        for weight in chosen:
            weight.grad = torch.full_like(weight, 0.5)
        optimizer.step()
    for ours_, again_ in zip(ours, again, strict=True):
        assert torch.allclose(ours_, again_, atol=0.0 if saved_by is StackedMuon else 5e-4)


def test_a_closure_is_called_with_gradients():
    weight = nn.Parameter(torch.ones(4, 4))
    optimizer = StackedMuon([{"params": [weight], "lr": 1e-2, "weight_decay": 0.0}])

    def closure():
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 16
    assert not torch.equal(weight, torch.ones(4, 4))
