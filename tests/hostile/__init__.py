"""Files and folders of people who mean harm, and what each is given to: nothing in them may be run.

Each way plants code that would leave a marker where it lies, or something that would break a reader. The tests carry
them out within one process, `experiments/robustness` as the programs that people start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.hostile.grounds import Build, Grounds, Hostile
from tests.hostile.judges import CLIPS, DINOS, SEGMENTERS
from tests.hostile.models import BACKBONES, CONTROLNETS, LORAS, SINGLE_FILES
from tests.hostile.reports import REPORTS
from tests.hostile.runs import CACHES, CHECKPOINTS, DESCRIPTIONS

KINDS: Mapping[str, Mapping[str, Build]] = {
    "description": DESCRIPTIONS,
    "checkpoint": CHECKPOINTS,
    "cache": CACHES,
    "backbone": BACKBONES,
    "single_file": SINGLE_FILES,
    "lora": LORAS,
    "controlnet": CONTROLNETS,
    "segmenter": SEGMENTERS,
    "clip": CLIPS,
    "dino": DINOS,
    "report": REPORTS,
}

__all__ = ["KINDS", "Grounds", "Hostile", "hostile"]


def hostile(folder: Path) -> Iterator[Hostile]:
    """Plant everything there is, one after the other.

    Args:
        folder: Made where it does not exist; each way lies in a folder of its own below it.

    Yields:
        What to carry out; later ones are planted once they are asked for.
    """
    grounds = Grounds(folder / "grounds")
    for kind, ways in KINDS.items():
        for name, build in ways.items():
            place = folder / f"{kind}_{name}"
            place.mkdir(parents=True)
            yield build(grounds, place, f"{kind}_{name}")
