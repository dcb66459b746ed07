"""Walk, trot and gallop: the angle of every hinge as a function of the phase of the stride.

Touch-down phases and duty factors are those of textbooks on equine locomotion (walk: lateral sequence; trot:
diagonal pairs; gallop: transverse); the curves between touch-downs are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from maskvid.world.anatomy import LEGS


@dataclass(frozen=True)
class Gait:
    """One gait.

    Attributes:
        touch_down: Phase in [0, 1) at which LH, RH, LF, RF touch the ground.
        duty: Share of the stride a foot stays on the ground.
        swing: Amplitude of the upper joint, degrees.
        flexion: Greatest flexion of the knee while the foot is in the air, degrees.
        lift: Height of the suspension in shares of a leg's length.
        pitch: Amplitude of the trunk's rocking, degrees.
        nod: Amplitude of the neck's nodding, degrees.
        stretch: Degrees by which the neck reaches forward.
        period: Frames of one stride at 12 frames a second.
        tail: Degrees by which the tail streams out.
    """

    touch_down: tuple[float, float, float, float]
    duty: float
    swing: float
    flexion: float
    lift: float
    pitch: float
    nod: float
    stretch: float
    period: float
    tail: float


GAITS: dict[str, Gait] = {
    "walk": Gait((0.0, 0.5, 0.25, 0.75), 0.62, 19, 38, 0.0, 0.8, 3, 4, 16, 0),
    "trot": Gait((0.0, 0.5, 0.5, 0.0), 0.48, 25, 62, 0.03, 1.0, 2, 0, 12, 14),
    "gallop": Gait((0.0, 0.12, 0.50, 0.64), 0.33, 38, 82, 0.09, 5.0, 7, 12, 12, 36),
}


def leg_phase(gait: Gait, leg: str, phase: float) -> float:
    """Phase of one leg since its touch-down, in [0, 1); below `gait.duty` the foot is on the ground."""
    return (phase - gait.touch_down[LEGS.index(leg)]) % 1.0


def _swing(gait: Gait, p: float) -> tuple[float, float]:
    """Position of the upper joint in [-1, 1] (1 is forward) and bend of the knee in [0, 1]."""
    if p < gait.duty:
        return 1 - 2 * p / gait.duty, 0.0
    q = (p - gait.duty) / (1 - gait.duty)
    return -math.cos(math.pi * q), math.sin(math.pi * min(1.0, q * 1.12)) ** 1.4 if q < 1 / 1.12 else 0.0


def pose(gait: Gait, phase: float, stride: float = 1.0, strength: float = 1.0) -> dict[str, float]:
    """Hinge angles in degrees.

    Args:
        gait: Which gait.
        phase: Phase of the stride; its whole part is ignored.
        stride: How far this species swings its legs compared with a horse.
        strength: 0 stands still, 1 moves fully; between them the animal slows down to a halt.

    Returns:
        Angle by hinge name (see `anatomy.bodies`), plus "pitch" of the trunk and "lift", the height of the body
        above its lowest foot in shares of a leg's length.
    """
    phase %= 1.0
    angles: dict[str, float] = {}
    for leg in LEGS:
        position, bend = _swing(gait, leg_phase(gait, leg, phase))
        swing = gait.swing * stride * strength * position
        flexion = gait.flexion * min(1.0, stride + 0.15) * strength * bend
        if leg[1] == "f":
            # The elbow folds forward while the knee folds the cannon back under the forearm.
            angles[f"{leg}_upper"] = swing + 0.38 * flexion
            angles[f"{leg}_middle"] = -flexion
            angles[f"{leg}_lower"] = -0.45 * flexion
        else:
            # Stifle and hock fold against each other like a Z.
            angles[f"{leg}_upper"] = 0.85 * swing + 0.34 * flexion
            angles[f"{leg}_middle"] = 0.16 * swing - 0.72 * flexion
            angles[f"{leg}_lower"] = -0.12 * swing + 0.30 * flexion
    turn = 2 * math.pi * phase
    angles["pitch"] = gait.pitch * strength * math.sin(turn + 0.6)
    angles["neck"] = strength * (gait.nod * math.sin(2 * turn if gait.nod < 5 else turn + 2.2) - gait.stretch)
    angles["head"] = strength * 0.5 * gait.stretch
    angles["tail"] = strength * (-gait.tail + 5 * math.sin(turn))
    angles["tail_tip"] = strength * (-0.2 * gait.tail + 8 * math.sin(turn - 1.0))
    for k in range(3):
        angles[f"trunk{k}"] = strength * 7 * math.sin(turn - 0.8 * k)
    # Suspension: all feet are gathered in the air just before the stride begins anew.
    off = max((leg_phase(gait, leg, phase) - gait.duty) / (1 - gait.duty) for leg in LEGS)
    airborne = all(leg_phase(gait, leg, phase) >= gait.duty for leg in LEGS)
    angles["lift"] = gait.lift * strength * (math.sin(math.pi * min(1.0, max(0.0, off))) if airborne else 0.0)
    return angles
