"""Drawings as files: read from JSON or YAML that anybody may have written, written as short as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.json_reading import DEEPEST, parse_json, read_bounded
from maskvid.masks.draw.drawing import Drawing

YAML_SUFFIXES = frozenset({".yaml", ".yml"})
_SAID = {"extra_forbidden": "there is no such key", "missing": "it must be there"}
"""What pydantic says in longer words."""


class _Loader(yaml.SafeLoader):
    """Plain data, without aliases: a short file of nested ones stands for more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)


def read_drawing(path: str | Path) -> Drawing:
    """Read a drawing; files that it names lie beside it.

    Args:
        path: JSON, or YAML by its suffix.

    Raises:
        UserError: It cannot be read, or says something that means nothing; the message names the place in it.
    """
    path = Path(path)
    content = read_bounded(path)
    found = _parse_yaml(content, path) if path.suffix.lower() in YAML_SUFFIXES else parse_json(content, path)
    return parse_drawing(found, path)


def _parse_yaml(content: bytes, path: Path) -> Any:
    try:
        return _Loader(content).get_single_data()
    except RecursionError:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep.") from None
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from error


def parse_drawing(found: Any, path: str | Path) -> Drawing:
    """Check plain containers and make a drawing of them; `path` names it in messages, and its files lie beside it.

    Raises:
        UserError: Names the places and what may stand there.
    """
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}; a drawing is a mapping with `objects`.")
    try:
        drawing = Drawing.model_validate(found)
    except RecursionError:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep.") from None
    except ValidationError as error:
        faults = [f"{_place(fault['loc'])}: {_SAID.get(fault['type'], fault['msg'])}" for fault in error.errors()]
        faults = [fault.replace("Value error, ", "") for fault in faults]
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise UserError(f"{path}: {'; '.join(faults[:5])}{more}.") from error
    return with_files(drawing, Path(path).parent)


def with_files(drawing: Drawing, folder: Path) -> Drawing:
    """A drawing whose files are looked for in a folder."""

    def placed(shape: Any) -> Any:
        file = getattr(shape, "file", None)
        return shape if file is None else shape.model_copy(update={"file": str(folder / Path(file).expanduser())})

    objects = [
        one.model_copy(
            update={
                "shape": placed(one.shape),
                "keys": [key.model_copy(update={"shape": placed(key.shape)}) for key in one.keys],
            }
        )
        for one in drawing.objects
    ]
    return drawing.model_copy(update={"objects": objects})


def write_drawing(path: str | Path, drawing: Drawing) -> Path:
    """Write a drawing as JSON, without what is as it is by default."""
    path = Path(path)
    with atomic_write(path) as temporary:
        temporary.write_text(json_text(as_written(drawing)))
    return path


def as_written(drawing: Drawing) -> dict[str, Any]:
    """A drawing in plain containers, as short as people write it."""
    return _short(drawing.model_dump(mode="json", exclude_none=True))


_DEFAULTS: dict[str, Any] = {
    "ease": "linear", "occluder": False, "jumps": [], "smooth": True, "start": 0.0, "speed": "linear",
    "follow": False, "keys": [],
}  # fmt: skip


def _short(content: Any) -> Any:
    if isinstance(content, dict):
        if content.get("kind") == "silhouette" and set(content) <= {"kind", "of", "gait"} and "of" in content:
            return content["of"] if content["gait"] == "auto" else f"{content['of']}/{content['gait']}"
        return {
            key: _short(value)
            for key, value in content.items()
            if not (key in _DEFAULTS and value == _DEFAULTS[key]) and not (key == "gait" and value == "auto")
        }
    return [_short(entry) for entry in content] if isinstance(content, list) else content


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the file: `objects[0].keys[2].at`."""
    tags = ("ellipse", "rectangle", "polygon", "picture", "silhouette", "function-", "literal", "tup")
    words = [part for part in location if not str(part).startswith(tags)]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in words)
    return text.removeprefix(".") or "it"
