"""Ctrl-C, SIGTERM and SIGHUP: what is under way ends so that it can be gone on with, and the status says so."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked the program to end. No `except Exception` takes it for an error of a job or of a trial."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def status(self) -> int:
        """Of the process, as shells have it: 128 and the signal's number."""
        return 128 + self.signum


class Stopping:
    """What a signal does now.

    Attributes:
        remedy: What to tell the user about going on.
        asked: The signal that waits until the step under way is done, or None.
    """

    def __init__(self) -> None:
        self.remedy = ""
        self.asked: int | None = None
        self._begun = self._waits = False

    def listen(self) -> None:
        """Take the signals, unless whoever started the program wants one ignored (`nohup`).

        Under SLURM SIGTERM is Lightning's, which requeues the job.
        """
        for signum in SIGNALS:
            theirs = signum == signal.SIGTERM and "SLURM_JOB_ID" in os.environ
            if signal.getsignal(signum) is not signal.SIG_IGN and not theirs:
                signal.signal(signum, self._handle)

    def begin(self) -> None:
        """There is something to bring to an end now; before, a signal ends the program at once."""
        self._begun = True

    def wait(self) -> None:
        """Steps come that are better finished: a signal waits in `asked`, and only a second one does not."""
        self._waits = True

    def at_once(self) -> None:
        """What comes may be left anywhere."""
        self._waits = False

    def stop(self) -> NoReturn:
        """Stop for the signal that waited."""
        assert self.asked is not None
        raise Stopped(self.asked)

    def _handle(self, signum: int, frame: FrameType | None) -> Any:
        name = signal.Signals(signum).name
        if not self._begun:
            os.write(2, f"\nstopped by {name} before anything was done\n".encode())
            os._exit(128 + signum)
        if self._waits and self.asked is None:
            self.asked = signum
            os.write(2, f"\n{name}: stopping behind this step; once more stops at once\n".encode())
            return
        raise Stopped(signum)


stopping = Stopping()


def leave(stopped: Stopped) -> NoReturn:
    """End the program as it was asked to, with a sentence."""
    print(f"\nstopped by {stopped}. {stopping.remedy}".rstrip(), file=sys.stderr, flush=True)
    sys.exit(stopped.status)
