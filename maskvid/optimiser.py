"""Muon, which moves a matrix in all directions alike (Jordan et al., 2024), on any machine: the library's, in stacks.

What is a matrix the library orthogonalises one by one and in bfloat16. A processor without matrix tiles multiplies
that thirty times slower than float32 (343 instead of 38 ms of a step of the miniature, whose forward and backward take
516). Here those of one shape are one stack, in float32 but on GPUs, which also launch fewer products so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from timm.optim import Muon
from timm.optim.muon import get_lr_scale, zeropower_via_newtonschulz

# Newton-Schulz in five steps that bring all singular values close to 1, the library's own (Cesista et al., 2025)
STEPS = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def is_matrix(parameter: torch.Tensor) -> bool:
    """Whether a parameter maps several features to several, as it is or as a kernel (out, in, ...) made flat.

    As the library has it: neither side is below 4 nor more than 128 times the other.
    """
    if parameter.ndim < 2 or parameter.shape[1] == 1:
        return False
    sides = sorted((len(parameter), parameter[0].numel()))
    return sides[0] >= 4 and sides[1] <= 128 * sides[0]


class StackedMuon(Muon):
    """Muon for matrices and kernels, the library's AdamW with Nesterov's momentum for all else.

    An update is as large as AdamW's on average (Liu et al., 2025), so that one rate serves both.

    Args:
        groups: Parameter groups, each with its `lr` and `weight_decay`.

    Example:
        >>> layer = torch.nn.Linear(8, 8)
        >>> optimizer = StackedMuon([{"params": layer.parameters(), "lr": 1e-3, "weight_decay": 0.0}])
        >>> layer(torch.ones(8)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        # whatever is left to the library's own step is no matrix
        super().__init__([{"use_fallback": True, **group} for group in groups], nesterov=True, betas=(0.9, 0.999))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; those of matrices are spent by it, and become None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            stacks = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None and is_matrix(parameter):
                    stacks[parameter.shape, parameter.dtype, parameter.device].append(parameter)
            for stack in stacks.values():
                self._turn(stack, group["lr"], group["weight_decay"], group["momentum"])
        super().step()
        return loss

    def _turn(self, stack: list[torch.Tensor], rate: float, weight_decay: float, momentum: float) -> None:
        """Move parameters of one shape (out, in, ...): those of a stack are orthogonalised at once."""
        gradients = [parameter.grad for parameter in stack if parameter.grad is not None]
        for parameter in stack:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        moving = [self.state[parameter]["momentum_buffer"] for parameter in stack]
        torch._foreach_lerp_(moving, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, moving, momentum)
        dtype = torch.bfloat16 if stack[0].is_cuda else torch.float32
        matrices = torch.stack([update.flatten(1) for update in ahead])
        turned = zeropower_via_newtonschulz(matrices, len(STEPS), STEPS, dtype=dtype).to(stack[0].dtype)
        torch._foreach_mul_(stack, 1 - rate * weight_decay)
        torch._foreach_add_(stack, list(turned.view(-1, *stack[0].shape)), alpha=-rate * get_lr_scale(turned.shape))
        for parameter in stack:
            parameter.grad = None
