"""Clips of the world: one animal moves before a standing camera, with exact masks and a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskvid.errors import UserError
from maskvid.world import backdrop, captions
from maskvid.world.camera import Camera, from_rows
from maskvid.world.movements import Track, track
from maskvid.world.scene import Stance, puppet
from maskvid.world.studio import SUPERSAMPLING, Actor, compose

FRAMES = 24
FPS = 12
HEIGHT, WIDTH = 320, 480
"""Of the clips that are written; what the miniature alone is to see is rendered at its own size."""
_MARGIN = 0.03  # of the picture's width and height: the animal never touches the border


@dataclass
class Clip:
    """A clip with its masks.

    Attributes:
        name: Unique within a folder of clips.
        frames: uint8 (f, h, w, 3).
        masks: uint8 (f, h, w), 255 = animal, antialiased along the silhouette.
        caption: The caption.
        subject: The words of the caption that name the animal.
        attributes: species, coat, ground, time, style, gait and movement.
        fps: Frames a second.
    """

    name: str
    frames: np.ndarray
    masks: np.ndarray
    caption: str
    subject: str
    attributes: dict[str, str]
    fps: int = FPS


def stances_of(
    plan: Track, *, gait: str, rightward: bool, slant: float, reach: float, distance: float, leg: float
) -> list[Stance]:
    """Where an animal stands in each frame of a movement.

    Args:
        plan: The movement.
        gait: Its gait.
        rightward: Direction in which it sets out.
        slant: Degrees by which it turns from the camera's plane.
        reach: Breadth in metres that its middle may cover.
        distance: Of the camera, metres.
        leg: Its length, metres.
    """
    sign = 1.0 if rightward else -1.0
    x = sign * reach * plan.along * (1 + plan.away)  # what is farther away has more room
    y = plan.away * distance + np.tan(np.radians(slant)) * x * sign
    if np.ptp(plan.away) > 0:
        # Seen from behind or in front an animal says little, so it keeps its side to the camera.
        aim = np.degrees(np.arctan2(np.gradient(y), np.abs(np.gradient(x))))
        aim = np.clip(aim, -34, 34)
        heading = aim if rightward else 180 - aim
    else:
        heading = (0.0 if rightward else 180.0) + sign * (slant + plan.turn)
    heading = np.broadcast_to(heading, x.shape)
    return [
        Stance(
            x=float(x[i]), y=float(y[i]), heading=float(heading[i]), gait=gait, phase=float(plan.phase[i]),
            strength=float(plan.strength[i]), hover=float(plan.hover[i] * leg), tilt=float(plan.tilt[i]),
        )
        for i in range(len(x))
    ]  # fmt: skip


def render_clip(
    *,
    attributes: dict[str, str],
    seed: int,
    movement: str = "cross",
    rightward: bool | None = None,
    name: str = "clip",
    frames: int = FRAMES,
    height: int = 64,
    width: int = 96,
    span: float | None = None,
) -> Clip:
    """Render one clip.

    Args:
        attributes: species, coat, ground, time, style and gait, each a word of `captions`.
        seed: Everything else: camera, backdrop, markings, phase, wording. The same seed gives the same clip.
        movement: One of `movements.MOVEMENTS`.
        rightward: Direction in which the animal sets out; None draws it.
        name: Name of the clip.
        frames: Number of frames, at 12 a second.
        height: Rows.
        width: Columns.
        span: Of the picture's width that the animal takes, as far as there is room; None draws it between .43 and .51.

    Raises:
        UserError: if an attribute or the movement is unknown, or the animal cannot be shown whole at this size.
    """
    captions.check_attributes(attributes)
    rng = np.random.default_rng([17, seed])
    size = (height, width)
    if rightward is None:
        rightward = bool(rng.random() < 0.5)
    plan = track(movement, gait=attributes["gait"], frames=frames, start=float(rng.random()))
    drawn, horizon, foot = rng.uniform(0.43, 0.51), rng.uniform(0.36, 0.48), rng.uniform(0.84, 0.91)
    span = drawn if span is None else span
    slant = float(rng.uniform(-9, 9))
    animal = puppet(attributes["species"], (SUPERSAMPLING * height, SUPERSAMPLING * width))
    gait, leg, f = attributes["gait"], animal.leg_length, Camera.focal(height)
    # Measured over a whole stride, since a galloping animal stretches.
    outline = []
    for stance in stances_of(plan, gait=gait, rightward=True, slant=0, reach=0, distance=0, leg=leg):
        animal.place(replace(stance, heading=0.0))
        outline.append(animal.points())
    wide = float(max(np.ptp(p[:, 0]) for p in outline))
    tall = float(max(p[:, 2].max() for p in outline))
    distance = max(f * wide / (span * width), f * tall / ((foot - _MARGIN) * height))
    for _ in range(60):
        camera = from_rows(distance=distance, horizon=float(horizon), foot=float(foot))
        reach = width * (1 - 2 * _MARGIN) * distance / f - wide
        stances = stances_of(plan, gait=gait, rightward=rightward, slant=slant, reach=reach, distance=distance, leg=leg)
        boxes = []
        for stance in stances:
            animal.place(stance)
            pixels = camera.project(animal.points(), size)
            boxes.append((pixels.min(axis=0), pixels.max(axis=0)))
        least, most = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
        # Pan so that the whole course lies in the middle, then see whether it fits.
        camera = replace(camera, x=float((least[0] + most[0]) / 2 - width / 2) * distance / f)
        if most[0] - least[0] <= (1 - _MARGIN) * width and least[1] >= 0.5 and most[1] <= height - 0.5:
            break
        distance *= 1.03
    else:
        animal_name = attributes["species"]
        raise UserError(f"height={height}, width={width} cannot show a whole {animal_name}; choose a larger size")
    back = backdrop.paint(camera, size, ground=attributes["ground"], time=attributes["time"], rng=rng)
    marks, mirror = int(rng.integers(1 << 30)), bool(rng.random() < 0.5)
    pictures = [
        compose(camera=camera, back=back, actors=[Actor(stance, attributes, marks)], mirror_light=mirror)
        for stance in stances
    ]
    text, subject = captions.caption(attributes, rng)
    return Clip(
        name,
        np.stack([image for image, _ in pictures]),
        np.stack([mask for _, [mask] in pictures]),
        text,
        subject,
        {**attributes, "movement": movement},
    )


def random_clip(
    *,
    seed: int,
    index: int,
    species: Sequence[str] = captions.SPECIES,
    movement: str = "cross",
    height: int = 64,
    width: int = 96,
) -> Clip:
    """Clip number `index` of the random clips of `seed`: an animal trots or gallops, unstylised."""
    rng = np.random.default_rng([23, seed, index])
    animal = str(rng.choice(list(species)))
    attributes = {
        "species": animal,
        "coat": str(rng.choice(captions.COATS(animal))),
        "ground": str(rng.choice(captions.GROUNDS)),
        "time": str(rng.choice(captions.TIMES, p=[0.5, 0.25, 0.25])),
        "style": "photo",
        "gait": str(rng.choice(["gallop", "trot"])),
    }
    seed = int(rng.integers(1 << 30))
    return render_clip(
        attributes=attributes, seed=seed, movement=movement, name=f"{animal}-{index:03d}", height=height, width=width
    )
