"""JSON files that anyone may have written: bounded before they are read, refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskvid.errors import UserError

LARGEST = 2**20  # bytes, if not said otherwise
DEEPEST = 64  # levels of lists and mappings


def read_json(path: str | Path, *, largest: int = LARGEST) -> Any:
    """Read a JSON file.

    Args:
        path: Of the file.
        largest: Bytes beyond which it is refused before it is read.

    Returns:
        Plain containers, at most `DEEPEST` levels of them; every text in them can be written as UTF-8.

    Raises:
        UserError: It is no file, too large, nested too deeply, or no JSON; the message names the path.
    """
    return parse_json(read_bounded(path, largest), path)


def read_bounded(path: str | Path, largest: int = LARGEST) -> bytes:
    """The bytes of a file that is no pipe and not larger than its kind is.

    Args:
        path: Of the file.
        largest: Bytes beyond which it is refused before it is read.

    Raises:
        UserError: It is no file, too large, or cannot be read; the message names the path.
    """
    path = Path(path)
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise UserError(f"{path}: no such file.")
        with path.open("rb") as handle:
            content = handle.read(largest + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > largest:
        raise UserError(f"{path} has more than {largest} bytes, which no file of its kind has.")
    return content


def parse_json(content: bytes | str, path: str | Path) -> Any:
    """JSON of a bounded length, as `read_json` reads it; `path` names it in messages."""
    try:
        found = json.loads(content)  # ValueError: also of integers with thousands of digits
        json.dumps(found, ensure_ascii=False).encode()  # ValueError: halves of a pair of surrogates
    except RecursionError:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep.") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from error
    if _depth(found) > DEEPEST:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep.")
    return found


def read_mapping(path: str | Path, *, largest: int = LARGEST) -> dict[str, Any]:
    """Read a JSON file that must hold a mapping, see `read_json`."""
    found = read_json(path, largest=largest)
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__} where there should be a mapping.")
    return found


def _depth(content: Any) -> int:
    level, depth = [content], 0
    while level := [node for node in level if isinstance(node, (dict, list))]:
        level = [entry for node in level for entry in (node.values() if isinstance(node, dict) else node)]
        depth += 1
    return depth
