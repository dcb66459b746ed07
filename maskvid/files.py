"""Writing files whole or not at all, into folders that can be one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
