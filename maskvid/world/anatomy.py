"""From a build to a MuJoCo model: bodies, hinges and one convex mesh per part."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from maskvid.world.camera import FOVY
from maskvid.world.species import Blob, Build, Leg, Part, ball

LEGS: tuple[str, ...] = ("lh", "rh", "lf", "rf")
"""Left hind, right hind, left fore, right fore."""


@dataclass
class Body:
    """One rigid body of the animal.

    Attributes:
        name: Unique name; its hinge has the same name.
        parent: Name of the parent, "" for the torso.
        at: Origin in the parent's frame, metres.
        angle: Rest rotation in degrees; positive swings a hanging leg forward and lifts a nose.
        parts: Convex pieces in this body's frame.
    """

    name: str
    parent: str
    at: tuple[float, float, float]
    angle: float
    parts: list[Part]


def _leg(name: str, leg: Leg, side: float, hoof: str) -> list[Body]:
    x, y, z = leg.at
    upper, middle, lower = leg.lengths
    r0, r1, r2, r3 = leg.radii
    a0, a1, a2 = leg.angles
    top: Blob = (0, 0, 0.02, *leg.top)
    fx, fy, fz = leg.foot
    return [
        Body(f"{name}_upper", "torso", (x, y * side, z), a0, [
            Part("coat", (top, ball(0, 0, -0.35 * upper, r0 * 0.82))),
            Part("coat", (ball(0, 0, -0.35 * upper, r0 * 0.82), ball(0, 0, -upper, r1))),
        ]),
        Body(f"{name}_middle", f"{name}_upper", (0, 0, -upper), a1 - a0, [
            Part("coat", (ball(0, 0, 0, r1), ball(0, 0, -middle, r2))),
        ]),
        Body(f"{name}_lower", f"{name}_middle", (0, 0, -middle), a2 - a1, [
            Part("coat", (ball(0, 0, 0, r2), ball(0, 0, -lower, r3))),
            Part(hoof, (
                (0.25 * fx, 0, -lower - 0.3 * fz, fx, fy, fz), (0.45 * fx, 0, -lower - 0.9 * fz, fx, fy, 0.4 * fz)
            )),
        ]),
    ]  # fmt: skip


def bodies(build: Build, hoof: str = "hoof") -> list[Body]:
    """All bodies of `build`, parents before children."""
    length = build.neck_length
    (bx, by, bz), (tx, ty, tz) = build.neck
    mx, my, mz = 0.48 * (bx + tx), 0.48 * (by + ty), 0.48 * (bz + tz)
    neck = [
        Part("coat", ((-0.12 * length, 0, -0.02, bx, by, bz), (0.5 * length, 0, 0, mx, my, mz))),
        Part("coat", ((0.5 * length, 0, 0, mx, my, mz), (length, 0, 0, tx, ty, tz))),
    ]
    head = list(build.head)
    if build.mane:
        rise = build.mane
        neck.append(Part("mane", (
            (0.12 * length, 0, bz * 0.72, 0.06, 0.05, rise + 0.04),
            (0.55 * length, 0, mz * 0.8, 0.06, 0.05, rise + 0.05),
        )))  # fmt: skip
        neck.append(Part("mane", (
            (0.55 * length, 0, mz * 0.8, 0.06, 0.05, rise + 0.05), (length, 0, tz * 0.8, 0.06, 0.045, rise + 0.04)
        )))  # fmt: skip
        head.append(Part("mane", (ball(-0.02, 0, 0.10, 0.05 + 0.2 * rise), ball(0.10, 0, 0.10, 0.035))))
    size, r0, r1 = build.tail
    half = size / 2
    first = "coat" if build.tuft else "mane"
    rm = 0.5 * (r0 + r1)
    result = [
        Body("torso", "", (0, 0, 0), 0, list(build.torso)),
        Body("neck", "torso", build.neck_at, build.neck_angle, neck),
        Body("head", "neck", (length, 0, 0), build.head_angle - build.neck_angle, head),
        Body("tail", "torso", build.tail_at, build.tail_angle, [
            Part(first, (ball(0, 0, 0, r0), ball(-half, 0, 0, rm))),
        ]),
        Body("tail_tip", "tail", (-half, 0, 0), 12 if build.tail_angle > 0 else -24, [
            Part(first if build.tail_angle < 0 else "mane", (
                ball(0, 0, 0, rm), ball(-0.55 * half, 0, 0, r1), ball(-half, 0, 0, r1 * 0.55)
            )),
        ]),
    ]  # fmt: skip
    if build.trunk:
        piece = build.trunk / 3
        radii = (0.15, 0.115, 0.085, 0.065)
        for k, angle in enumerate((-70.0 - build.head_angle, -16.0, 26.0)):
            parent, at = ("head", build.trunk_at) if k == 0 else (f"trunk{k - 1}", (piece, 0.0, 0.0))
            hose = Part("coat", (ball(0, 0, 0, radii[k]), ball(piece, 0, 0, radii[k + 1])))
            result.append(Body(f"trunk{k}", parent, at, angle, [hose]))
    for name in LEGS:
        result += _leg(name, build.hind if name[1] == "h" else build.fore, 1.0 if name[0] == "l" else -1.0, hoof)
    return result


def _sphere(count: int = 90) -> np.ndarray:
    """Evenly spread unit vectors (count, 3): a Fibonacci lattice."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = math.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def part_points(part: Part) -> np.ndarray:
    """Points (n, 3) whose convex hull is the part, in its body's frame."""
    unit = _sphere()
    return np.concatenate([np.array(blob[:3]) + unit * np.array(blob[3:]) for blob in part.blobs])


def mjcf(parts: list[Body]) -> str:
    """The MuJoCo model of an animal: six root joints, one hinge per further body, no contacts."""
    meshes: list[str] = []
    texts: dict[str, str] = {}
    for body in reversed(parts):
        geoms = []
        for k, part in enumerate(body.parts):
            name = f"{body.name}.{k}"
            vertices = " ".join(f"{v:.4f}" for v in part_points(part).ravel())
            meshes.append(f'<mesh name="{name}" vertex="{vertices}"/>')
            geoms.append(f'<geom name="{name}" type="mesh" mesh="{name}"/>')
        children = "".join(texts[child.name] for child in parts if child.parent == body.name)
        if body.parent:
            joints = f'<joint name="{body.name}" type="hinge" axis="0 -1 0"/>'
        else:
            joints = "".join(
                f'<joint name="{name}" type="{kind}" axis="{axis}"/>'
                for name, kind, axis in (
                    ("x", "slide", "1 0 0"), ("y", "slide", "0 1 0"), ("z", "slide", "0 0 1"),
                    ("yaw", "hinge", "0 0 1"), ("pitch", "hinge", "0 -1 0"),
                )
            )  # fmt: skip
        position = " ".join(f"{v:.4f}" for v in body.at)
        frame = f'pos="{position}" axisangle="0 -1 0 {body.angle:.3f}"'
        texts[body.name] = f'<body name="{body.name}" {frame}>{joints}{"".join(geoms)}{children}</body>'
    return (
        '<mujoco><compiler angle="degree"/>'
        '<statistic extent="1" center="0 0 1"/>'  # otherwise the near clip would follow the animal's size
        f'<visual><global fovy="{FOVY}" offwidth="960" offheight="960"/><map znear="0.5" zfar="80"/>'
        '<quality offsamples="0" shadowsize="0"/></visual>'
        '<default><geom contype="0" conaffinity="0" density="100"/></default>'
        f"<asset>{''.join(meshes)}</asset><worldbody>{texts['torso']}</worldbody></mujoco>"
    )
