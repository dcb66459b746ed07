"""Record the library of silhouettes from the embedded world: how animals walk, trot, gallop, turn, jump and stand.

`python -m maskvid.world.tracing --assets maskvid/assets/silhouettes` rebuilds what is shipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from maskvid.files import atomic_write, json_text
from maskvid.world import captions
from maskvid.world.camera import Camera, from_rows
from maskvid.world.gaits import GAITS, leg_phase
from maskvid.world.scene import Puppet, Stance, puppet

STAGE = (600, 960)
TALL = 240
"""Rows of a standing animal, of the 256 and more that a file has."""
PHASES = 16
"""Pictures of a stride, of which the nearest is shown; between two of them legs would fade rather than move."""
TURNS, JUMPS = 13, 16
"""Pictures of a half turn, 15 degrees apart, and of a jump."""
PACES = {"walk": 1.2, "trot": 1.2, "gallop": 1.0}
"""Strides a second that look natural at the way these strides cover, which is short for a walk."""
FRAME_RATE = 12
ABOUT = """# Silhouettes of the embedded world

Animals that stand, walk, trot, gallop, turn and jump, recorded by `python -m maskvid.world.tracing` with kinematics and
meshes of this project; Apache-2.0 like its code. Each npz is a mask video that maskvid reads (white is the animal,
facing right); `library.json` says where its feet stand, how many pixels its height has, the way of a stride in heights
of its own, and how many strides a second look natural. `maskvid.masks.draw` draws with them.
"""


def poses() -> dict[str, list[Stance]]:
    """What is recorded, each name a sequence of stances; all face right at their beginning."""
    q = np.linspace(0, 1, JUMPS)
    strides = {name: [Stance(gait=name, phase=k / PHASES) for k in range(PHASES)] for name in GAITS}
    return {
        "stand": [Stance(strength=0.0)],
        **strides,
        "turn": [Stance(heading=180 * k / (TURNS - 1), phase=k / (TURNS - 1)) for k in range(TURNS)],
        "jump": [
            Stance(
                gait="gallop", phase=0.55 + 0.4 * t, hover=2.2 * t * (1 - t), tilt=16 * float(np.sin(2 * np.pi * t)),
            )
            for t in q
        ],
    }  # fmt: skip


def stride(animal: Puppet, gait: str) -> float:
    """Metres of ground that a stride covers if the feet on the ground do not slide: our measure of the kinematics.

    While a foot is on the ground the body passes over it; the way it passes, by the share of the stride that this
    takes, is the way of the whole stride. The mean of the four legs.
    """
    ways = []
    for leg in ("lh", "rh", "lf", "rf"):
        down = [p for p in np.arange(0, 1, 1 / 96) if leg_phase(GAITS[gait], leg, p) < GAITS[gait].duty]
        order = np.argsort([leg_phase(GAITS[gait], leg, p) for p in down])
        down = [down[index] for index in order]
        places = []
        for phase in (down[0], down[-1]):
            animal.place(Stance(gait=gait, phase=phase))
            places.append(animal.feet()[leg][0])
        share = leg_phase(GAITS[gait], leg, down[-1]) - leg_phase(GAITS[gait], leg, down[0])
        ways.append((places[0] - places[1]) / share)
    return float(np.mean(ways))


def record(species: str) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Yield name, masks uint8 (f, h, w), 255 is the animal, and what the library knows of them."""
    animal = puppet(species, STAGE)
    animal.place(Stance(strength=0.0))
    metres = float(animal.points()[:, 2].max())
    distance = Camera.focal(STAGE[0]) * metres / TALL
    camera = from_rows(distance=distance, horizon=0.55, foot=0.93)
    for name, stances in poses().items():
        pictures = []
        for stance in stances:
            hover = stance.hover * animal.leg_length
            animal.place(Stance(**{**vars(stance), "hover": hover}))
            pictures.append(animal.view(camera).part >= 0)
        masks = np.stack(pictures)
        rows, columns = np.flatnonzero(masks.any((0, 2))), np.flatnonzero(masks.any((0, 1)))
        [[middle, ground]] = camera.project(np.zeros((1, 3)), STAGE)
        top, left = max(0, rows[0] - 4), columns[0] - 4
        cut = masks[:, top : rows[-1] + 5, left : columns[-1] + 5]
        facts: dict[str, Any] = {
            "unit": TALL, "ground": round(float(ground) - top, 2), "middle": round(float(middle) - left, 2),
        }  # fmt: skip
        if name in GAITS:
            facts["stride"] = round(stride(animal, name) / metres, 3)
            facts["pace"] = PACES[name]
        yield name, np.where(cut, 255, 0).astype(np.uint8), facts


def write_library(folder: Path, species: tuple[str, ...] = captions.SPECIES) -> None:
    """Record all animals into `folder`, which is replaced whole."""
    with atomic_write(folder) as temporary:
        library: dict[str, dict[str, Any]] = {}
        for animal in track(species, description="Silhouettes"):
            (temporary / animal).mkdir(parents=True)
            library[animal] = {}
            for name, masks, facts in record(animal):
                np.savez_compressed(temporary / animal / f"{name}.npz", masks=masks, fps=np.float64(FRAME_RATE))
                library[animal][name] = facts
        (temporary / "library.json").write_text(json_text(library))
        (temporary / "README.md").write_text(ABOUT)


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description="Record silhouettes of animals from the embedded world.")
    parser.add_argument("--assets", type=Path, required=True, help="folder to write; replaced if it exists")
    write_library(parser.parse_args(arguments).assets)


if __name__ == "__main__":
    main()
