"""Proportions of six quadrupeds: where their joints are and which blobs make up each body, in metres.

Every part is the convex hull of a few ellipsoids ("blobs"), so limbs taper and trunks have no seams. The torso's
origin lies in the middle of the barrel; x points forward, y to the animal's left, z up. Proportions are our own,
read off what the animals look like from the side, with legs a little thicker than life so that they survive 64x96.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Blob = tuple[float, float, float, float, float, float]
"""Centre (x, y, z) and half axes (rx, ry, rz)."""


def ball(x: float, y: float, z: float, r: float) -> Blob:
    """A sphere of radius `r`."""
    return (x, y, z, r, r, r)


@dataclass(frozen=True)
class Part:
    """One convex piece of the animal.

    Attributes:
        role: What the piece is made of: coat, mane, hoof, eye, muzzle, horn, ear, tusk, pale.
        blobs: The ellipsoids whose convex hull it is.
    """

    role: str
    blobs: tuple[Blob, ...]


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A leg of three segments below its upper joint.

    Attributes:
        at: Upper joint in torso coordinates; y is mirrored for the other side.
        lengths: Upper, middle and lower segment.
        radii: Radius at the upper joint and at the end of each segment.
        angles: Rest angle of each segment to the vertical in degrees, forward positive.
        foot: Half axes of the hoof or paw.
        top: Half axes of the mass of muscle around the upper joint.
    """

    at: tuple[float, float, float]
    lengths: tuple[float, float, float]
    radii: tuple[float, float, float, float]
    angles: tuple[float, float, float]
    foot: tuple[float, float, float]
    top: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Build:
    """The build of a species.

    Attributes:
        torso: Parts in torso coordinates.
        neck_at: Base of the neck in torso coordinates.
        neck_angle: Rest angle of the neck above the horizontal, degrees.
        neck_length: Base of the neck to the joint of the head.
        neck: Half axes (along, across, height) at base and at tip.
        head_angle: Rest angle of the head above the horizontal, degrees.
        head: Parts in head coordinates, x towards the nose, origin at the head's joint.
        mane: Height of the mane above the neck, 0 for none.
        tail_at: Base of the tail in torso coordinates.
        tail_angle: Rest angle of the tail: 90 hangs straight down, -60 stands up.
        tail: Length and radius at base and tip of the tail's two halves together.
        tuft: Whether the tip carries the mane's colour only (False: the whole tail does).
        fore: Front legs.
        hind: Hind legs.
        stride: How far legs swing compared with a horse's.
        trunk: Length of a trunk, 0 for none.
    """

    torso: tuple[Part, ...]
    neck_at: tuple[float, float, float]
    neck_angle: float
    neck_length: float
    neck: tuple[tuple[float, float, float], tuple[float, float, float]]
    head_angle: float
    head: tuple[Part, ...]
    mane: float = 0.0
    tail_at: tuple[float, float, float]
    tail_angle: float
    tail: tuple[float, float, float]
    tuft: bool = False
    fore: Leg
    hind: Leg
    stride: float = 1.0
    trunk: float = 0.0
    trunk_at: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))


def pair(role: str, *blobs: Blob) -> tuple[Part, Part]:
    """The same part on both sides: y mirrored."""
    return (
        Part(role, blobs),
        Part(role, tuple((x, -y, z, rx, ry, rz) for x, y, z, rx, ry, rz in blobs)),
    )


def _equine_head(size: float, ear: float) -> tuple[Part, ...]:
    s = size
    return (
        Part("coat", ((0.02 * s, 0, -0.02 * s, 0.14 * s, 0.09 * s, 0.14 * s), ball(0.16 * s, 0, -0.02 * s, 0.11 * s))),
        Part(
            "coat", (ball(0.14 * s, 0, -0.02 * s, 0.115 * s), (0.40 * s, 0, -0.03 * s, 0.08 * s, 0.06 * s, 0.075 * s))
        ),
        Part("muzzle", ((0.45 * s, 0, -0.035 * s, 0.075 * s, 0.065 * s, 0.078 * s),)),
        *pair(
            "ear", (0.0, 0.06 * s, 0.10 * s, 0.04, 0.025, 0.04), (-0.03, 0.075 * s, 0.12 * s + ear, 0.018, 0.015, 0.03)
        ),
        *pair("eye", ball(0.15 * s, 0.098 * s, 0.045 * s, 0.026)),
    )


