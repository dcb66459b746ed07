"""What is opened at all: files and folders, and nothing that waits or never ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from maskvid.errors import UserError

PATIENCE = 30.0
"""Seconds in which a disk must answer; one on the network may never do so."""


def is_folder(path: Path) -> bool:
    """Whether a path names a folder, or else a file: the first look at whatever a user names.

    Raises:
        UserError: It is missing, neither, or on a disk that does not answer.
    """
    answers: SimpleQueue[int | OSError | ValueError] = SimpleQueue()
    # a thread that waits for a dead disk cannot be stopped; as a daemon it does not keep the program from ending
    Thread(target=lambda: answers.put(_look(path)), daemon=True).start()
    try:
        answer = answers.get(timeout=PATIENCE)
    except Empty:
        raise UserError(f"unreadable file {path}: its disk has not answered for {PATIENCE:g} seconds.") from None
    return stat.S_ISDIR(_regular(path, answer))


def refuse_special(path: Path) -> None:
    """Refuse what is no regular file: opening a pipe waits for a writer, `/dev/zero` never ends.

    Raises:
        UserError: It is missing or no file.
    """
    if stat.S_ISDIR(_regular(path, _look(path))):
        raise UserError(f"unreadable file {path}: it is a folder; give a file.")


def _look(path: Path) -> int | OSError | ValueError:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        return error


def _regular(path: Path, answer: int | OSError | ValueError) -> int:
    """The mode of a file or a folder."""
    if isinstance(answer, FileNotFoundError):
        raise UserError(f"missing file: {path}") from answer
    if not isinstance(answer, int):
        reason = answer.strerror if isinstance(answer, OSError) and answer.strerror else str(answer)
        raise UserError(f"unreadable file {path!s:.200}: {reason}") from answer
    if not (stat.S_ISREG(answer) or stat.S_ISDIR(answer)):
        kind = "pipe" if stat.S_ISFIFO(answer) else "socket" if stat.S_ISSOCK(answer) else "device"
        raise UserError(f"unreadable file {path}: it is a {kind}; give a file or a folder.")
    return answer
