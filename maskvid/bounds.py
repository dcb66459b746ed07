"""Ranges of settings: declared beside each field, checked in one place, shown by `--help`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from maskvid.errors import UserError

SEEDS = 2**32 - 1
"""The largest seed that NumPy and PyTorch both take."""

PIXELS, FRAMES, RATE, THREADS = 2**13, 2**14, 2**12, 2**10
"""The largest side of a video, its most frames and frames a second, and processor threads: beyond them it is a slip of
the finger."""
MUST_BE_SET: Any = "???"
"""The value of a setting without a default, as OmegaConf writes it."""
STEPS, SAMPLES = 2**30, 2**10
"""Of an optimiser, and videos of one clip; more than anybody makes."""


@dataclass(frozen=True)
class Bounds:
    """What a setting may be.

    Attributes:
        low: Smallest value, itself allowed.
        high: Largest value, itself allowed.
        above: Every value must be larger than this.
        below: Every value must be smaller than this.
        choices: The words it may be; empty where it is a number.
        whole: Whether it must be a whole number.
        text: Whether it is a text instead, which must not be blank.
        several: Whether it is a list of such values, with at least one.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    whole: bool = False
    text: bool = False
    several: bool = False

    def allow(self, value: Any) -> bool:
        """Whether a value is one of the choices, a text that is not blank, or a number in the range."""
        if self.text:
            return isinstance(value, (str, Path)) and bool(str(value).strip())
        if self.choices:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """As a message asks for it: `0 to 1`, `1 or more`, `more than 0`, `one of a, b`."""
        if self.text:
            return "a text that is not empty"
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.above is not None:
            return f"more than {self.above:g}" + ("" if self.high is None else f", at most {self.high}")
        if self.high is not None:
            return f"{self.low:g} to {self.high}"
        return f"{self.low:g} or more" + ("" if self.below is None else f", less than {self.below:g}")

    def refuse(self, key: str, value: Any) -> None:
        """Refuse a value that is not allowed.

        Raises:
            UserError: Names the key, the value and what it may be.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key}={value}: give a finite number.")
        if not self.allow(value):
            shown = repr(value) if isinstance(value, str) else value
            broken = self.whole and not isinstance(value, int)
            asked = "choose" if self.choices else "give a whole number," if broken else "give"
            raise UserError(f"{key}={shown}: {asked} {self}.")


def bounded(
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
    text: bool = False,
) -> Any:
    """A dataclass field whose value `check_bounds` looks at; None is always allowed where the type has it."""
    return field(default=default, metadata={"bounds": Bounds(low, high, above, choices=tuple(choices), text=text)})


ARGUMENTS: Mapping[str, Mapping[str, Bounds]] = {
    "lightning.pytorch.Trainer": {
        "max_steps": Bounds(low=0, high=STEPS, whole=True),
        "max_epochs": Bounds(low=-1, high=STEPS, whole=True),
        "num_nodes": Bounds(low=1, high=2**14, whole=True),
        "val_check_interval": Bounds(above=0, high=STEPS),
        "num_sanity_val_steps": Bounds(low=-1, high=STEPS, whole=True),
        "limit_val_batches": Bounds(low=0, high=STEPS),
        "gradient_clip_val": Bounds(low=0),
        "accumulate_grad_batches": Bounds(low=1, high=2**16, whole=True),
        "log_every_n_steps": Bounds(low=0, high=STEPS, whole=True),
    },
    "maskvid.callbacks.ema.EMA": {"decay": Bounds(low=0, below=1), "warmup": Bounds(low=1, high=STEPS)},
    "maskvid.callbacks.progress.progress_bar": {
        "refresh_rate": Bounds(low=0, high=STEPS, whole=True),
        "log_every": Bounds(low=0, high=STEPS, whole=True),
    },
    "maskvid.callbacks.video_logger.VideoLogger": {
        "columns": Bounds(low=1, high=FRAMES, whole=True),
        "scale": Bounds(low=1, high=64, whole=True),
        "logged_per_set": Bounds(low=0, high=FRAMES, whole=True),
    },
    "maskvid.callbacks.metrics_table.MetricsCallback": {"given_frames": Bounds(low=0, high=FRAMES, whole=True)},
    "maskvid.callbacks.last_checkpoint.LastCheckpoint": {"every_n_train_steps": Bounds(low=1, high=STEPS, whole=True)},
}
"""What configuration nodes with `_target_` may say to classes that declare no ranges, by class and argument."""

PRETRAINING: Mapping[str, Bounds] = {
    "count": Bounds(low=1, high=STEPS, whole=True),
    "seed": Bounds(low=0, high=SEEDS, whole=True),
    "batch": Bounds(low=1, high=2**16, whole=True),
    "full_batch": Bounds(low=1, high=2**16, whole=True),
    "channels": Bounds(low=1, high=2**14, whole=True, several=True),
    "crop": Bounds(low=1, high=PIXELS, whole=True, several=True),
    "layers": Bounds(low=1, high=64, whole=True),
    "text_layers": Bounds(low=1, high=64, whole=True),
    "latent_channels": Bounds(low=1, high=64, whole=True),
    "width": Bounds(low=1, high=2**14, whole=True),
    "embed_dim": Bounds(low=1, high=2**14, whole=True),
    "save_every": Bounds(low=1, high=STEPS, whole=True),
    "max_steps": Bounds(low=1, high=STEPS, whole=True),
    "warmup": Bounds(low=0, high=STEPS, whole=True),
    "lr": Bounds(above=0, high=1e3),
    "weight_decay": Bounds(low=0),
    "ema": Bounds(low=0, below=1),
    "decay_from": Bounds(low=0, high=1),
    "full_from": Bounds(low=0, high=1),
    "drop": Bounds(low=0, high=1),
    "hard": Bounds(low=0, high=1),
    "jitter": Bounds(low=0, high=1),
    "foreground": Bounds(low=0),
    "foreground_weight": Bounds(low=0),
    "kl": Bounds(low=0),
    "fidelity": Bounds(low=0),
    "naming": Bounds(low=0),
    "prompts": Bounds(low=1, high=STEPS, whole=True),
    "steps": Bounds(low=1, high=1000, whole=True),
    "guidance": Bounds(low=0),
    "control_guidance": Bounds(low=0),
    "control_scale": Bounds(low=0),
}
"""Settings of the stages of `maskvid.pretrain`, wherever they stand."""


def declared(kind: Any) -> dict[str, Bounds]:
    """Ranges of what a dataclass holds at its first level."""
    found = {entry.name: (entry.metadata.get("bounds"), "int" in str(entry.type)) for entry in fields(kind)}
    return {name: replace(bounds, whole=whole) for name, (bounds, whole) in found.items() if bounds is not None}


def check_arguments(given_to: Any, place: str, **values: Any) -> None:
    """Refuse what an object of `ARGUMENTS` cannot be given; None is its own default.

    Raises:
        UserError: Names the argument as a configuration does, its value and what it may be.
    """
    kind = type(given_to)
    for name, bounds in ARGUMENTS[f"{kind.__module__}.{kind.__qualname__}"].items():
        if values[name] is not None:
            bounds.refuse(f"{place}{name}", values[name])


def check_value(key: str, value: Any, bounds: Bounds | None) -> None:
    """Refuse a value, or one of a list, that is out of its range, and numbers that are none; None is allowed.

    Args:
        key: Its full key, for the message.
        value: A scalar, or a sequence of such.
        bounds: What it may be; None where nobody says so.

    Raises:
        UserError: Names the key, the value and what it may be.
    """
    several = isinstance(value, Sequence) and not isinstance(value, str)
    if bounds is not None and bounds.several and not (several and value):
        raise UserError(f"{key}={value}: give a list of numbers, each {bounds}.")
    for entry in value if several else [value]:
        if bounds is not None and entry is not None:
            bounds.refuse(key, entry)
        elif isinstance(entry, float) and not math.isfinite(entry):
            raise UserError(f"{key}={entry}: give a finite number.")


def check_bounds(settings: Any, place: str = "") -> None:
    """Refuse values of a dataclass that are out of range, at every level.

    Args:
        settings: The dataclass.
        place: Its place in the whole, with a dot behind it, for the message.

    Raises:
        UserError: See `check_value`.
    """
    bounds = declared(settings)
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            check_bounds(value, f"{place}{entry.name}.")
        elif value != MUST_BE_SET:
            check_value(f"{place}{entry.name}", value, bounds.get(entry.name))
