"""The one error a user can cause: entry points print it without a traceback and exit with status 1."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in an argument, a file or a configuration.

    The message names the argument, its value and the remedy.
    """
