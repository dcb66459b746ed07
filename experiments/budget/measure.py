"""What a second of tuning buys: `python -m experiments.budget.measure` (`--seeds 1 2 3`; about 35 minutes a seed).

Tunes the horse by both optimisers at several numbers of steps, with every layer steered and the way up alone, whole and
by rank 16, all on one thread and without rough masks; scores the 24 test clips. A run of `experiments/horse` has the
same weights for exact masks, so it is taken where it is there. Finished runs are kept and not repeated. Writes
results.csv (a row for each way, seed and set) and table.md (mean and half the spread over seeds) beside this file.
"""

from __future__ import annotations

from pathlib import Path

from experiments.study import Row, evaluate, options_of, tune, write_rows, write_table

HERE = Path(__file__).parent
SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
COLUMNS = (
    "train_seconds", "peak_memory_mb", "trained_parameters", "mask_iou", "boundary_f", "text_alignment",
    "frame_consistency_adjacent", "flow_magnitude",
)  # fmt: skip
ADAMW = ("optim.name=adamw", "optim.learning_rate=0.001")
WAYS: dict[str, tuple[str, ...]] = {
    "Muon, 40 steps": ("trainer.max_steps=40",),
    "Muon, 80 steps": ("trainer.max_steps=80",),
    "Muon, 160 steps": (),
    "Muon, 320 steps": ("trainer.max_steps=320",),
    "AdamW, 160 steps": ADAMW,
    "AdamW, 640 steps": (*ADAMW, "trainer.max_steps=640"),
    "Muon, 160 steps, every layer": ("method.unet.layers=all",),
    "Muon, 160 steps, rank 16": ("method.unet.rank=16",),
}
"""What differs from the horse, by name."""


def main() -> None:
    options = options_of(__doc__)
    rows: list[Row] = []
    for seed in options.seeds:
        for way, differs in WAYS.items():
            label = "budget" + "".join(f"-{text.rpartition('=')[2]}" for text in differs)
            run = options.runs / (f"{label}-{seed}" if differs else f"maskvid-{seed}")
            settings = ("threads=1", *(("method.rough_masks=0", *differs) if differs else ()))
            cost = tune(run, f"seed={seed}", *settings, *options.overrides)
            found = evaluate(run, "real-first-frame", SETS, pictures=False)
            for name in SETS:
                scores = {column: found[f"{name}/{column}"] for column in COLUMNS if f"{name}/{column}" in found}
                rows.append({"set": name, "way": way, "seed": seed, **cost, **scores})
            write_rows(HERE / "results.csv", rows)
    rows.sort(key=lambda row: list(SETS).index(str(row["set"])))
    write_table(HERE / "table.md", rows, by=("set", "way"), columns=COLUMNS)


if __name__ == "__main__":
    main()
