"""How an animal moves through a clip: crossing, and movements that no training clip shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskvid.errors import UserError
from maskvid.world.gaits import GAITS

MOVEMENTS: tuple[str, ...] = ("cross", "stop", "turn", "jump", "grow", "shrink")
"""Crosses the picture; stops; turns back; jumps; comes nearer; goes away."""


@dataclass
class Track:
    """A movement frame by frame, in shares of what the picture offers.

    Attributes:
        along: Position across (f,), -0.5 and 0.5 are the ends at which the animal is still wholly inside.
        away: Depth behind the nearest plane (f,), in shares of the camera's distance.
        turn: Degrees (f,) by which the animal is turned from the direction in which it set out.
        strength: How fully it moves (f,): 1 fully, 0 stands.
        phase: Phase of the stride (f,), in strides.
        hover: Height of a jump (f,), in lengths of a leg.
        tilt: Pitch of the trunk (f,), degrees.
    """

    along: np.ndarray
    away: np.ndarray
    turn: np.ndarray
    strength: np.ndarray
    phase: np.ndarray
    hover: np.ndarray
    tilt: np.ndarray


def _ramp(t: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 before `start`, 1 after `end`, smooth between."""
    q = np.clip((t - start) / (end - start), 0, 1)
    return q * q * (3 - 2 * q)


def _travel(speed: np.ndarray) -> np.ndarray:
    """Distance covered (f,) at `speed` (f,) per frame, 0 at the first frame."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]))])


def track(movement: str, *, gait: str, frames: int, start: float) -> Track:
    """Lay out a movement.

    Args:
        movement: One of `MOVEMENTS`.
        gait: Gives the frames of a stride.
        frames: Length of the clip.
        start: Phase of the stride at the first frame.

    Raises:
        UserError: for an unknown movement or gait, or fewer than two frames.
    """
    if movement not in MOVEMENTS:
        raise UserError(f"movement={movement!r} is unknown; choose one of {', '.join(MOVEMENTS)}")
    if gait not in GAITS:
        raise UserError(f"gait={gait!r} is unknown; choose one of {', '.join(GAITS)}")
    if frames < 2:
        raise UserError(f"frames={frames} is no movement; ask for two or more")
    t = np.linspace(0, 1, frames)
    still = np.zeros(frames)
    pace: np.ndarray = np.ones(frames)  # strides go with the ground covered
    along: np.ndarray = t - 0.5
    away, turn, hover, tilt = (still.copy() for _ in range(4))
    if movement == "stop":
        pace = 1 - _ramp(t, 0.40, 0.66)
        covered = _travel(pace)
        along = -0.5 + 0.85 * covered / covered[-1]
    elif movement == "turn":
        there = 1 - 2 * _ramp(t, 0.38, 0.62)
        covered = _travel(there)
        along = -0.42 + 0.80 * covered / covered.max()
        pace = 0.45 + 0.55 * np.abs(there)
        turn = 180 * _ramp(t, 0.36, 0.64)
    elif movement == "jump":
        q = np.clip((t - 0.32) / 0.40, 0, 1)
        hover = 0.55 * 4 * q * (1 - q)
        tilt = 16 * np.sin(2 * np.pi * q) * (q < 1)
        pace = 1 - 0.6 * ((q > 0) & (q < 1))
    elif movement in ("grow", "shrink"):
        near = t if movement == "grow" else 1 - t
        away = 0.60 * (1 - near)
        along = 0.8 * (t - 0.5)
    phase = start + _travel(pace) / GAITS[gait].period
    strength = np.clip(pace * 1.2, 0, 1) if movement == "stop" else np.ones(frames)
    return Track(along, away, turn, strength, phase, hover, tilt)


def travel(masks: np.ndarray) -> float:
    """How far the mask's centroid moves between first and last frame, in shares of the picture's width.

    Args:
        masks: (f, h, w), any scale, non-empty in the first and last frame.
    """
    columns = np.arange(masks.shape[2])
    ends = (masks[0].astype(float), masks[-1].astype(float))
    first, last = (float((m.sum(axis=0) * columns).sum() / m.sum()) for m in ends)
    return abs(last - first) / masks.shape[2]
