"""How animals put their feet: the gait by the speed, the phase of the stride by the way, so that no hoof slides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskvid.masks.draw.drawing import Object, Silhouette
from maskvid.masks.draw.form import Form
from maskvid.masks.draw.silhouettes import brought, gaits, recorded
from maskvid.masks.draw.timeline import Timeline, steps

FOCAL = 1.87
"""Focal length in heights of the picture, of a camera that sees 30 degrees of height."""
STANDING = 0.05
"""Heights a second below which an animal stands."""
TURNING, JUMPING = 0.8, 0.8
"""Seconds that a turn and a jump of the library last."""


@dataclass(frozen=True, eq=False)
class Ground:
    """How an object moves over the ground.

    Attributes:
        way: Heights of its own (f,), covered since the frame before; 0 at first.
        forward: Whether it moves to the right (f,): 1, to the left: -1, or neither: 0.
        fps: Frames a second.
    """

    way: np.ndarray
    forward: np.ndarray
    fps: float

    @property
    def speed(self) -> np.ndarray:
        """Heights of its own a second (f,), of the steps before and behind."""
        ahead = np.append(self.way[1:], self.way[-1:])
        behind = np.concatenate([self.way[1:2], self.way[1:]]) if len(self.way) > 1 else self.way
        return (ahead + behind) / 2 * self.fps


def ground(line: Timeline, aspect: float, fps: float) -> Ground:
    """How an object moves over the ground, by its timeline."""
    dx, dy = np.diff(line.x, prepend=line.x[:1]) * aspect, np.diff(line.y, prepend=line.y[:1])
    # what comes nearer covers ground as well, by a camera as the library's
    depth = FOCAL * np.diff(1 / line.scale, prepend=1 / line.scale[:1])
    way = np.hypot(dx / line.scale, np.maximum(np.abs(dy) / line.scale, np.abs(depth)))
    return Ground(way, np.sign(np.where(np.abs(dx) < 1e-6, 0, dx)), fps)


def gait_of(animal: str, speed: float) -> str:
    """The gait that fits a speed in heights a second: half way between two gaits, in proportion, they change."""
    stand, *moving = gaits(animal)
    if speed < STANDING:
        return stand
    natural = [(c.stride or 0) * (c.pace or 0) for c in (recorded(animal, name) for name in moving)]
    borders = [np.sqrt(slow * fast) for slow, fast in zip(natural, natural[1:], strict=False)]
    return moving[int(np.searchsorted(borders, speed))]


def silhouette_forms(shape: Silhouette, one: Object, over: Ground) -> list[Form]:
    """The silhouette's form in each frame."""
    at = np.arange(len(over.way), dtype=float)
    if shape.file is not None:
        return _repeated(shape, one, over, at)
    animal = str(shape.of)
    asked = steps(one, "gait", at, shape.gait)
    names = [gait_of(animal, v) if g == "auto" else g for g, v in zip(asked, over.speed, strict=True)]
    left = facing_left(one, over, at)
    turns = _turns(left, over.fps)
    forms, phase = [], 0.0
    for frame, name in enumerate(names):
        cycle = recorded(animal, name)
        if shape.cadence is not None:
            phase += shape.cadence / over.fps if frame else 0.0
        elif cycle.stride:
            phase += over.way[frame] / cycle.stride
        leap = [(frame - start) / over.fps / JUMPING for start in one.jumps if start <= frame]
        if leap and leap[-1] <= 1:
            form = recorded(animal, "jump").once(leap[-1])
        elif frame in turns:
            form = recorded(animal, "turn").once(turns[frame][0])
        else:
            form = cycle.at(phase)
        mirrored = turns[frame][1] if frame in turns else left[frame]
        forms.append(form.mirrored() if mirrored else form)
    return forms


def facing_left(one: Object, over: Ground, at: np.ndarray) -> np.ndarray:
    """Whether an animal faces left, bool (f,): as its keys say, else the way it goes, or went last, or will go."""
    if any(key.flip is not None for key in one.keys):
        return np.asarray(steps(one, "flip", at, False), bool)
    moving = np.flatnonzero(over.forward)
    if not len(moving):
        return np.zeros(len(at), bool)
    last = np.searchsorted(moving, np.arange(len(at)), side="right") - 1
    return over.forward[moving[np.maximum(last, 0)]] < 0


def _turns(left: np.ndarray, fps: float) -> dict[int, tuple[float, bool]]:
    """For frames in a turn: how far it has got, and whether it began to the left; its middle is where sides change."""
    found: dict[int, tuple[float, bool]] = {}
    half = TURNING * fps / 2
    for change in np.flatnonzero(left[1:] != left[:-1]) + 1:
        for frame in range(max(0, int(np.ceil(change - half))), min(len(left), int(change + half) + 1)):
            found[frame] = ((frame - (change - half)) / (2 * half), bool(left[change - 1]))
    return found


def _repeated(shape: Silhouette, one: Object, over: Ground, at: np.ndarray) -> list[Form]:
    """The pictures of a file, again and again, by the way or by time; a key may mirror them."""
    cycle = brought(str(shape.file), shape.stride)
    flips = steps(one, "flip", at, False)
    if shape.cadence is not None or cycle.stride is None:
        phases = at / over.fps * ((cycle.pace or 0.0) if shape.cadence is None else shape.cadence)
    else:
        phases = np.cumsum(over.way) / cycle.stride
    forms = [cycle.at(float(phase)) for phase in phases]
    return [form.mirrored() if flip else form for form, flip in zip(forms, flips, strict=True)]
