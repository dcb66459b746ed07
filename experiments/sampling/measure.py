"""How to sample: `python -m experiments.sampling.measure` (needs the extra `dev`; `--seeds 1 2 3`).

Two curves on the validation clips, with the runs of the horse study: quality against the number of steps for three
schedulers of diffusers, and against the scale of classifier-free guidance at the experiment's own steps. Results that
are there are not computed again. Writes results.csv (a row for each setting, seed and set), table.md and curves.png
beside this file.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import matplotlib.pyplot as plt

from experiments.study import HEADLINES, RUNS, Row, evaluate, tune, write_rows, write_table
from maskvid.files import atomic_write

HERE = Path(__file__).parent
SETS = {name: f"assets://horse/validation/{name}" for name in ("horse", "unseen")}
SCHEDULERS = ("DPMSolverMultistepScheduler", "DDIMScheduler", "EulerDiscreteScheduler")
STEPS = (2, 4, 8, 12, 25)
DEFAULT_STEPS = 4  # of the experiment
SCALES = (1.0, 1.5, 2.5, 4.0, 7.5)
SHOWN = ("mask_iou", "text_alignment", "frame_consistency_all_pairs")


def draw(rows: list[Row], path: Path) -> None:
    """Means over seeds: steps in the upper row, guidance in the lower one."""
    figure, axes = plt.subplots(2, len(SHOWN), figsize=(11, 6), layout="constrained")
    for row, curve, label in zip(axes, ("steps", "guidance"), ("sampling steps", "guidance scale"), strict=True):
        for axis, metric in zip(row, SHOWN, strict=True):
            mine = [entry for entry in rows if entry["curve"] == curve]
            for line in dict.fromkeys((entry["scheduler"], entry["set"]) for entry in mine):
                points = [entry for entry in mine if (entry["scheduler"], entry["set"]) == line]
                at = sorted({float(str(entry[curve])) for entry in points})
                means = [statistics.mean(float(str(e[metric])) for e in points if e[curve] == x) for x in at]
                axis.plot(at, means, marker="o", label=f"{str(line[0]).removesuffix('Scheduler')}, {line[1]}")
            axis.set(xlabel=label, ylabel=metric.replace("_", " "), xscale="log")
            axis.set_xticks(at, [f"{x:g}" for x in at], minor=False)
            axis.minorticks_off()
        row[-1].legend(fontsize=7)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    settings = [("steps", scheduler, steps, 1.0) for scheduler in SCHEDULERS for steps in STEPS]
    settings += [("guidance", SCHEDULERS[0], DEFAULT_STEPS, scale) for scale in SCALES]
    rows: list[Row] = []
    for seed in options.seeds:
        run = options.runs / f"maskvid-{seed}"
        tune(run, f"seed={seed}")
        for curve, scheduler, steps, scale in settings:
            found = evaluate(
                run, f"sampling/{scheduler}-{steps}-{scale:g}", SETS,
                scheduler=scheduler, num_inference_steps=steps, guidance_scale=scale,
            )  # fmt: skip
            for name in SETS:
                scores = {metric: found[f"{name}/{metric}"] for metric in HEADLINES}
                setting = {"curve": curve, "scheduler": scheduler, "steps": steps, "guidance": scale}
                rows.append({"set": name, **setting, "seed": seed, **scores})
    rows.sort(key=lambda row: list(SETS).index(str(row["set"])))
    write_rows(HERE / "results.csv", rows)
    by = ("set", "curve", "scheduler", "steps", "guidance")
    write_table(HERE / "table.md", rows, by=by, columns=HEADLINES)
    draw(rows, HERE / "curves.png")


if __name__ == "__main__":
    main()
