"""Files and folders of people who mean harm, and what each is given to: nothing in them may be run.

Each entry plants code that would leave a marker where it lies, or something that would break a reader. The tests carry
them out within one process, `experiments/robustness` as the programs that people start.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskvid.config import register
from maskvid.train import train
from tests.backbones import save_backbone
from tests.data.tiny import write_triple
from tests.runs import configure
from tests.test_description import PLACES, altered

register()


@dataclass(frozen=True)
class Hostile:
    """One request with something hostile in it.

    Attributes:
        name: Of the way it is tried.
        argv: For `python -m`: the program, then its arguments.
        marker: What code that was run would have written; it must not exist afterwards.
        refused: Whether the request must be refused in a sentence with status 1; else it may also succeed.
    """

    name: str
    argv: list[str]
    marker: Path
    refused: bool = True


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


def hostile(folder: Path) -> Iterator[Hostile]:
    """Plant everything there is, one after the other.

    Args:
        folder: Made where it does not exist; each attack lies in a folder of its own below it.

    Yields:
        What to carry out; later ones are planted once they are asked for.
    """
    grounds = Grounds(folder / "grounds")
    for kind, plant in KINDS.items():
        for name, build in plant.items():
            place = folder / f"{kind}_{name}"
            place.mkdir(parents=True)
            yield build(grounds, place, f"{kind}_{name}")


Build = Callable[[Grounds, Path, str], Hostile]


def described(change: Callable[[dict, dict], Any]) -> Build:
    """A run whose description names a function where it can."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        marker = place / "marker"
        node = {"_target_": "builtins.open", "_args_": [str(marker), "w"], "file": str(marker), "mode": "w"}
        run = altered(grounds.run, place / "bad", lambda content: change(content, node))
        return Hostile(name, grounds.generate(place, run=run), marker)

    return build


def backbone(change: Callable[[Path, Path], Any], *more: str, refused: bool = True) -> Build:
    """A backbone folder that was changed: `change` is given the folder and the marker."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = shutil.copytree(grounds.backbone, place / "bad"), place / "marker"
        change(bad, marker)
        return Hostile(name, grounds.generate(place, f"backbone.path={bad}", *more), marker, refused)

    return build


def unsafe(part: str, weights: str, pickled: str, *, archive: bool = True) -> Build:
    """A part whose weights are pickled in a file of some name."""

    def change(bad: Path, marker: Path) -> None:
        (bad / part / weights).unlink()
        write_pickle(bad / part / pickled, marker, archive=archive)

    return backbone(change)


def indexed(**parts: Any) -> Callable[[Path, Path], Any]:
    """Other entries of `model_index.json`, and beside them the Python files that they would name."""

    def change(bad: Path, marker: Path) -> None:
        edit_json(bad / "model_index.json", lambda index: index.update(parts))
        for name in ("pipeline", "my_module", "my_pipeline", *parts):
            for place in (bad, bad / "unet", bad / "scheduler", bad / name):
                place.mkdir(exist_ok=True)
                for module in (name, "my_module", "__init__"):
                    (place / f"{module}.py").write_text(code(marker) + "class Evil: pass\n")

    return change


def configured(file: str, **entries: Any) -> Callable[[Path, Path], Any]:
    """Other entries of one part's configuration, and Python files beside it."""

    def change(bad: Path, marker: Path) -> None:
        edit_json(bad / file, lambda content: content.update(entries))
        (bad / file).with_name("evil.py").write_text(code(marker) + "class Evil: pass\n")

    return change


UNET, MODEL = "diffusion_pytorch_model.safetensors", "model.safetensors"
BACKBONES: dict[str, Build] = {
    "unet_bin": unsafe("unet", UNET, "diffusion_pytorch_model.bin"),
    "unet_bare_pickle": unsafe("unet", UNET, "diffusion_pytorch_model.bin", archive=False),
    "unet_pickle_named_safetensors": unsafe("unet", UNET, UNET),
    "vae_bin": unsafe("vae", UNET, "diffusion_pytorch_model.bin"),
    "vae_bare_pickle_named_safetensors": unsafe("vae", UNET, UNET, archive=False),
    "text_encoder_bin": unsafe("text_encoder", MODEL, "pytorch_model.bin"),
    "text_encoder_bare_pickle": unsafe("text_encoder", MODEL, "pytorch_model.bin", archive=False),
    "text_encoder_pickle_named_safetensors": unsafe("text_encoder", MODEL, MODEL),
    "index_custom_pipeline": backbone(indexed(_class_name=["pipeline", "Evil"])),
    "index_own_pipeline": backbone(indexed(_class_name="my_pipeline")),
    "index_module_of_part": backbone(indexed(unet=["my_module", "Evil"])),
    "index_module_of_scheduler": backbone(indexed(scheduler=["my_module", "Evil"])),
    "index_module_anywhere": backbone(indexed(unet=["antigravity", "Evil"])),
    "index_more_parts": backbone(indexed(evil=["evil", "Evil"])),
    "index_function": backbone(indexed(unet=["os", "system"])),
    "text_encoder_auto_map": backbone(configured("text_encoder/config.json", auto_map={"AutoModel": "evil.Evil"})),
}

KINDS: Mapping[str, Mapping[str, Build]] = {
    "description": {place: described(change) for place, change in PLACES.items()},
    "backbone": BACKBONES,
}
