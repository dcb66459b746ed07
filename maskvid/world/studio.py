"""The studio: random attributes, a camera that frames the animal, and the picture put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskvid.world import backdrop, captions, shading, styles
from maskvid.world.camera import Camera, from_rows
from maskvid.world.scene import Stance, puppet

SUPERSAMPLING = 2
"""Animals are rendered at this multiple of the picture's size and reduced, which antialiases them."""


def random_attributes(rng: np.random.Generator) -> dict[str, str]:
    """Draw what a picture shows; horses, the embedded examples' animal, come twice as often."""
    weights = np.array([2.0 if s == "horse" else 1.0 for s in captions.SPECIES])
    species = str(rng.choice(captions.SPECIES, p=weights / weights.sum()))
    return {
        "species": species,
        "coat": str(rng.choice(captions.COATS(species))),
        "ground": str(rng.choice(captions.GROUNDS)),
        "time": str(rng.choice(captions.TIMES, p=[0.5, 0.25, 0.25])),
        "style": str(rng.choice(captions.STYLES, p=[0.75, 0.09, 0.08, 0.08])),
        "gait": str(rng.choice(captions.GAITS)),
    }


@dataclass(frozen=True)
class Actor:
    """An animal of a picture.

    Attributes:
        stance: Where it is and what it does.
        attributes: What is shown; time and style are the first actor's.
        marks: Seed of the coat's individual markings.
    """

    stance: Stance
    attributes: dict[str, str]
    marks: int


def compose(
    *, camera: Camera, back: np.ndarray, actors: Sequence[Actor], mirror_light: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One picture: animals as they stand, lit, on their ground, in their style.

    Args:
        camera: The camera.
        back: Backdrop (h, w, 3) in [0, 1] from `backdrop.paint`.
        actors: The animals, from the back to the front.
        mirror_light: Whether the light comes from the right instead of the left.

    Returns:
        Image uint8 (h, w, 3) and masks uint8 (k, h, w), of what is seen of each of k animals.
    """
    h, w = back.shape[:2]
    light = shading.LIGHTS[actors[0].attributes["time"]]
    if mirror_light:
        light = replace(light, slope=(-light.slope[0], light.slope[1]))
    layers = []
    for actor in actors:
        animal = puppet(actor.attributes["species"], (SUPERSAMPLING * h, SUPERSAMPLING * w))
        animal.place(actor.stance)
        layers.append(
            shading.lit(
                animal, animal.view(camera), camera, coat=actor.attributes["coat"], marks=actor.marks, light=light,
                shrink=SUPERSAMPLING,
            )
        )  # fmt: skip
    image = back
    for actor, layer in zip(actors, layers, strict=True):
        image = image * shading.shadow(layer.alpha, camera, actor.stance.y, light)[..., None]
    seen: list[np.ndarray] = []
    for layer in layers:
        image = image * (1 - layer.alpha[..., None]) + layer.colour
        seen = [*(alpha * (1 - layer.alpha) for alpha in seen), layer.alpha]
    image = styles.apply(actors[0].attributes["style"], image, np.maximum.reduce(seen))
    return np.round(image * 255).astype(np.uint8), np.round(np.stack(seen) * 255).astype(np.uint8)


def frame_camera(
    points: np.ndarray, size: tuple[int, int], *, span: float, horizon: float, foot: float, place: float
) -> Camera:
    """A camera that shows an animal at a wanted size and place.

    Args:
        points: Points (n, 3) of the animal, whose middle is near x = 0.
        size: Height and width of the picture.
        span: Wanted share of the picture's width, less where the animal is too tall.
        horizon: Row of the horizon, share of the height.
        foot: Row of the feet, share of the height.
        place: 0 puts the animal at the left border, 1 at the right.
    """
    h, w = size
    f = Camera.focal(h)
    wide, tall = float(np.ptp(points[:, 0])), float(points[:, 2].max())
    distance = max(f * wide / (span * w), f * tall / ((foot - 0.05) * h))
    camera = from_rows(distance=distance, horizon=horizon, foot=foot)
    for _ in range(2):  # perspective and heading shift the outline a little: correct once seen
        pixels = camera.project(points, size)
        left, right = float(pixels[:, 0].min()), float(pixels[:, 0].max())
        margin = 0.025 * w
        target = margin + place * max(0.0, w - 2 * margin - (right - left))
        camera = replace(camera, x=camera.x + (left - target) * camera.distance / f)
        low = float(pixels[:, 1].min())
        if low < 0.025 * h or right - left > w - 2 * margin:
            scale = max((foot * h - low) / ((foot - 0.03) * h), (right - left) / (w - 2 * margin)) * 1.02
            camera = from_rows(distance=camera.distance * scale, horizon=horizon, foot=foot, x=camera.x)
    return camera


def render_picture(
    seed: int, index: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, str, str, dict[str, str]]:
    """Picture number `index` of corpus `seed`; it depends on nothing else.

    Args:
        seed: The corpus.
        index: The picture.
        size: Height and width.

    Returns:
        Image uint8 (h, w, 3), mask uint8 (h, w), caption, subject and attributes.
    """
    rng = np.random.default_rng([seed, index])
    attributes = random_attributes(rng)
    heading = float(rng.uniform(-20, 20)) + (180.0 if rng.random() < 0.5 else 0.0)
    stance = Stance(heading=heading, gait=attributes["gait"], phase=float(rng.random()))
    animal = puppet(attributes["species"], (SUPERSAMPLING * size[0], SUPERSAMPLING * size[1]))
    animal.place(stance)
    points = animal.points()
    camera = frame_camera(
        points,
        size,
        span=float(rng.uniform(0.42, 0.66)),
        horizon=float(rng.uniform(0.34, 0.52)),
        foot=float(rng.uniform(0.82, 0.92)),
        place=float(rng.random()),
    )
    back = backdrop.paint(camera, size, ground=attributes["ground"], time=attributes["time"], rng=rng)
    actor = Actor(stance, attributes, int(rng.integers(1 << 30)))
    image, masks = compose(camera=camera, back=back, actors=[actor], mirror_light=bool(rng.random() < 0.5))
    text, subject = captions.caption(attributes, rng)
    return image, masks[0], text, subject, attributes
