"""Noise that the frames of a clip share."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskvid.errors import UserError
from maskvid.settings import NOISES


def shared_noise(
    shape: Sequence[int],
    *,
    mode: str,
    alpha: float,
    generator: torch.Generator,
    shared: torch.Tensor | None = None,
) -> torch.Tensor:
    """Draw noise for the frames of clips, in training as in sampling.

    `preserve` keeps unit variance: eps_i = sqrt(a) eps_shared + sqrt(1 - a) eps_i. `lamp` is the formula LAMP samples
    with (arXiv 2310.10769): eps_i = a eps_1 + (1 - a) eps_i for frames 2.., whose variance is a^2 + (1 - a)^2.

    Args:
        shape: (b, f, c, h, w).
        mode: `independent`, `preserve` or `lamp`.
        alpha: a in [0, 1], how much the frames share.
        generator: Drawn from on its own device (CPU), so that one seed means one video on every machine.
        shared: (b, 1, c, h, w) of `shared_part`, for a segment of a longer video: what was drawn for the first one.
            None draws it.

    Returns:
        Float32 noise of `shape` on the generator's device.

    Raises:
        UserError: `mode` is none of those named, or `alpha` is out of range.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"method.noise.alpha={alpha}: it must lie in [0, 1].")
    own, drawn = _draw(shape, mode, generator)
    shared = drawn if shared is None else shared
    if mode == "independent":
        return own
    if mode == "lamp":
        return torch.cat([shared, alpha * shared + (1 - alpha) * own[:, 1:]], 1)
    return alpha**0.5 * shared + (1 - alpha) ** 0.5 * own


def shared_part(shape: Sequence[int], *, mode: str, generator: torch.Generator) -> torch.Tensor:
    """What the frames of `shared_noise` of these arguments share, so that later segments can share it too.

    Returns:
        (b, 1, c, h, w): eps_shared of `preserve`, eps_1 of `lamp`; with `independent` nothing looks at it.

    Raises:
        UserError: `mode` is none of those named.
    """
    return _draw(shape, mode, generator)[1]


def _draw(shape: Sequence[int], mode: str, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Each frame's own noise, and what all share."""
    if mode not in NOISES:
        raise UserError(f"method.noise.mode={mode!r}: choose one of {', '.join(NOISES)}.")
    b, f, *rest = shape
    own = torch.randn(b, f, *rest, generator=generator, device=generator.device)
    if mode != "preserve":
        return own, own[:, :1]
    return own, torch.randn(b, 1, *rest, generator=generator, device=generator.device)
