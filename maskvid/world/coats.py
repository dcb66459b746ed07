"""Coats: the colour of an animal at each seen point, as plain colour, stripes, patches or spots."""

from __future__ import annotations

import numpy as np

from maskvid.world.scene import Puppet

Colour = tuple[float, float, float]

# Body, then mane and tail.
_PLAIN: dict[str, tuple[Colour, Colour]] = {
    "brown": ((0.50, 0.25, 0.11), (0.20, 0.10, 0.06)),
    "black": ((0.11, 0.11, 0.13), (0.06, 0.06, 0.07)),
    "white": ((0.97, 0.96, 0.94), (0.86, 0.85, 0.82)),
    "grey": ((0.56, 0.57, 0.60), (0.30, 0.30, 0.33)),
    "golden": ((0.95, 0.66, 0.17), (0.99, 0.93, 0.74)),
}
_ELEPHANT: dict[str, Colour] = {"grey": (0.52, 0.53, 0.57), "brown": (0.52, 0.33, 0.22)}
_ROLES: dict[str, Colour] = {
    "hoof": (0.16, 0.13, 0.12),
    "eye": (0.05, 0.04, 0.04),
    "horn": (0.90, 0.86, 0.74),
    "tusk": (0.97, 0.95, 0.88),
    "nose": (0.08, 0.07, 0.07),
    "pale": (0.93, 0.72, 0.66),
}


def _edge(value: np.ndarray, softness: float) -> np.ndarray:
    """0 below zero, 1 above, soft within `softness`."""
    return np.clip(0.5 + value / softness, 0, 1)


def _stripes(puppet: Puppet, part: np.ndarray, local: np.ndarray, salt: float) -> np.ndarray:
    """Share of black (n,) of a zebra: upright on the trunk, rings on neck and legs."""
    names = np.array(["legs" if "_" in name and name[0] in "lr" else name for name in puppet.body_names])
    body = names[puppet.part_body[part] - 1]
    x, z = local[:, 0], local[:, 2]
    along = np.where(body == "legs", z * 1.25, np.where(body == "torso", x + 0.35 * np.abs(x + 0.1) * z, x * 1.05))
    period = np.where(body == "head", 0.15, np.where(body == "legs", 0.21, 0.235))
    return _edge(np.sin(2 * np.pi * along / period + 0.5 * np.sin(4 * z + salt) + salt) + 0.05, 0.9)


def _noise(points: np.ndarray, rng: np.random.Generator, waves: int, frequency: float) -> np.ndarray:
    """Smooth noise (n,) of about unit variance over points (n, 3)."""
    k = rng.normal(size=(waves, 3)) * frequency
    return np.sqrt(2 / waves) * np.sin(points @ k.T + rng.uniform(0, 2 * np.pi, waves)).sum(axis=1)


def _cells(points: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Distance (n,) to the nearest border of Voronoi cells, in units of `spacing`, over points (n, 2)."""
    scaled = points / spacing
    grid = np.stack(np.meshgrid(np.arange(-12, 13), np.arange(-12, 13), indexing="ij"), -1).astype(float)
    grid[..., 0] += 0.5 * (np.arange(-12, 13) % 2)[None, :]
    grid += rng.uniform(-0.24, 0.24, grid.shape)
    base = np.clip(np.round(scaled).astype(int) + 12, 1, 23)
    distances = [np.hypot(*(scaled - grid[base[:, 0] + i, base[:, 1] + j]).T) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    nearest = np.partition(np.stack(distances), 1, axis=0)
    return nearest[1] - nearest[0]


def albedo(puppet: Puppet, coat: str, part: np.ndarray, local: np.ndarray, seed: int) -> np.ndarray:
    """Colour of seen points before light falls on them.

    Args:
        puppet: The animal.
        coat: A word of `captions.COATS(puppet.species)`.
        part: Which part each point lies on (n,).
        local: Coordinates of the points in their bodies (n, 3), metres.
        seed: Individual markings; the same seed on every frame of a clip.

    Returns:
        Colours (n, 3) in [0, 1].
    """
    rng = np.random.default_rng([11, seed])
    species = puppet.species
    shifted = local + puppet.part_body[part][:, None] * 0.37  # other bodies, other markings
    plane = shifted[:, [0, 2]]
    if coat == "striped":
        share = _stripes(puppet, part, local, float(rng.uniform(0, 6)))[:, None]
        body = (1 - share) * np.array([0.97, 0.96, 0.93]) + share * np.array([0.07, 0.07, 0.08])
        mane = np.array([0.10, 0.10, 0.10])
    elif coat == "patchy":
        share = _edge(_cells(plane, 0.24, rng) - 0.20, 0.16)[:, None]
        body = (1 - share) * np.array([0.98, 0.87, 0.62]) + share * np.array([0.66, 0.34, 0.10])
        mane = np.array([0.50, 0.26, 0.10])
    elif coat == "spotted":
        share = _edge(_noise(local, rng, 9, 5.2) - 0.12, 0.35)[:, None]
        body = (1 - share) * np.array([0.97, 0.96, 0.94]) + share * np.array([0.09, 0.09, 0.10])
        mane = np.array([0.95, 0.94, 0.92])
    elif species == "elephant":
        body = np.repeat(np.array(_ELEPHANT[coat])[None], len(part), axis=0)
        mane = np.array(_ELEPHANT[coat]) * 0.5
    else:
        first, second = _PLAIN[coat]
        body = np.repeat(np.array(first)[None], len(part), axis=0)
        mane = np.array(second if species != "dog" else first)
        if species == "cow" and coat == "brown":
            # A white face and belly tell a brown cow from every other brown animal.
            mane = np.array([0.95, 0.92, 0.88])
    colours = body.copy()
    roles = np.array(puppet.roles)[part]
    colours[roles == "mane"] = mane
    if species == "cow" and coat == "brown":
        head = np.array(puppet.body_names)[puppet.part_body[part] - 1] == "head"
        colours[head & (roles == "coat") & (local[:, 0] > 0.12)] = (0.96, 0.93, 0.88)
    for role, colour in _ROLES.items():
        colours[roles == role] = colour
    dim = {"muzzle": 0.62, "ear": 0.82}
    for role, factor in dim.items():
        colours[roles == role] *= factor
    if species == "cow":
        colours[roles == "muzzle"] = (0.90, 0.68, 0.62) if coat != "black" else (0.45, 0.38, 0.38)
    if species == "dog":
        colours[roles == "ear"] = colours[roles == "ear"] * 0.85
    return colours
