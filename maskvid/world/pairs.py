"""Clips of two animals that run behind each other or pass, each with a mask of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maskvid.world import backdrop, captions
from maskvid.world.camera import Camera, from_rows
from maskvid.world.clips import FPS, stances_of
from maskvid.world.movements import track
from maskvid.world.scene import Stance, puppet
from maskvid.world.studio import SUPERSAMPLING, Actor, compose

_SPAN = 0.4  # of the picture's width that the longer animal takes
_APART = 0.9  # metres of depth between two that pass each other


@dataclass
class Pair:
    """A clip of two animals.

    Attributes:
        frames: uint8 (f, h, w, 3).
        masks: uint8 (f, 2, h, w), 255 where each is seen.
        caption: With both in brackets, in the order of the masks.
        subjects: Their words.
        passing: Whether they pass each other.
        fps: Frames a second.
    """

    frames: np.ndarray
    masks: np.ndarray
    caption: str
    subjects: tuple[str, str]
    passing: bool
    fps: int = FPS


def random_pair(*, seed: int, index: int, frames: int, height: int = 64, width: int = 96) -> Pair:
    """Pair number `index` of `seed`: every second one passes each other, the others run behind each other.

    The two differ in kind and coat, so that whoever mixes them up is seen to. Coats are plain: the miniature's VAE does
    not carry stripes and spots of animals so small.
    """
    rng = np.random.default_rng([29, seed, index])
    size, passing = (height, width), index % 2 == 1
    kinds = rng.permutation(["horse", "cow", "dog"])[:2]
    first, others = (sorted({"brown", "black", "white", "golden"} & set(captions.COATS(str(kind)))) for kind in kinds)
    ground, time = str(rng.choice(captions.GROUNDS)), str(rng.choice(captions.TIMES[:2]))
    shared = {"ground": ground, "time": time, "style": "photo", "gait": str(rng.choice(["trot", "gallop"]))}
    coat = str(rng.choice(first))
    coats = (coat, str(rng.choice([other for other in others if other != coat])))
    attributes = [{**shared, "species": str(kind), "coat": coat} for kind, coat in zip(kinds, coats, strict=True)]
    rightward, marks = bool(rng.random() < 0.5), [int(rng.integers(1 << 30)) for _ in kinds]
    plans = [track("cross", gait=shared["gait"], frames=frames, start=float(rng.random())) for _ in kinds]
    animals = [puppet(str(kind), (SUPERSAMPLING * height, SUPERSAMPLING * width)) for kind in kinds]
    widths = []
    for animal in animals:
        animal.place(Stance(gait=shared["gait"]))
        widths.append(1.15 * float(np.ptp(animal.points()[:, 0])))  # a galloping animal stretches
    f = Camera.focal(height)
    distance = f * max(widths) / (_SPAN * width)
    horizon, foot = float(rng.uniform(0.36, 0.46)), float(rng.uniform(0.84, 0.9))
    camera = from_rows(distance=distance, horizon=horizon, foot=foot)
    room = 0.96 * width * distance / f
    courses: list[list[Stance]] = []
    for number, (plan, animal) in enumerate(zip(plans, animals, strict=True)):
        ahead = rightward if number == 0 or not passing else not rightward
        reach = room - (widths[number] if passing else sum(widths))
        # one behind the other: the first is in front, so that its middle is by half of the other's length further on
        shift = 0.0 if passing else (1 if rightward else -1) * (0.5 - number) * (widths[1 - number])
        course = stances_of(
            plan, gait=shared["gait"], rightward=ahead, slant=0.0, reach=reach, distance=distance, leg=animal.leg_length
        )
        depth = _APART * number if passing else 0.0
        courses.append([replace(stance, x=stance.x + shift, y=stance.y + depth) for stance in course])
    back = backdrop.paint(camera, size, ground=ground, time=time, rng=rng)
    mirror, pictures, masks = bool(rng.random() < 0.5), [], []
    for stances in zip(*courses, strict=True):
        actors = [Actor(*one) for one in zip(stances, attributes, marks, strict=True)]
        picture, seen = compose(camera=camera, back=back, actors=actors[::-1], mirror_light=mirror)  # the second behind
        pictures.append(picture)
        masks.append(seen[::-1])
    words = tuple(f"a {one['coat']} {one['species']}" for one in attributes)
    text = f"[{words[0]}] and [{words[1]}] {captions.places(ground)[0]}"
    return Pair(np.stack(pictures), np.stack(masks), text, (words[0], words[1]), passing)
