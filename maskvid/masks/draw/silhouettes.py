"""Moving silhouettes: the library of animals, and those that people bring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from maskvid.errors import UserError
from maskvid.json_reading import read_mapping
from maskvid.masks.draw.form import Form, form_of
from maskvid.masks.read import iter_masks
from maskvid.media.times import frame_times, rate_of

LIBRARY = Path(__file__).resolve().parents[2] / "assets" / "silhouettes"
"""Recorded from the embedded world by `python -m maskvid.world.tracing`."""
LONGEST = 512
"""Masks of a silhouette that somebody brings."""


@dataclass(frozen=True, eq=False)
class Cycle:
    """The pictures of a silhouette, in the order in which they are shown.

    Attributes:
        forms: One or more, facing right if they are the library's.
        stride: Way in heights on which all are shown once, the feet on the ground not sliding; None is unknown.
        pace: How often a second all are shown, where nothing else says it; None for what is shown once.
    """

    forms: tuple[Form, ...]
    stride: float | None = None
    pace: float | None = None

    def at(self, phase: float) -> Form:
        """The nearest picture; the whole part of a phase does not count."""
        return self.forms[round(phase * len(self.forms)) % len(self.forms)]

    def once(self, share: float) -> Form:
        """The picture of something that is shown once, by the share of it that is over."""
        return self.forms[min(len(self.forms) - 1, max(0, round(share * (len(self.forms) - 1))))]


@cache
def _known() -> dict[str, dict[str, Any]]:
    return read_mapping(LIBRARY / "library.json")


def animals() -> tuple[str, ...]:
    """Animals of the library.

    Examples:
        >>> "horse" in animals()
        True
    """
    return tuple(_known())


def gaits(animal: str) -> tuple[str, ...]:
    """What an animal can do on its way, from the slowest to the fastest.

    Raises:
        UserError: The library does not have it.
    """
    if animal not in _known():
        raise UserError(
            f"silhouette={animal!r}: the library has {', '.join(_known())}; or give a mask video, "
            '{"kind": "silhouette", "file": "masks.mp4"}.'
        )
    facts = _known()[animal]
    moving = [name for name in facts if "stride" in facts[name]]
    return ("stand", *sorted(moving, key=lambda name: facts[name]["stride"] * facts[name]["pace"]))


@lru_cache(maxsize=64)
def recorded(animal: str, doing: str) -> Cycle:
    """What the library has of an animal.

    Args:
        animal: One of `animals`.
        doing: One of its `gaits`, or `turn`, or `jump`.

    Raises:
        UserError: It has none of that name.
    """
    gaits(animal)
    facts = _known()[animal].get(doing)
    if facts is None:
        raise UserError(f"gait={doing!r}: a {animal} of the library can {', '.join(_known()[animal])}.")
    anchor = facts["middle"], facts["ground"]
    forms = [form_of(mask >= 128, facts["unit"], anchor) for mask in iter_masks(LIBRARY / animal / f"{doing}.npz")]
    return Cycle(tuple(forms), facts.get("stride"), facts.get("pace"))


@lru_cache(maxsize=8)
def brought(path: str, stride: float | None) -> Cycle:
    """The masks of a file as a silhouette, as high as all of them together; it stands on their lowest row.

    Raises:
        UserError: They cannot be read, are too many, or all empty.
    """
    masks = [mask >= 128 for mask in islice(iter_masks(Path(path)), LONGEST + 1)]
    if len(masks) > LONGEST:
        raise UserError(f"silhouette={path}: it has more than {LONGEST} masks; give a shorter one.")
    solid = np.any(masks, axis=0)
    if not solid.any():
        raise UserError(f"silhouette={path}: its masks are empty; white must be the foreground.")
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    anchor = (columns[0] + columns[-1]) / 2, float(rows[-1])
    times = frame_times(Path(path), len(masks))
    rate = 12.0 if times is None or len(masks) < 2 else rate_of(times)
    unit = float(rows[-1] + 1 - rows[0])
    return Cycle(tuple(form_of(mask, unit, anchor) for mask in masks), stride, rate / len(masks))
