"""Writing files whole or not at all, where to, their names, and JSON that every reader takes."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maskvid.errors import UserError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` once the block has finished.

    The temporary name keeps the suffix, because video and tensor writers choose their format by it. The block
    may write a file or make a folder. If it raises, or the process is killed, `path` is what it was before.

    Args:
        path: Where the finished file or folder is to be.

    Yields:
        A path in the same folder that does not exist yet.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workdir = Path(tempfile.mkdtemp(prefix=f".{path.stem}.", dir=path.parent))
    temporary = workdir / path.name
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())  # a rename that outlives its bytes would leave an empty file
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def json_text(content: Any, indent: int | None = 2) -> str:
    """Content as JSON, with a newline at its end; all JSON of this project is written by it.

    JSON has no infinite number and no NaN, though Python writes both. They become `null`, which then means: a figure
    that was measured and is no finite number, such as the PSNR of equal pictures. A figure that was not measured is
    left out.

    Args:
        content: Mappings, sequences, strings, numbers, booleans and None.
        indent: Spaces a level; None is one line.
    """
    return json.dumps(_finite(content), indent=indent, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def file_name(name: str) -> str:
    """A name usable as a file name; names that had to change stay distinct by a checksum."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"
    return plain if plain == name else f"{plain}-{zlib.crc32(name.encode()):08x}"


def check_output(out: str | Path, key: str = "out") -> None:
    """Refuse a folder to write to that is a file or in one, before there is anything to write.

    Args:
        out: The folder, which need not exist.
        key: What it was set by, for the message.

    Raises:
        UserError: Names it.
    """
    for place in (Path(out), *Path(out).parents):
        if place.exists():
            if not place.is_dir():
                raise UserError(f"{key}={out}: {place} is a file; give a folder.")
            return
