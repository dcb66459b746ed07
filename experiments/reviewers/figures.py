"""Curves of the reviewers' study."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from experiments.study import Row
from maskvid.files import atomic_write

SHOWN = ("mask_iou", "text_alignment", "frame_consistency_all_pairs")


def curves(rows: list[Row], path: Path) -> None:
    """Means with intervals over all clips, by the number of clips tuned on."""
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(3.6 * len(SHOWN), 3), layout="constrained")
    for axis, metric in zip(axes, SHOWN, strict=True):
        points = sorted(
            (float(str(row["clips_tuned_on"])), *(float(str(row[key])) for key in ("mean", "low", "high")))
            for row in rows
            if row["set"] == "all" and row["metric"] == metric
        )
        x, mean, low, high = zip(*points, strict=True)
        axis.plot(x, mean, marker="o", markersize=4)
        axis.fill_between(x, low, high, alpha=0.2)
        axis.set(xticks=x, xlabel="clips tuned on", ylabel=metric.replace("_", " "))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