HORSE = Build(
    torso=(
        Part("coat", ((-0.52, 0, 0.06, 0.31, 0.25, 0.28), (-0.1, 0, -0.02, 0.38, 0.27, 0.29))),
        Part("coat", ((-0.1, 0, -0.02, 0.38, 0.27, 0.29), (0.42, 0, -0.01, 0.27, 0.23, 0.32))),
        Part("coat", ((0.42, 0, -0.01, 0.27, 0.22, 0.32), (0.30, 0, 0.24, 0.22, 0.10, 0.11))),
    ),
    neck_at=(0.48, 0, 0.10),
    neck_angle=47,
    neck_length=0.74,
    neck=((0.20, 0.15, 0.27), (0.12, 0.09, 0.14)),
    head_angle=-42,
    head=_equine_head(1.12, 0.10),
    mane=0.07,
    tail_at=(-0.78, 0, 0.20),
    tail_angle=58,
    tail=(0.85, 0.06, 0.085),
    fore=Leg(
        at=(0.40, 0.14, -0.12),
        lengths=(0.50, 0.38, 0.14),
        radii=(0.14, 0.068, 0.052, 0.05),
        angles=(0, 0, 22),
        foot=(0.085, 0.06, 0.055),
        top=(0.20, 0.10, 0.24),
    ),
    hind=Leg(
        at=(-0.50, 0.14, 0.0),
        lengths=(0.38, 0.44, 0.46),
        radii=(0.20, 0.12, 0.068, 0.055),
        angles=(20, -34, 6),
        foot=(0.085, 0.06, 0.055),
        top=(0.24, 0.10, 0.24),
    ),
)

ZEBRA = Build(
    torso=(
        Part("coat", ((-0.45, 0, 0.06, 0.29, 0.25, 0.27), (-0.05, 0, -0.06, 0.38, 0.29, 0.31))),
        Part("coat", ((-0.05, 0, -0.06, 0.38, 0.29, 0.31), (0.40, 0, 0.0, 0.25, 0.22, 0.30))),
    ),
    neck_at=(0.44, 0, 0.12),
    neck_angle=44,
    neck_length=0.58,
    neck=((0.20, 0.15, 0.26), (0.13, 0.10, 0.16)),
    head_angle=-35,
    head=_equine_head(1.12, 0.15),
    mane=0.13,
    tail_at=(-0.70, 0, 0.18),
    tail_angle=72,
    tail=(0.68, 0.04, 0.06),
    tuft=True,
    fore=Leg(
        at=(0.36, 0.14, -0.14),
        lengths=(0.40, 0.32, 0.12),
        radii=(0.13, 0.07, 0.055, 0.05),
        angles=(0, 0, 20),
        foot=(0.08, 0.06, 0.055),
        top=(0.18, 0.10, 0.22),
    ),
    hind=Leg(
        at=(-0.44, 0.14, 0.0),
        lengths=(0.34, 0.38, 0.36),
        radii=(0.19, 0.12, 0.07, 0.055),
        angles=(18, -32, 6),
        foot=(0.08, 0.06, 0.055),
        top=(0.23, 0.10, 0.23),
    ),
)

