"""How something goes from one key to the next: CSS's easings, and curves of speed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

EASINGS = ("linear", "ease-in", "ease-out", "ease-in-out", "hold")

_BEZIERS = {"ease-in": (0.42, 0.0, 1.0, 1.0), "ease-out": (0.0, 0.0, 0.58, 1.0), "ease-in-out": (0.42, 0.0, 0.58, 1.0)}
"""The control points of CSS's names (CSS Easing Functions Level 1, section 2.2)."""


def eased(ease: str | Sequence[float], share: np.ndarray) -> np.ndarray:
    """How far something has got.

    Args:
        ease: A name of `EASINGS`, or x1, y1, x2, y2 of CSS's `cubic-bezier`; x are cut to 0 to 1.
        share: Shares of the time, in [0, 1].

    Returns:
        Shares of the way, 0 at 0 and 1 at 1 (`hold`: 0 until 1); a bezier may overshoot between.

    Examples:
        >>> eased("ease-in", np.array([0.0, 0.5, 1.0])).round(2).tolist()
        [0.0, 0.32, 1.0]
    """
    if ease == "linear":
        return share
    if ease == "hold":
        return (share >= 1).astype(float)
    x1, y1, x2, y2 = _BEZIERS[ease] if isinstance(ease, str) else ease
    u = np.linspace(0, 1, 1025)
    x, y = (3 * (1 - u) ** 2 * u * a + 3 * (1 - u) * u**2 * b + u**3 for a, b in
            ((min(max(x1, 0), 1), min(max(x2, 0), 1)), (y1, y2)))  # fmt: skip
    return np.interp(share, x, y)


def travelled(speed: str | Sequence[float] | Sequence[Sequence[float]], share: np.ndarray) -> np.ndarray:
    """Shares of a way by shares of the time.

    Args:
        speed: An easing, or pairs [time, way] that rise from [0, 0] to [1, 1]; between them the curve is smooth and
            never turns back.
        share: In [0, 1].
    """
    if isinstance(speed, list):
        times, ways = np.asarray(speed, float).T
        return PchipInterpolator(times, ways)(share)
    return eased(speed, share)  # type: ignore[arg-type]
