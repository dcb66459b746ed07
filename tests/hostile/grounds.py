"""What attacks are made of: a run, a backbone and clips that are whole, pickles and Python that leave a marker."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskvid.config import register
from maskvid.train import train
from tests.backbones import save_backbone
from tests.data.tiny import write_triple
from tests.runs import configure

register()


@dataclass(frozen=True)
class Hostile:
    """One request with something hostile in it.

    Attributes:
        name: Of the way it is tried.
        argv: For `python -m`: the program, then its arguments.
        marker: What code that was run would have written; it must not exist afterwards.
        refused: Whether the request must be refused in a sentence with status 1; else it may also succeed.
        words: Pattern that the sentence matches.
    """

    name: str
    argv: list[str]
    marker: Path
    refused: bool = True
    words: str = ""


class Payload:
    """Unpickled, it writes a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return exec, (code(self.marker),)


def code(marker: Path) -> str:
    """Python that writes the marker wherever it is imported or run."""
    return f"open({str(marker)!r}, 'w').close()\n"


def write_pickle(path: Path, marker: Path, *, archive: bool = True) -> None:
    """Write what runs code when it is unpickled: as PyTorch's archives are, or as a bare pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": {"weight": torch.zeros(1), "more": Payload(marker)}}
    if archive:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file in place, by what `change` does to it or returns."""
    content = json.loads(path.read_text()) if path.exists() else {}
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


class Grounds:
    """What the attacks are carried out on: a backbone, clips, and a run that was not tuned.

    Args:
        folder: Made; everything lies below it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.backbone = save_backbone(folder / "backbone")
        self.triples = folder / "triples"
        for name in ("one", "two"):
            write_triple(self.triples, name)
        self.run = folder / "run"
        train(configure([], *self.settings, f"run_dir={self.run}", f"data.cache_dir={self.cache}"))

    @property
    def settings(self) -> list[str]:
        """Overrides of `maskvid.train` for the least that is a run."""
        return [
            "data=folder", f"data.train={self.triples}", f"data.validation={{seen: {self.triples}}}",
            "data.height=32", "data.width=48", "data.num_frames=3", "data.fps=4", "backbone=folder",
            f"backbone.path={self.backbone}", "method.trained=false", "trainer.precision=32",
            "trainer.accelerator=cpu", "trainer.max_steps=1", "trainer.val_check_interval=1",
            "sampling.num_inference_steps=1", "callbacks.metrics=null", "callbacks.progress=null", "logger=csv",
            "+trainer.enable_progress_bar=false", "callbacks.video_logger=null",
        ]  # fmt: skip

    def generate(self, place: Path, *more: str, run: Path | None = None) -> list[str]:
        """A request for one video."""
        common = [f"run={run or self.run}", "prompt=[a fox] runs", f"masks={self.triples}/one.npz"]
        return ["maskvid.generate", *common, "device=cpu", "sampling.num_inference_steps=1", f"out={place}/out", *more]

    def evaluate(self, place: Path, *more: str) -> list[str]:
        """A request to score one video."""
        common = [f"videos={self.triples}/one.mp4", f"masks={self.triples}/one.npz", "prompt=[a fox] runs"]
        return ["maskvid.evaluate", *common, f"out={place}/out", *more]

    def train(self, place: Path, *more: str) -> list[str]:
        """A request for a run."""
        return ["maskvid.train", *self.settings, f"run_dir={place}/run", f"data.cache_dir={place}/cache", *more]


Build = Callable[[Grounds, Path, str], Hostile]
"""Plants one way in a folder."""
