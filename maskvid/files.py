"""Writing files whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
