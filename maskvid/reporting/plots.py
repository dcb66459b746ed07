"""Plots of a sweep: intervals beside each other, or curves where a variant is a number."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

from maskvid.errors import UserError
from maskvid.files import atomic_write
from maskvid.reporting.table import Cell, Summary

LONGEST_LABEL = 80  # letters


def draw(summary: Summary, metrics: list[str], paths: list[Path]) -> None:
    """Draw one panel for each metric and write the figure in each suffix asked for (.png, .svg).

    Where the values of one key are all numbers, and there are three or more, they are the x axis and the other keys
    make the curves; else variants stand side by side.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'maskvid[report]', or plots=false.") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5 * columns, 3.4 * rows), layout="constrained", squeeze=False)
    axis_of = numeric_key(summary)
    for metric, axis in zip(metrics, axes.flat, strict=False):
        cells = [cell for cell in summary.cells if cell.metric == metric]
        if axis_of is None:
            _intervals(axis, summary, cells)
        else:
            _curves(axis, summary, cells, axis_of)
        axis.set_title(_shown(metric.replace("_", " ")))
    for axis in list(axes.flat)[len(metrics) :]:
        axis.remove()
    axes.flat[0].legend(fontsize=7)
    for path in paths:
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=110)
    plt.close(figure)


def numeric_key(summary: Summary) -> int | None:
    """Which key's values are numbers, three or more of them; None where there is none."""
    for index in range(len(summary.keys)):
        values = {cell.variant[index] for cell in summary.cells}
        if len(values) >= 3 and all(_is_number(value) for value in values):
            return index
    return None


def _intervals(axis: Any, summary: Summary, cells: list[Cell]) -> None:
    labels = list(dict.fromkeys(summary.label(cell.variant) for cell in cells))
    sets = list(dict.fromkeys(cell.set_name for cell in cells))
    for index, name in enumerate(sets):
        mine = [cell for cell in cells if cell.set_name == name]
        places = [labels.index(summary.label(cell.variant)) + 0.2 * (index - (len(sets) - 1) / 2) for cell in mine]
        _errorbar(axis, places, mine, label=_shown(name), linestyle="none")
    axis.set_xticks(range(len(labels)), [_shown(label) for label in labels], rotation=30, ha="right", fontsize=7)


def _curves(axis: Any, summary: Summary, cells: list[Cell], index: int) -> None:
    def rest(cell: Cell) -> tuple[str, ...]:
        return (*(value for i, value in enumerate(cell.variant) if i != index), cell.set_name)

    for curve in dict.fromkeys(rest(cell) for cell in cells):
        mine = sorted((cell for cell in cells if rest(cell) == curve), key=lambda cell: float(cell.variant[index]))
        _errorbar(
            axis, [float(cell.variant[index]) for cell in mine], mine, label=_shown(", ".join(curve)), linestyle="-"
        )
    axis.set_xlabel(_shown(summary.keys[index]), fontsize=8)


def _errorbar(axis: Any, places: list[float], cells: list[Cell], **style: Any) -> None:
    finite = [math.isfinite(cell.estimate.mean) for cell in cells]  # the rest stands in the table alone
    places, cells = list(itertools.compress(places, finite)), list(itertools.compress(cells, finite))
    means = [cell.estimate.mean for cell in cells]
    below = [max(cell.estimate.mean - cell.estimate.low, 0) for cell in cells]
    above = [max(cell.estimate.high - cell.estimate.mean, 0) for cell in cells]
    axis.errorbar(places, means, yerr=[below, above], marker="o", markersize=4, capsize=2, **style)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _shown(text: str) -> str:
    """A label as matplotlib draws it letter by letter: no formulas, no hidden labels, nothing that fills the figure."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_LABEL])
    return (" " + plain if plain.startswith("_") else plain).replace("$", r"\$")
