"""Programs as users run them, without importing the libraries again for each: forks of a server that has them."""

from __future__ import annotations

import importlib
import io
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("train", "generate", "edit", "evaluate", "report")
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [f"maskvid.{program}" for program in PROGRAMS] + ["maskvid.judges.clip_encoder", "wandb"]
)


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: As the shell has it; -9 where SIGKILL ended it, None where it hung and was killed.
        out: Standard output.
        err: Standard error.
    """

    status: int | None
    out: str
    err: str


def run_program(
    program: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    send: signal.Signals | None = None,
    when: Callable[[], bool] = lambda: True,
    largest_file: int | None = None,
    limit: float = 120,
) -> Ended:
    """Run `python -m maskvid.<program>` with arguments as they are typed.

    Args:
        program: One of `PROGRAMS`.
        arguments: Of it.
        folder: Its working directory.
        send: A signal that it is sent once `when()` holds.
        when: Looked at every hundredth of a second.
        largest_file: Bytes at which the disk is full, for every file alike.
        limit: Seconds until it counts as hung.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = [folder / f".{program}.{kind}" for kind in ("out", "err")]
    process = _SERVER.Process(target=_main, args=(program, list(arguments), folder, texts, largest_file))
    process.start()
    end = time.monotonic() + limit
    while process.is_alive() and time.monotonic() < end:
        if send is not None and process.pid is not None and when():
            os.kill(process.pid, send)
            send = None
        process.join(0.01)
    hung = process.is_alive()
    if hung:
        process.kill()
        process.join()
    out, err = (path.read_text(errors="replace") for path in texts)
    return Ended(None if hung else process.exitcode, out, err)


def _main(program: str, arguments: list[str], folder: Path, texts: list[Path], largest_file: int | None) -> None:
    for stream, path in zip((1, 2), texts, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True) for n in (1, 2))
    os.chdir(folder)
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": os.environ.get("WANDB_MODE", "offline")}
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    for ignored in (signal.SIGINT, signal.SIGHUP):  # by what a shell runs in the background, and all that it starts
        signal.signal(ignored, signal.SIG_DFL)
    module = importlib.import_module(f"maskvid.{program}")
    module.stopping.listen()
    sys.argv = [f"maskvid.{program}", *arguments]
    try:
        module.run(module.main)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    os._exit(code)
