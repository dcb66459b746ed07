"""Curves of how time and memory grow."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from experiments.study import Row
from maskvid.files import atomic_write


def curves(rows: list[Row], path: Path) -> None:
    """Seconds above and memory below, by what grows; from zero, so that what is flat looks flat."""
    kinds = list(dict.fromkeys((str(row["what"]), str(row["axis"])) for row in rows))
    figure, axes = plt.subplots(2, len(kinds), figsize=(2.8 * len(kinds), 5), layout="constrained", squeeze=False)
    for column, (what, axis) in enumerate(kinds):
        mine = [row for row in rows if (row["what"], row["axis"]) == (what, axis)]
        memory = "saved_for_backward_mb" if "saved_for_backward_mb" in mine[0] else "peak_memory_mb"
        x = [float(str(row["value"])) for row in mine]
        for shown, name in zip(axes[:, column], ("seconds", memory), strict=True):
            shown.plot(x, [float(str(row[name])) for row in mine], marker="o", markersize=4)
            shown.set(xlabel=axis, ylabel=name.replace("_", " "), xlim=(0, None), ylim=(0, None))
            shown.grid(alpha=0.3)
        axes[0, column].set_title(what)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
    plt.close(figure)
