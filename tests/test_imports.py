"""The import direction of the house: data enters at the front, no room looks back."""

import ast
from pathlib import Path

import pytest

import maskvid

ROOT = Path(maskvid.__file__).parent
GROUND = {"bounds", "clip", "errors", "files", "seeds", "settings", "video"}
ALLOWED = {
    "masks": GROUND,
    "metrics": GROUND,
    "diffusion": GROUND,
    "model": GROUND,
    "data": GROUND | {"masks"},
    "world": GROUND,
    "miniature": GROUND | {"world", "masks", "metrics", "model"},
    "callbacks": GROUND | {"masks", "metrics", "model"},
    "sampler": GROUND | {"diffusion", "model"},
    "module": GROUND | {"masks", "diffusion", "model", "sampler"},
    "settings": {"bounds", "errors"},
    "config": GROUND,
    "entry": GROUND,
    "help": {"config", "entry"},
}
LOCAL = {path.stem for path in ROOT.glob("*") if path.suffix == ".py" or (path / "__init__.py").exists()}


def imported(path: Path) -> set[str]:
    """Rooms a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    rooms = {name.split(".")[1] for name in names if name.startswith("maskvid.")}
    return rooms & LOCAL


@pytest.mark.parametrize("room", sorted(LOCAL - {"__init__", "assets"}))
def test_a_room_imports_only_what_lies_before_it(room):
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else sorted((ROOT / room).rglob("*.py"))
    assert files
    allowed = ALLOWED.get(room, {"errors", "files"} if room in GROUND else LOCAL)
    for path in files:
        assert imported(path) - allowed - {room} <= set(), path


def test_nothing_imports_experiments():
    for path in ROOT.rglob("*.py"):
        assert "experiments" not in path.read_text().split("import ")[0], path
