"""Noise that the frames of a clip share."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskvid.errors import UserError
from maskvid.settings import NOISES


def shared_noise(shape: Sequence[int], *, mode: str, alpha: float, generator: torch.Generator) -> torch.Tensor:
    """Draw noise for the frames of clips, in training as in sampling.

    `preserve` keeps unit variance: eps_i = sqrt(a) eps_shared + sqrt(1 - a) eps_i. `lamp` is the formula LAMP samples
    with (arXiv 2310.10769): eps_i = a eps_1 + (1 - a) eps_i for frames 2.., whose variance is a^2 + (1 - a)^2.

    Args:
        shape: (b, f, c, h, w).
        mode: `independent`, `preserve` or `lamp`.
        alpha: a in [0, 1], how much the frames share.
        generator: Drawn from on its own device (CPU), so that one seed means one video on every machine.

    Returns:
        Float32 noise of `shape` on the generator's device.

    Raises:
        UserError: `mode` is none of those named, or `alpha` is out of range.
    """
    if mode not in NOISES:
        raise UserError(f"method.noise.mode={mode!r}: choose one of {', '.join(NOISES)}.")
    if not 0 <= alpha <= 1:
        raise UserError(f"method.noise.alpha={alpha}: it must lie in [0, 1].")
    b, f, *rest = shape
    own = torch.randn(b, f, *rest, generator=generator, device=generator.device)
    if mode == "independent":
        return own
    if mode == "lamp":
        return torch.cat([own[:, :1], alpha * own[:, :1] + (1 - alpha) * own[:, 1:]], 1)
    shared = torch.randn(b, 1, *rest, generator=generator, device=generator.device)
    return alpha**0.5 * shared + (1 - alpha) ** 0.5 * own
