"""Programs as users run them, hundreds in minutes: forked from one process that has paid for their imports.

A fork gets its arguments, a working directory and pipes for what it prints, and runs `python -m maskvid.<program>` from
its first line; exit status, signals, grandchildren and memory are those of a process of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import os
import pickle
import resource
import runpy
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""After which a program is taken to hang; the slowest of these inputs takes a tenth."""

_PIPE = 2**20  # bytes that fit in a pipe before anybody reads
_F_SETPIPE_SZ = 1031  # of Linux; elsewhere pipes stay as they are
_TICK = 0.002  # seconds; a checkpoint is written in some ten times that


@dataclass(frozen=True)
class Strike:
    """A signal, and the moment it is sent.

    Attributes:
        signal: Its number.
        when: Looked at all the time; the signal is sent once it is true.
    """

    signal: int
    when: Callable[[], bool]


@dataclass(frozen=True)
class Launch:
    """A program with its arguments.

    Attributes:
        program: `train`, `generate`, ...
        arguments: As they are typed.
        folder: The working directory.
        strike: What hits it.
        largest_file: Bytes that a file may have, as on a disk that is full; None is no bound.
        modules: File that gets the names of all modules imported in the end.
        seconds: After which it is taken to hang.
    """

    program: str
    arguments: tuple[str, ...]
    folder: Path
    strike: Strike | None = None
    largest_file: int | None = None
    modules: Path | None = None
    seconds: float = SECONDS


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        launch: What was run.
        status: Exit status; minus the signal where one ended it.
        hung: Whether it had to be ended.
        struck: Whether its strike was sent.
        seconds: It took.
        peak_mb: Its largest memory, as a process of its own.
        output: Standard output.
        errors: Standard error.
    """

    launch: Launch
    status: int
    hung: bool
    struck: bool
    seconds: float
    peak_mb: float
    output: str
    errors: str

    @property
    def broke(self) -> bool:
        """Whether a traceback was printed, or a signal that nobody sent ended it."""
        shown = any("Traceback (most recent call last)" in text for text in (self.output, self.errors))
        return shown or (self.status < 0 and not self.hung and not self.struck)


@dataclass
class _Running:
    launch: Launch
    pid: int
    pipes: tuple[int, int]
    start: float
    texts: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    struck: bool = False
    hung: bool = False


THREADED = "onnxruntime"
"""Starts a thread when it is imported, which libraries do that find it: each fork imports it for itself."""


class Forks:
    """Starts programs and waits for them; nothing else of this process may have threads."""

    def __init__(self, programs: tuple[str, ...]) -> None:
        """Import the programs.

        Args:
            programs: Names of modules of `maskvid`.
        """
        for program in programs:
            importlib.import_module(f"maskvid.{program}")
        self._settle()

    def _settle(self) -> None:
        threads = len(os.listdir("/proc/self/task")) if Path("/proc/self/task").is_dir() else 1
        if threads > 1:
            raise RuntimeError(f"{threads} threads: forks would inherit their locks")
        gc.collect()
        gc.freeze()  # a collection in a fork would otherwise copy all pages
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        self._inherited = (mine - os.wait4(pid, 0)[2].ru_maxrss) / 1024  # pages that a fork has not touched

    def know(self, modules: Path) -> None:
        """Import what a run imported late (`Launch.modules`), so that no fork has to again."""
        sys.modules[THREADED] = None  # type: ignore[assignment]  # as Python marks what cannot be imported
        for name in modules.read_text().splitlines():
            if name not in sys.modules and name.partition(".")[0] != "triton":  # it complains when this process ends
                with contextlib.suppress(Exception), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    importlib.import_module(name)
        del sys.modules[THREADED]
        self._settle()

    @staticmethod
    def apart(work: Callable[[], Any]) -> Any:
        """Do something in a fork: libraries may start threads, which this process must not have.

        Returns:
            What it returned, pickled in between.

        Raises:
            RuntimeError: It failed; standard error says why.
        """
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                with os.fdopen(write, "wb") as pipe, contextlib.redirect_stdout(None):
                    pipe.write(pickle.dumps(work()))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            content = pipe.read()
        if os.waitpid(pid, 0)[1] != 0:
            raise RuntimeError(f"{work} failed")
        return pickle.loads(content)

    def start(self, launch: Launch) -> _Running:
        """Fork a program."""
        pipes = os.pipe(), os.pipe()
        for read, write in pipes:
            os.set_blocking(read, False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(write, _F_SETPIPE_SZ, _PIPE)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _become(launch, pipes[0][1], pipes[1][1])
        for _, write in pipes:
            os.close(write)
        return _Running(launch, pid, (pipes[0][0], pipes[1][0]), time.monotonic())

    def poll(self, running: _Running) -> Outcome | None:
        """How a program ended, or None while it runs; strikes, and ends what hangs."""
        launch = running.launch
        if launch.strike is not None and not running.struck and launch.strike.when():
            os.kill(running.pid, launch.strike.signal)
            running.struck = True
        pid, status, usage = os.wait4(running.pid, os.WNOHANG)
        self._read(running)
        if pid == 0:
            if time.monotonic() - running.start > launch.seconds and not running.hung:
                running.hung = True
                os.killpg(running.pid, signal.SIGKILL)
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)  # what it left behind
        for pipe in running.pipes:
            os.close(pipe)
        output, errors = (bytes(text).decode("utf-8", "replace") for text in running.texts)
        return Outcome(
            launch=launch,
            status=os.waitstatus_to_exitcode(status),
            hung=running.hung,
            struck=running.struck,
            seconds=time.monotonic() - running.start,
            peak_mb=usage.ru_maxrss / 1024 + self._inherited,
            output=output,
            errors=errors,
        )

    def finish(self, launch: Launch) -> Outcome:
        """Run one program to its end."""
        running = self.start(launch)
        while (outcome := self.poll(running)) is None:
            time.sleep(_TICK)
        return outcome

    @staticmethod
    def _read(running: _Running) -> None:
        for pipe, text in zip(running.pipes, running.texts, strict=True):
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(pipe, _PIPE):
                    text += piece


def _become(launch: Launch, output: int, errors: int) -> None:
    """Be the program; does not return."""
    status = 1
    try:
        os.setsid()
        for signum in (signal.SIGINT, signal.SIGHUP):  # a shell lets what runs in the background ignore them
            signal.signal(signum, signal.SIG_DFL if signum == signal.SIGHUP else signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for mine, standard in ((nothing, 0), (output, 1), (errors, 2)):
            os.dup2(mine, standard)
        os.chdir(launch.folder)
        if launch.largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails, as where the disk is full
            resource.setrlimit(resource.RLIMIT_FSIZE, (launch.largest_file, launch.largest_file))
        sys.argv = [launch.program, *launch.arguments]
        status = _run(f"maskvid.{launch.program}")
        if launch.modules is not None:
            launch.modules.write_text("\n".join(list(sys.modules)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _run(module: str) -> int:
    """Run a module as `python -m` does, down to what happens at exit; its exit status."""
    status, interrupted = 0, False
    try:
        warnings.filterwarnings("ignore", message=".*found in sys.modules after import of package")
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        interrupted = True
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if interrupted:  # as the interpreter ends then
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status & 0xFF
