"""The import direction of the house: data enters at the front, and no room looks back.

A room is a file or a folder of `maskvid/`; each is listed with the others that it may import, also those that are still
to be built. What is imported within functions, by relative imports or by `importlib` counts as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskvid

ROOT = Path(maskvid.__file__).parent

GROUND = {
    "bounds": {"errors"},
    "cells": set[str](),
    "checksum": set[str](),
    "clip": set[str](),
    "devices": {"errors"},
    "errors": set[str](),
    "files": {"errors"},
    "hub": {"errors", "weights_folder"},
    "json_reading": {"errors"},
    "stopping": set[str](),
    "method": {"bounds", "errors", "settings"},
    "printing": set[str](),
    "prompt": {"errors"},
    "optimiser": set[str](),
    "preparation": {"bounds", "errors", "settings"},
    "seeds": set[str](),
    "settings": {"bounds", "errors"},
    "tensor_file": {"errors"},
    "weights_folder": {"errors", "json_reading"},
}
ROOMS = {
    "media": set[str](),
    "masks": {"media"},
    "metrics": set[str](),
    "judges": {"metrics"},
    "diffusion": set[str](),
    "model": set[str](),
    "world": {"media"},
    "data": {"masks", "media"},
    "footage": {"judges", "masks", "media"},
    "callbacks": {"judges", "media", "metrics", "model"},
    "miniature": {"judges", "media", "metrics", "model", "world"},
    "module": {"diffusion", "masks", "model", "optimiser", "pipeline"},
    "config": {"requestable"},
    "description": set[str](),
    "requestable": set[str](),
    "entry": set[str](),
    "run_dir": set[str](),
    "help": {"config", "entry"},
    "launch": set[str](),
    "sweep": {"entry"},
    "reporting": {"media", "metrics"},
    "tuned": {"description", "model"},
    "adapters": {"description", "diffusion", "model", "tuned"},
    "sampled": {"adapters", "diffusion", "model"},
    "inputs": {"media"},
    "asked": {"diffusion", "inputs", "masks", "media", "model", "sampled"},
    "pipeline": {"asked", "diffusion", "inputs", "model", "tuned"},
    "request": {"config", "data", "description", "entry", "inputs", "media", "model", "pipeline", "train"},
    "recordings": {"data", "masks", "media"},
    "second_stage": {"callbacks", "config", "data", "module", "run_dir"},
    "feedback": {"config", "entry", "judges", "masks", "media", "metrics", "pipeline"},
}
PROGRAMS = {"dashboard", "draw", "edit", "evaluate", "export", "generate", "prepare", "pretrain", "report", "train"}
EVERYTHING = {*GROUND, *ROOMS, *PROGRAMS}
ALLOWED = {
    "__init__": {"pipeline"},  # when it is asked for
    **GROUND,
    **{room: {*GROUND, *others} for room, others in ROOMS.items()},
    **dict.fromkeys(PROGRAMS, EVERYTHING),
}
OUTSIDE = {"experiments", "tests"}
BY_NAME = {"import_module", "__import__", "get_class", "get_method", "get_object"}
"""Functions of importlib and Hydra that import what a string names."""


def imports(path: Path, package: list[str]) -> Iterator[str]:
    """Dotted names of what a file of `package` imports; `?` where it is not written out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if function in BY_NAME:
                named = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "."
                yield "?" if str(named).startswith(".") else str(named)


def faults(root: Path) -> list[str]:
    """What is wrong with the imports of the package that lies in `root`, one sentence each."""
    found = []
    for path in sorted(root.rglob("*.py")):
        inner = path.relative_to(root)
        room = inner.parts[0].removesuffix(".py")
        if room not in ALLOWED:
            found.append(f"{inner}: {room} is not listed.")
            continue
        for name in imports(path, ["maskvid", *inner.parts[:-1]]):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if name == "?":
                found.append(f"{inner} imports by a name that is not written out.")
            elif top in OUTSIDE:
                found.append(f"{inner} imports {top}.")
            elif top == "maskvid" and not (other == room or other in ALLOWED[room] or other == "__version__"):
                found.append(f"{inner} imports {other or 'the whole package'}.")
    return found


def test_no_room_looks_back():
    assert len(list(ROOT.rglob("*.py"))) > 50
    assert faults(ROOT) == []


def test_below_the_programs_nothing_knows_of_configuration_files_or_the_trainer():
    """The library is used without Hydra, OmegaConf and Lightning, which only these rooms may import."""
    may = {*PROGRAMS, "callbacks", "config", "data", "entry", "help", "launch", "miniature", "module", "recordings"}
    may |= {"feedback", "reporting", "request", "second_stage", "sweep"}
    found = {
        (path.relative_to(ROOT).parts[0].removesuffix(".py"), name.partition(".")[0])
        for path in ROOT.rglob("*.py")
        for name in imports(path, ["maskvid"])
    }
    assert {
        (room, name) for room, name in found if name in {"hydra", "lightning", "omegaconf"} and room not in may
    } == set()


def test_no_two_files_have_one_name():
    names = [path.name for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
    assert {name for name in names if names.count(name) > 1} == set()


@pytest.mark.parametrize(
    ("file", "code", "fault"),
    [
        ("model/new.py", "import maskvid.module", "model/new.py imports module."),
        ("model/new.py", "from maskvid.train import train", "model/new.py imports train."),
        ("model/new.py", "from maskvid import data", "model/new.py imports data."),
        ("model/new.py", "import maskvid", "model/new.py imports the whole package."),
        ("model/deep/new.py", "from ...metrics import suite", "model/deep/new.py imports metrics."),
        ("model/__init__.py", "from .. import sampled", "model/__init__.py imports sampled."),
        ("clip.py", "def late():\n    from .settings import Noise", "clip.py imports settings."),
        (
            "diffusion/new.py",
            "import importlib\nimportlib.import_module('maskvid.model')",
            "diffusion/new.py imports model.",
        ),
        ("data/new.py", "x = __import__('maskvid.' + name)", "data/new.py imports by a name that is not written out."),
        ("reporting/new.py", "if True:\n    import experiments.study", "reporting/new.py imports experiments."),
        ("train.py", "from tests import runs", "train.py imports tests."),
        ("attic.py", "", "attic.py: attic is not listed."),
        ("attic/new.py", "", "attic/new.py: attic is not listed."),
    ],
)
def test_a_file_that_does_is_found(tmp_path, file, code, fault):
    for name, good in (("module.py", "from maskvid.model import Backbone"), ("model/good.py", "from ..clip import X")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(good)
    assert faults(tmp_path) == []
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(code)
    assert faults(tmp_path) == [fault]
