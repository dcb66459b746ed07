"""The one error a user can cause: entry points print it without a traceback and exit with status 1."""

from __future__ import annotations

LONGEST = 500  # letters of another library's message


class UserError(ValueError):
    """A mistake in an argument, a file or a configuration.

    The message names the argument, its value and the remedy.
    """


def said(error: BaseException) -> str:
    """What another library says, whole and on one line: the reason often stands in its last."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
