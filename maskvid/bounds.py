"""Ranges of settings: declared beside each field, checked in one place, shown by `--help`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskvid.errors import UserError

SEEDS = 2**32 - 1
"""The largest seed that NumPy and PyTorch both take."""

PIXELS, FRAMES, THREADS = 2**13, 2**14, 2**10
"""The largest side of a video, its most frames, and processor threads: beyond them it is a slip of the finger."""


@dataclass(frozen=True)
class Bounds:
    """What a setting may be.

    Attributes:
        low: Smallest value, itself allowed.
        high: Largest value, itself allowed.
        above: Every value must be larger than this.
        choices: The words it may be; empty where it is a number.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()

    def allow(self, value: Any) -> bool:
        """Whether a value is one of the choices or in the range."""
        if self.choices:
            return value in self.choices
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        """As a message asks for it: `0 to 1`, `1 or more`, `more than 0`, `one of a, b`."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.above is not None:
            return f"more than {self.above:g}" + ("" if self.high is None else f", at most {self.high:g}")
        if self.high is not None:
            return f"{self.low:g} to {self.high}"
        return f"{self.low:g} or more"


def bounded(
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field whose value `check_bounds` looks at; None is always allowed where the type has it."""
    return field(default=default, metadata={"bounds": Bounds(low, high, above, tuple(choices))})


def check_bounds(settings: Any, place: str = "") -> None:
    """Refuse values out of range, and numbers that are none, at every typed level.

    Args:
        settings: A dataclass, or a configuration made from one.
        place: Its place in the whole, with a dot behind it, for the message.

    Raises:
        UserError: Names the full key, the value and what it may be.
    """
    kind = OmegaConf.get_type(settings) if isinstance(settings, DictConfig) else type(settings)
    if not is_dataclass(kind):
        return
    for entry in fields(kind):
        if isinstance(settings, DictConfig) and OmegaConf.is_missing(settings, entry.name):
            continue
        key, value = f"{place}{entry.name}", getattr(settings, entry.name)
        for number in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"{key}={number}: give a finite number.")
        bounds: Bounds | None = entry.metadata.get("bounds")
        if bounds is not None and value is not None and not bounds.allow(value):
            shown = repr(value) if isinstance(value, str) else value
            raise UserError(f"{key}={shown}: {'choose' if bounds.choices else 'give'} {bounds}.")
        if isinstance(value, DictConfig) or is_dataclass(value):
            check_bounds(value, f"{key}.")
