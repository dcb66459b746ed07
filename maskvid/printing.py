"""Tables on terminals and in log files."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_WIDEST = 10_000


def print_whole(table: Table, console: Console | None = None) -> None:
    """Print a table with nothing of it cut, however narrow the terminal: a name that is cut means nothing."""
    console = console or Console()
    width = Console(width=_WIDEST).measure(table).maximum
    console.print(table, width=max(width, 1), crop=False, overflow="ignore", no_wrap=True)