COW = Build(
    torso=(
        Part("coat", ((-0.66, 0, 0.12, 0.24, 0.27, 0.26), (-0.1, 0, -0.02, 0.50, 0.36, 0.38))),
        Part("coat", ((-0.1, 0, -0.02, 0.50, 0.36, 0.38), (0.52, 0, 0.02, 0.27, 0.27, 0.34))),
        Part("coat", (ball(-0.72, 0, 0.24, 0.14), ball(0.5, 0, 0.24, 0.14))),
        Part("coat", ((0.62, 0, -0.20, 0.16, 0.06, 0.16), (0.86, 0, 0.02, 0.10, 0.06, 0.10))),
        Part("pale", ((-0.45, 0, -0.38, 0.16, 0.14, 0.12),)),
    ),
    neck_at=(0.56, 0, 0.12),
    neck_angle=16,
    neck_length=0.46,
    neck=((0.24, 0.18, 0.27), (0.16, 0.12, 0.19)),
    head_angle=-38,
    head=(
        Part("coat", ((0.0, 0, 0.0, 0.17, 0.14, 0.17), (0.20, 0, -0.02, 0.15, 0.12, 0.15))),
        Part("coat", ((0.20, 0, -0.02, 0.15, 0.12, 0.15), (0.40, 0, -0.03, 0.11, 0.10, 0.11))),
        Part("muzzle", ((0.46, 0, -0.03, 0.10, 0.115, 0.115),)),
        *pair("horn", ball(0.0, 0.10, 0.14, 0.045), ball(0.05, 0.24, 0.22, 0.035)),
        *pair("horn", ball(0.05, 0.24, 0.22, 0.035), ball(0.14, 0.24, 0.38, 0.022)),
        *pair("ear", (-0.04, 0.14, 0.06, 0.05, 0.05, 0.04), (-0.10, 0.30, 0.02, 0.05, 0.03, 0.06)),
        *pair("eye", ball(0.17, 0.125, 0.07, 0.03)),
    ),
    tail_at=(-0.86, 0, 0.28),
    tail_angle=84,
    tail=(0.86, 0.035, 0.075),
    tuft=True,
    fore=Leg(
        at=(0.46, 0.17, -0.16),
        lengths=(0.36, 0.26, 0.12),
        radii=(0.16, 0.09, 0.07, 0.065),
        angles=(0, 0, 12),
        foot=(0.10, 0.075, 0.06),
        top=(0.20, 0.10, 0.24),
    ),
    hind=Leg(
        at=(-0.62, 0.17, -0.02),
        lengths=(0.34, 0.32, 0.30),
        radii=(0.21, 0.13, 0.085, 0.068),
        angles=(16, -28, 4),
        foot=(0.10, 0.075, 0.06),
        top=(0.22, 0.10, 0.26),
    ),
    stride=0.8,
)

DOG = Build(
    torso=(
        Part("coat", ((-0.40, 0, 0.04, 0.19, 0.15, 0.17), (-0.05, 0, 0.02, 0.22, 0.15, 0.18))),
        Part("coat", ((-0.05, 0, 0.02, 0.22, 0.15, 0.18), (0.32, 0, -0.03, 0.22, 0.18, 0.26))),
    ),
    neck_at=(0.38, 0, 0.10),
    neck_angle=46,
    neck_length=0.34,
    neck=((0.15, 0.13, 0.19), (0.13, 0.11, 0.14)),
    head_angle=-8,
    head=(
        Part("coat", ((0.02, 0, 0.02, 0.17, 0.14, 0.16), (0.13, 0, 0.0, 0.12, 0.11, 0.11))),
        Part("coat", ((0.16, 0, -0.02, 0.11, 0.10, 0.10), (0.36, 0, -0.04, 0.07, 0.055, 0.06))),
        Part("nose", (ball(0.43, 0, -0.015, 0.042),)),
        *pair("ear", (-0.03, 0.13, 0.10, 0.07, 0.03, 0.05), (-0.07, 0.17, -0.14, 0.065, 0.03, 0.08)),
        *pair("eye", ball(0.17, 0.085, 0.065, 0.03)),
    ),
    tail_at=(-0.54, 0, 0.12),
    tail_angle=-48,
    tail=(0.56, 0.05, 0.035),
    tuft=True,
    fore=Leg(
        at=(0.32, 0.11, -0.10),
        lengths=(0.26, 0.22, 0.08),
        radii=(0.11, 0.065, 0.055, 0.055),
        angles=(-4, 4, 40),
        foot=(0.085, 0.06, 0.045),
        top=(0.14, 0.08, 0.18),
    ),
    hind=Leg(
        at=(-0.40, 0.11, 0.0),
        lengths=(0.26, 0.27, 0.19),
        radii=(0.15, 0.10, 0.055, 0.052),
        angles=(28, -42, 10),
        foot=(0.085, 0.06, 0.045),
        top=(0.17, 0.08, 0.17),
    ),
)

