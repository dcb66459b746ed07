"""Tables on terminals and in log files."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_WIDEST = 10_000


def print_whole(table: Table, console: Console | None = None) -> None:
    """Print a table with nothing of it cut, however narrow the terminal: a name that is cut means nothing.

    Examples:
        >>> table = Table("metric", "horse")
        >>> table.add_row("frame_consistency_all_pairs", "97.4")
        >>> print_whole(table, Console(width=20))
        ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━┓
        ┃ metric                      ┃ horse ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━┩
        │ frame_consistency_all_pairs │ 97.4  │
        └─────────────────────────────┴───────┘
    """
    console = console or Console()
    narrow = console.width
    console.width = max(narrow, Console(width=_WIDEST).measure(table).maximum)
    try:
        console.print(table)
    finally:
        console.width = narrow
