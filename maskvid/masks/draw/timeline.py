"""Where an object is in every frame, by its keys and its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from maskvid.masks.draw.drawing import Course, Object
from maskvid.masks.draw.easing import eased, travelled
from maskvid.masks.draw.shapes import way

_FINE = 4096
"""Points on a way by which its length is measured."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """An object's numbers in each of f frames.

    Attributes:
        x: float (f,), shares of the picture's width.
        y: float (f,), shares of its height.
        scale: float (f,), likewise.
        rotation: float (f,), degrees against the clock.
        visible: bool (f,).
    """

    x: np.ndarray
    y: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    visible: np.ndarray


def timeline(one: Object, frames: int, aspect: float) -> Timeline:
    """An object's numbers in each frame.

    Args:
        one: The object.
        frames: How many.
        aspect: Width by height of the picture.
    """
    at = np.arange(frames, dtype=float)
    rotation = _between(one, "rotation", at, 0.0)
    if one.path is None:
        x, y = _between(one, "x", at, 0.5), _between(one, "y", at, 0.5)
    else:
        x, y, direction = along(one.path, at, aspect)
        rotation = rotation + direction if one.path.follow else rotation
    visible = steps(one, "visible", at, True)
    return Timeline(x, y, _between(one, "scale", at, 0.5), rotation, np.asarray(visible, bool))


def steps(one: Object, name: str, at: np.ndarray, otherwise: Any) -> list[Any]:
    """What holds from a key on, for each frame, and `otherwise` before the first that says something."""
    keys = [(key.at, getattr(key, name)) for key in one.keys if getattr(key, name) is not None]
    return [next((value for frame, value in reversed(keys) if frame <= moment), otherwise) for moment in at]


def morphs(one: Object, at: np.ndarray) -> list[tuple[Any, Any, float]]:
    """The shapes between which an object is in each frame, and how far it has got from one to the other."""
    keys = [(key.at, key.shape, key.ease) for key in one.keys if key.shape is not None]
    if not keys or keys[0][0] > 0:  # it sets out as what it is
        first = next((key.ease for key in one.keys if key.at <= 0), "linear")
        keys = [(0.0, one.shape, first), *keys]
    found = []
    for moment in at:
        index = max(i for i, key in enumerate(keys) if key[0] <= moment or i == 0)
        if index == len(keys) - 1:
            found.append((keys[index][1], keys[index][1], 0.0))
            continue
        (start, before, ease), (end, after, _) = keys[index], keys[index + 1]
        share = eased(ease, np.array([(moment - start) / (end - start)]))
        found.append((before, after, float(share[0])))
    return found


def along(course: Course, at: np.ndarray, aspect: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and direction in degrees against the clock, (f,) each, of something that follows a path."""
    if course.svg is not None:
        points = way(course.svg)
    else:
        points = np.asarray(course.points, float)
        if course.smooth and len(points) > 2:
            chords = np.hypot(*(np.diff(points, axis=0) * [aspect, 1]).T)
            kept = np.concatenate([[True], chords > 0])  # a point twice is no way
            if kept.sum() > 2:
                knots = np.concatenate([[0], np.cumsum(np.sqrt(chords[chords > 0]))])  # centripetal: no loops
                points = CubicSpline(knots, points[kept])(np.linspace(0, knots[-1], _FINE))
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*(np.diff(points, axis=0) * [aspect, 1]).T))])
    end = float(at[-1]) if course.end is None else course.end
    share = np.clip((at - course.start) / max(end - course.start, 1e-9), 0, 1)
    ways = np.clip(travelled(course.speed, share), 0, 1) * lengths[-1]
    x, y = np.interp(ways, lengths, points[:, 0]), np.interp(ways, lengths, points[:, 1])
    near = 1e-3 * max(lengths[-1], 1e-9)
    ahead, behind = np.minimum(ways + near, lengths[-1]), np.maximum(ways - near, 0)
    dx = (np.interp(ahead, lengths, points[:, 0]) - np.interp(behind, lengths, points[:, 0])) * aspect
    dy = np.interp(ahead, lengths, points[:, 1]) - np.interp(behind, lengths, points[:, 1])
    return x, y, np.degrees(np.arctan2(-dy, dx))


def _between(one: Object, name: str, at: np.ndarray, otherwise: float) -> np.ndarray:
    keys = [(key.at, getattr(key, name), key.ease) for key in one.keys if getattr(key, name) is not None]
    if not keys:
        return np.full(len(at), otherwise)
    values = np.full(len(at), keys[0][1], float)
    for (start, before, ease), (end, after, _) in zip(keys, keys[1:], strict=False):
        within = (at >= start) & (at < end)
        values[within] = before + (after - before) * eased(ease, (at[within] - start) / (end - start))
    values[at >= keys[-1][0]] = keys[-1][1]
    return values