GIRAFFE = Build(
    torso=(
        Part("coat", ((-0.42, 0, 0.0, 0.25, 0.22, 0.24), (0.0, 0, 0.02, 0.34, 0.25, 0.29))),
        Part("coat", ((0.0, 0, 0.02, 0.34, 0.25, 0.29), (0.36, 0, 0.12, 0.25, 0.22, 0.36))),
    ),
    neck_at=(0.40, 0, 0.26),
    neck_angle=63,
    neck_length=1.22,
    neck=((0.20, 0.15, 0.23), (0.09, 0.08, 0.10)),
    head_angle=-24,
    head=(
        Part("coat", ((0.0, 0, 0.0, 0.12, 0.085, 0.11), ball(0.16, 0, -0.01, 0.09))),
        Part("coat", (ball(0.14, 0, -0.01, 0.09), ball(0.40, 0, -0.04, 0.062))),
        Part("muzzle", (ball(0.43, 0, -0.045, 0.065),)),
        *pair("horn", ball(0.02, 0.04, 0.09, 0.03), ball(-0.01, 0.05, 0.22, 0.034)),
        *pair("ear", (-0.05, 0.08, 0.05, 0.04, 0.03, 0.03), (-0.12, 0.17, 0.08, 0.04, 0.02, 0.035)),
        *pair("eye", ball(0.13, 0.075, 0.04, 0.026)),
    ),
    mane=0.05,
    tail_at=(-0.64, 0, 0.12),
    tail_angle=82,
    tail=(0.78, 0.03, 0.055),
    tuft=True,
    fore=Leg(
        at=(0.34, 0.14, -0.10),
        lengths=(0.62, 0.52, 0.14),
        radii=(0.13, 0.075, 0.055, 0.052),
        angles=(0, 0, 14),
        foot=(0.085, 0.065, 0.06),
        top=(0.18, 0.10, 0.26),
    ),
    hind=Leg(
        at=(-0.40, 0.14, -0.02),
        lengths=(0.42, 0.50, 0.52),
        radii=(0.19, 0.12, 0.075, 0.055),
        angles=(16, -26, 5),
        foot=(0.085, 0.065, 0.06),
        top=(0.20, 0.10, 0.22),
    ),
    stride=0.75,
)

ELEPHANT = Build(
    torso=(
        Part("coat", ((-0.48, 0, -0.02, 0.36, 0.40, 0.46), (0.0, 0, 0.06, 0.50, 0.46, 0.52))),
        Part("coat", ((0.0, 0, 0.06, 0.50, 0.46, 0.52), (0.46, 0, 0.02, 0.34, 0.36, 0.46))),
    ),
    neck_at=(0.58, 0, 0.20),
    neck_angle=18,
    neck_length=0.30,
    neck=((0.26, 0.26, 0.34), (0.26, 0.24, 0.32)),
    head_angle=-30,
    head=(
        Part("coat", ((0.02, 0, 0.06, 0.30, 0.26, 0.30), (0.22, 0, -0.04, 0.20, 0.19, 0.24))),
        Part("coat", ((0.22, 0, -0.04, 0.20, 0.19, 0.22), (0.40, 0, -0.10, 0.14, 0.13, 0.15))),
        *pair(
            "ear",
            (-0.02, 0.26, 0.22, 0.12, 0.03, 0.12),
            (-0.26, 0.36, 0.14, 0.14, 0.03, 0.16),
            (-0.22, 0.30, -0.30, 0.12, 0.03, 0.12),
        ),
        *pair("tusk", ball(0.34, 0.13, -0.20, 0.05), ball(0.56, 0.16, -0.30, 0.045)),
        *pair("tusk", ball(0.56, 0.16, -0.30, 0.045), ball(0.76, 0.16, -0.24, 0.025)),
        *pair("eye", ball(0.26, 0.175, 0.06, 0.032)),
    ),
    tail_at=(-0.80, 0, 0.18),
    tail_angle=78,
    tail=(0.62, 0.035, 0.05),
    tuft=True,
    fore=Leg(
        at=(0.42, 0.24, -0.14),
        lengths=(0.44, 0.36, 0.12),
        radii=(0.21, 0.15, 0.14, 0.14),
        angles=(0, 0, 4),
        foot=(0.16, 0.14, 0.06),
        top=(0.26, 0.16, 0.30),
    ),
    hind=Leg(
        at=(-0.50, 0.24, -0.12),
        lengths=(0.40, 0.34, 0.18),
        radii=(0.24, 0.17, 0.14, 0.14),
        angles=(8, -14, 4),
        foot=(0.16, 0.14, 0.06),
        top=(0.28, 0.16, 0.34),
    ),
    stride=0.6,
    trunk=1.05,
    trunk_at=(0.46, 0.0, -0.12),
)

BUILDS: dict[str, Build] = {
    "horse": HORSE,
    "zebra": ZEBRA,
    "cow": COW,
    "dog": DOG,
    "giraffe": GIRAFFE,
    "elephant": ELEPHANT,
}
