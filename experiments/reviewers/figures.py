"""Curves of the reviewers' study."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from experiments.study import Row
from maskvid.files import atomic_write

SHOWN = ("mask_iou", "text_alignment", "frame_consistency_all_pairs")


def curves(question: str, rows: list[Row], path: Path) -> None:
    """Means with intervals over all clips: robustness by kind and strength, shots by number of clips."""
    rows = [row for row in rows if row["set"] == "all"]
    kinds = list(dict.fromkeys(str(row.get("kind", "")) for row in rows))
    at = "strength" if question == "robustness" else "clips_tuned_on"
    one = len(kinds) == 1  # stands in one line
    across, down = (len(SHOWN), 1) if one else (len(kinds), len(SHOWN))
    size = {"figsize": (3.6 * across, 3 * down), "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(down, across, **size, sharey="none" if one else "row")
    for line, metric in zip(axes.T if one else axes, SHOWN, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            mine = [row for row in rows if row["metric"] == metric and str(row.get("kind", "")) == kind]
            for name in dict.fromkeys(str(row.get("trained_on", "")) for row in mine):
                points = sorted(
                    (float(str(row[at])), *(float(str(row[key])) for key in ("mean", "low", "high")))
                    for row in mine
                    if str(row.get("trained_on", "")) == name
                )
                x, mean, low, high = zip(*points, strict=True)
                axis.plot(x, mean, marker="o", markersize=4, label=name or None)
                axis.fill_between(x, low, high, alpha=0.2)
                axis.set_xticks(x)
            axis.set(title=kind, xlabel=at.replace("_", " "), ylabel=metric.replace("_", " "))
    if kinds != [""]:
        axes[0][0].legend(fontsize=7)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
