"""A frozen backbone that is too large for one GPU, its weights shared out among the processes (FSDP)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

UNITS = (BasicTransformerBlock, ResnetBlock2D)
"""Modules whose weights are gathered together when they compute; they hold nearly all of a U-Net's."""


def shard_frozen(unet: UNet2DConditionModel, device: torch.device) -> list[str]:
    """Give every process its part of the frozen weights; a unit's are gathered just while it computes.

    What is trained is not touched: its gradients are averaged by DDP, which has to leave the frozen weights alone.

    Args:
        unet: Frozen, with every process's copy equal.
        device: This process's; its kind is that of the mesh.

    Returns:
        Names, within the U-Net, of the weights that are shared out.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    names = []
    for name, module in unet.named_modules():
        if isinstance(module, UNITS):
            names += [f"{name}.{parameter}" for parameter, _ in module.named_parameters()]
            fully_shard(module, mesh=mesh)
    return names


def gather(module: nn.Module, whole: bool) -> None:
    """Keep all weights on every process (`whole`) or share them out again.

    Gathering is a collective operation. While sampling, processes have different numbers of clips and must not wait for
    each other in every layer.
    """
    for unit in module.modules():
        if isinstance(unit, FSDPModule):
            units: Any = unit
            units.set_reshard_after_forward(not whole, recurse=False)
            units.unshard() if whole else units.reshard()
