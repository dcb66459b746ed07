"""The one error a user can cause: entry points print it without a traceback and exit with status 1."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in an argument, a file or a configuration.

    The message names the argument, its value and the remedy.
    """


def first_line(error: BaseException) -> str:
    """The first line of another library's error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
