"""Writing files whole or not at all, where to, their names, and JSON that every reader takes."""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import math
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maskvid.errors import UserError

DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG}
)
"""Errors of the system that are the disk's and not the program's."""

_MARK = ".maskvid-"  # in the names of the hidden folders that `atomic_write` works in


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` once the block has finished.

    The temporary name keeps the suffix, because video and tensor writers choose their format by it. The block
    may write a file or make a folder. If it raises, or the process is killed, `path` is what it was before.

    Args:
        path: Where the finished file or folder is to be.

    Yields:
        A path in the same folder that does not exist yet.

    Raises:
        UserError: The disk is full or cannot be written to.
    """
    path = Path(path)
    with scratch(path.parent, path.stem) as workdir:
        temporary = workdir / path.name
        try:
            yield temporary
            if temporary.is_file():
                with temporary.open("rb") as handle:
                    os.fsync(handle.fileno())  # a rename that outlives its bytes would leave an empty file
            if path.is_dir():
                shutil.rmtree(path)
            os.replace(temporary, path)
        except UserError:
            raise
        except Exception as error:
            # other libraries say it each in their own way, so the disk itself is asked where they do not
            reason = _number_of(error) or _disk_says(temporary)
            if reason is None:
                raise
            raise _refused(path, reason) from error


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A hidden folder within a folder, for as long as the block lasts; what a kill leaves is found by its name.

    Args:
        folder: Made if missing.
        name: A part of its name.

    Raises:
        UserError: The disk is full or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workdir = Path(tempfile.mkdtemp(prefix=f".{name[:32]}{_MARK}", dir=folder))
    except OSError as error:
        raise _refused(folder / name, error) from error
    lock = os.open(workdir, os.O_RDONLY)  # tells `clear_temporaries` that somebody works here; a kill lets go of it
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield workdir
    finally:
        os.close(lock)
        shutil.rmtree(workdir, ignore_errors=True)


def _number_of(error: Exception) -> OSError | None:
    """The disk's error that an exception is, or (safetensors) speaks of."""
    spoken = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(spoken[1]) if spoken else None
    return OSError(number, os.strerror(number)) if number in DISK and number is not None else None


def _disk_says(temporary: Path) -> OSError | None:
    """Why nothing more can be written behind a file, None where it can."""
    try:
        with temporary.open("ab") as handle:
            handle.write(bytes(1 << 16))
            os.fsync(handle.fileno())
    except OSError as error:
        return error if error.errno in DISK else None
    return None


def _refused(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; free some space, or write elsewhere.")


def clear_temporaries(folder: Path) -> None:
    """Remove what killed processes left below a folder in the middle of a write; what is being written stays."""
    for workdir in folder.rglob(f".*{_MARK}*"):
        try:
            lock = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # gone meanwhile, or no folder
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(workdir, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


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


def file_name(name: str, *, longest: int = 120) -> str:
    """A name usable as a file name; names that had to change stay distinct by a checksum.

    Args:
        name: Letters of any alphabet.
        longest: Bytes of the result; file systems take 255, and suffixes follow.
    """
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".").lstrip("-") or "_"
    short = plain.encode()[: longest - 9].decode(errors="ignore")
    if plain == name and len(plain.encode()) <= longest:
        return plain
    return f"{short}-{zlib.crc32(name.encode(errors='replace')):08x}"


def unused(folder: str | Path, name: str, files: Sequence[str], *, overwrite: bool = False) -> str:
    """A name that none of the files of a request has taken yet: itself, or with a number behind it.

    Args:
        folder: It need not exist.
        name: See `file_name`.
        files: What is written, below the folder, `{}` where the name stands: `{}.mp4`, `{}.png`.
        overwrite: Whether what is there may be replaced.
    """
    for number in itertools.count(1):
        free = f"{name}{f'-{number}' if number > 1 else ''}"
        if overwrite or not any(Path(folder, file.format(free)).exists() for file in files):
            return free
    raise AssertionError("there are always further numbers")


def expanded(path: str | Path) -> Path:
    """A path whose `~/` at the front is the home folder; a name that only begins with `~` is a name."""
    return Path(path).expanduser() if str(path).startswith("~/") else Path(path)


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
