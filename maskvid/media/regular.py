"""What is opened at all: files and folders, and nothing that waits or never ends."""

from __future__ import annotations

import stat
from pathlib import Path

from maskvid.errors import UserError


def refuse_special(path: Path) -> None:
    """Refuse what is no regular file: opening a pipe waits for a writer, `/dev/zero` never ends.

    Raises:
        UserError: It is missing or no file.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        gone = isinstance(error, FileNotFoundError)
        raise UserError(f"missing file: {path}" if gone else f"unreadable file {path!s:.200}: {reason}") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"unreadable file {path}: it is a {_kind(mode)}; give a file.")


def _kind(mode: int) -> str:
    kinds = {"folder": stat.S_ISDIR, "pipe": stat.S_ISFIFO, "socket": stat.S_ISSOCK}
    return next((name for name, matches in kinds.items() if matches(mode)), "device")
