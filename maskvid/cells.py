"""Cells of CSV files: spreadsheets take a text that begins like a formula for one, and would run it.

Such a text is written with an apostrophe before it, as is the custom, and read back without. Numbers stay numbers.
"""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_cell(value: Any) -> Any:
    """A value as it is written into a CSV file."""
    if isinstance(value, str) and value.lstrip("'").startswith(_FORMULA) and not _is_number(value):
        return "'" + value
    return value


def from_cell(text: str) -> str:
    """What `to_cell` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
