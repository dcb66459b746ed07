"""Masks as people make them: `python -m experiments.rough_masks.measure` (add `--seeds 1 2 3`).

Takes the runs of `experiments/horse` (tuned where they are missing), makes the masks of the 24 test clips imprecise in
each way, samples once as if they were exact and once as what they are (`sampling.mask_precision`), and scores every
video by the exact masks. Writes beside this file results.csv (a row for each way, reading, seed and set), table.md
(means of the three sets, half the spread over seeds), strips.png (one clip: exact masks, then boxes and wide outlines
read both ways) and, of the first seed and the `horse` clips alone, curves.csv: every way at every strength, read as
what it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from experiments.study import Row, evaluate, mean_over, options_of, tune, write_rows, write_table
from maskvid.media.strips import contact_sheet
from maskvid.media.writing import write_png
from maskvid.settings import STRENGTHS

HERE = Path(__file__).parent
SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
COLUMNS = ("mask_iou", "boundary_f", "text_alignment", "frame_consistency_all_pairs", "foreground_colour")
WAYS = (("boxes", 5, "box"), ("dilate", 3, "rough"), ("erode", 3, "rough"), ("shift", 3, "rough"))
"""Kind and strength of imprecision, see `maskvid.masks.perturb`, and what the masks are then said to be."""
CURVES = {kind: precision for kind, _, precision in WAYS} | {"drop": "rough"}
SHOWN = "horse/videos_horse-000"
LABEL = 24  # rows of a strip's label


def folder_of(kind: str, strength: int, precision: str) -> str:
    """Where a run keeps what was made of one way by one reading."""
    return f"rough-{kind}-{strength}-{precision}"


def sheet(run: Path) -> np.ndarray:
    """One clip, exact masks above boxes and wide outlines, each read both ways."""
    places = [("exact masks", "real-first-frame")]
    for kind, strength, precision in WAYS[:2]:
        places += [(f"{kind}, read as {p}", folder_of(kind, strength, p)) for p in ("exact", precision)]
    rows = []
    for title, place in places:
        [path] = run.glob(f"{place}/samples/*/{SHOWN}.png")
        both = np.asarray(Image.open(path).convert("RGB"))  # the real clip above what was made
        made = both[both.shape[0] // 2 + LABEL :]
        rows.append((title, made[::3, ::3]))
    return contact_sheet(rows)


def curves(run: Path) -> list[Row]:
    """Every way at every strength, on one set of clips."""
    rows: list[Row] = []
    for kind, precision in CURVES.items():
        for strength in range(1, STRENGTHS + 1):
            asked = {"perturb": kind, "perturb_strength": strength, "mask_precision": precision}
            found = evaluate(run, f"curve-{kind}-{strength}", {"horse": SETS["horse"]}, pictures=False, **asked)
            figures = {column: found[f"horse/{column}"] for column in COLUMNS}
            rows.append({"masks": kind, "strength": strength, "read as": precision, **figures})
    return rows


def main() -> None:
    options = options_of(__doc__)
    rows: list[Row] = []

    def record(way: str, reading: str, seed: int, found: dict[str, float]) -> None:
        for name in SETS:
            figures = {column: found[f"{name}/{column}"] for column in COLUMNS}
            rows.append({"masks": way, "read as": reading, "set": name, "seed": seed, **figures})

    for seed in options.seeds:
        run = options.runs / f"maskvid-{seed}"
        tune(run, f"seed={seed}", *options.overrides)
        record("exact", "exact", seed, evaluate(run, "real-first-frame", SETS))
        for kind, strength, precision in WAYS:
            for reading in ("exact", precision):
                asked = {"perturb": kind, "perturb_strength": strength, "mask_precision": reading}
                shown = seed == options.seeds[0]
                found = evaluate(run, folder_of(kind, strength, reading), SETS, pictures=shown, **asked)
                record(f"{kind} {strength}", reading, seed, found)
    write_rows(HERE / "results.csv", rows)
    write_table(HERE / "table.md", mean_over(rows, "set", COLUMNS), by=("masks", "read as"), columns=COLUMNS)
    first = options.runs / f"maskvid-{options.seeds[0]}"
    write_png(HERE / "strips.png", sheet(first))
    write_rows(HERE / "curves.csv", curves(first))


if __name__ == "__main__":
    main()
