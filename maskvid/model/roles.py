"""What each trained layer is, said by the layer itself: its learning rate and its weight decay follow from it."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


class Role(StrEnum):
    """A layer says what it is by its attribute `role`; what lies within it is the same, unless that says otherwise."""

    GUIDE = "guide"
    """New; what masks, first frame and words feed, strengths and scalar gates. Learns fast."""
    LAYER = "layer"
    """New; what hands on features. Learns slowly."""
    COPY = "copy"
    """Begins from weights of the frozen model. Learns slowly."""


def declare(layer: Layer, role: Role) -> Layer:
    """Say what a layer is whose class does not."""
    layer.role = role  # type: ignore[assignment]  # a plain attribute, neither tensor nor module
    return layer


def decays(role: Role, parameter: nn.Parameter) -> bool:
    """Whether weight decay, which draws towards zero, is right for a parameter.

    It is for the weight matrices and kernels of new layers. Biases, norms, strengths and scalar gates mean something by
    their size, and a copy began elsewhere: drawn to zero it would forget what the frozen model knows.
    """
    return role is not Role.COPY and parameter.ndim >= 2


def parameters_by_role(module: nn.Module) -> dict[Role, list[nn.Parameter]]:
    """Every trained parameter of a module, once, by what the innermost layer around it says that it is.

    Raises:
        TypeError: No layer around a parameter says so.
    """
    found: dict[Role, list[nn.Parameter]] = {role: [] for role in Role}
    roles: dict[str, Role | None] = {}
    for name, layer in module.named_modules():
        role = layer.__dict__.get("role", getattr(type(layer), "role", None))
        roles[name] = role if isinstance(role, Role) else roles.get(name.rpartition(".")[0])
        for own, parameter in layer.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            known = roles[name]
            if known is None:
                raise TypeError(f"{name}.{own} is trained, and no layer around it has a maskvid.model.roles.Role")
            found[known].append(parameter)
    return found
