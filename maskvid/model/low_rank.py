"""Trained projections that begin as the frozen model's: whole copies, or differences of low rank."""

from __future__ import annotations

import torch
from torch import nn

from maskvid.model.roles import Role, declare


class LowRankDifference(nn.Module):
    """What is added to a frozen projection: B A, of low rank (LoRA, arXiv 2106.09685).

    B starts at zero, so that the sum begins as the frozen projection, and weight decay draws it back there. Its weights
    have the names that diffusers and PEFT give to a LoRA's.

    Args:
        layer: The frozen projection.
        rank: Width in between.
    """

    role = Role.LAYER

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.lora_A = nn.Linear(layer.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        return self.lora_B(self.lora_A(x))


def trained_projection(layer: nn.Linear, rank: int | None) -> nn.Module:
    """The trained part of a projection, in float32: half precision cannot take AdamW's small steps.

    Args:
        layer: The frozen projection that it begins as.
        rank: Of its difference; None trains a whole copy.
    """
    if rank is None:
        whole = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
        whole.load_state_dict(layer.state_dict())  # and not what hangs on the frozen one, such as its casting
        return declare(whole, Role.COPY)
    return LowRankDifference(layer, rank)


def project(trained: nn.Module | None, x: torch.Tensor, frozen: torch.Tensor) -> torch.Tensor:
    """What a projection makes of `x`, given what the frozen one makes of it."""
    if trained is None:
        return frozen
    return frozen + trained(x) if isinstance(trained, LowRankDifference) else trained(x)
