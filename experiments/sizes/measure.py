"""Foregrounds small and large: `python -m experiments.sizes.measure` (add `--seeds 1 2 3`).

Renders six animals at each size (the clips that tuning sees have 6 to 9 percent of the picture), takes the runs of
`experiments/horse` (tuned where they are missing), samples from real first frames and scores. Writes beside this file
results.csv (a row for each size and seed), table.md (mean and half the spread over seeds) and strips.png (the largest).
Needs the extra `world`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from experiments.study import Row, evaluate, options_of, tune, write_rows, write_table
from maskvid.media.strips import contact_sheet
from maskvid.media.writing import write_png
from maskvid.world.clips import render_clip
from maskvid.world.render import write_triples

HERE = Path(__file__).parent
CLIPS = Path("runs/sizes")
SPANS = (0.31, 0.47, 0.62, 0.8, 1.0)
"""Of the picture's width that an animal takes, as far as there is room for its height."""
ANIMALS = (
    ("horse", "brown", "meadow", "gallop"), ("horse", "white", "desert", "gallop"),
    ("horse", "black", "beach", "gallop"), ("cow", "spotted", "meadow", "gallop"),
    ("elephant", "grey", "desert", "trot"), ("zebra", "striped", "road", "gallop"),
)  # fmt: skip
COLUMNS = ("mask_iou", "boundary_f", "text_alignment", "frame_consistency_all_pairs", "frame_consistency_adjacent")


def rendered(span: float) -> tuple[Path, str]:
    """The folder of clips of a size, made unless it is there, and how much of the picture their foregrounds take."""
    folder = CLIPS / f"span-{round(100 * span)}"
    if not (folder / "metadata.jsonl").exists():
        write_triples(
            (
                render_clip(
                    attributes={
                        "species": species, "coat": coat, "ground": ground, "time": "day", "style": "photo",
                        "gait": gait,
                    },
                    seed=90000 + index, rightward=index % 2 == 0, name=f"{species}-{index}", height=128, width=192,
                    span=span,
                )
                for index, (species, coat, ground, gait) in enumerate(ANIMALS)
            ),
            folder,
        )  # fmt: skip
    shares = []
    for path in sorted((folder / "masks").glob("*.npz")):
        with np.load(path) as archive:
            shares.append(float((archive["masks"] > 127).mean()))
    return folder, f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %"


def main() -> None:
    options = options_of(__doc__)
    rows: list[Row] = []
    for span in SPANS:
        folder, share = rendered(span)
        for seed in options.seeds:
            run = options.runs / f"maskvid-{seed}"
            tune(run, f"seed={seed}", *options.overrides)
            found = evaluate(run, folder.name, {"size": str(folder)}, pictures=seed == options.seeds[0])
            rows.append({"of the picture": share, "seed": seed, **{name: found[f"size/{name}"] for name in COLUMNS}})
    write_rows(HERE / "results.csv", rows)
    write_table(HERE / "table.md", rows, by=("of the picture",), columns=COLUMNS)
    shown = options.runs / f"maskvid-{options.seeds[0]}" / f"span-{round(100 * SPANS[-1])}"
    sheets = [
        (path.stem, np.asarray(Image.open(path).convert("RGB"))[::3, ::3])
        for path in sorted(shown.glob("samples/*/size/*.png"))
    ]
    write_png(HERE / "strips.png", contact_sheet(sheets))


if __name__ == "__main__":
    main()
