"""Run folders of others, their checkpoints, and a cache that others can write to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from maskvid.checksum import checksum
from tests.hostile.grounds import Build, Grounds, Hostile, edit_json, write_pickle
from tests.test_description import PLACES, altered


def described(change: Callable[[dict, dict], Any]) -> Build:
    """A run whose description names a function where it can."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        marker = place / "marker"
        node = {"_target_": "builtins.open", "_args_": [str(marker), "w"], "file": str(marker), "mode": "w"}
        run = altered(grounds.run, place / "bad", lambda content: change(content, node))
        return Hostile(name, grounds.generate(place, run=run), marker, words="run=")

    return build


def adapter(change: Callable[[Path, Path], Any]) -> Build:
    """A run whose adapter's files were changed: `change` is given their folder and the marker."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = shutil.copytree(grounds.run / "adapter", place / "bad" / "adapter"), place / "marker"
        change(bad, marker)
        return Hostile(name, grounds.generate(place, run=place / "bad"), marker, words="run=|adapter=")

    return build


def pipe(path: Path) -> None:
    """A pipe in place of a file: whoever opens it waits for ever."""
    path.unlink()
    os.mkfifo(path)


DESCRIPTIONS: dict[str, Build] = {
    **{place: described(change) for place, change in PLACES.items()},
    "weights_pickled": adapter(lambda bad, marker: write_pickle(bad / "adapter.safetensors", marker)),
    "weights_bare_pickle": adapter(
        lambda bad, marker: write_pickle(bad / "adapter.safetensors", marker, archive=False)
    ),
    "weights_pipe": adapter(lambda bad, marker: pipe(bad / "adapter.safetensors")),
    "json_pickled": adapter(lambda bad, marker: write_pickle(bad / "adapter.json", marker)),
    "json_deep": adapter(lambda bad, marker: (bad / "adapter.json").write_text("[" * 200_000)),
    "json_huge_integer": adapter(lambda bad, marker: (bad / "adapter.json").write_text("9" * 10_000)),
    "json_surrogates": adapter(lambda bad, marker: edit_json(bad / "adapter.json", half_a_letter)),
}


def half_a_letter(content: dict) -> None:
    """A method's name that no file can hold."""
    content["run"]["method"]["name"] = "\ud800"


def checkpoint(write: Callable[[Path, Path], Any]) -> Build:
    """A checkpoint to go on from: `write` is given its path and the marker."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / "last.ckpt", place / "marker"
        write(bad, marker)
        argv = grounds.train(place, "method.trained=true", f"ckpt_path={bad}")
        return Hostile(name, argv, marker, words="ckpt_path=")

    return build


CHECKPOINTS: dict[str, Build] = {
    "archive": checkpoint(write_pickle),
    "bare_pickle": checkpoint(lambda path, marker: write_pickle(path, marker, archive=False)),
    "list": checkpoint(lambda path, marker: torch.save([1, 2], path)),
    "empty": checkpoint(lambda path, marker: torch.save({}, path)),
}


def cached(change: Callable[[Path, Path], Any]) -> Build:
    """A cache of which every entry was changed; it is encoded anew."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        cache, marker = shutil.copytree(grounds.cache, place / "cache"), place / "marker"
        for path in cache.rglob("*.safetensors"):
            change(path, marker)
        return Hostile(name, grounds.train(place), marker, refused=False)

    return build


def reentered(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path, Path], None]:
    """Other numbers under a checksum that is right."""

    def write(path: Path, marker: Path) -> None:
        tensors = {name: change(value).contiguous() for name, value in load_file(path).items()}
        save_file(tensors, path, metadata={"key": path.stem, "checksum": checksum(tensors)})

    return write


def sparse(path: Path, marker: Path) -> None:
    """A file that declares 100 GB, and has them, as a hole."""
    header = f'{{"latents":{{"dtype":"F32","shape":[{25 * 10**9}],"data_offsets":[0,{10**11}]}}}}'.encode()
    with path.open("wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        handle.truncate(8 + len(header) + 10**11)


CACHES: dict[str, Build] = {
    "pickled": cached(write_pickle),
    "other_shapes": cached(reentered(lambda value: value[:1])),
    "not_finite": cached(reentered(lambda value: torch.full_like(value, torch.nan))),
    "sparse": cached(sparse),
    "huge_header": cached(lambda path, marker: path.write_bytes(b"\xff" * 64)),
}
