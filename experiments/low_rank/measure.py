"""How small an adapter may be, and how freely masks steer: `python -m experiments.low_rank.measure`.

Tunes the horse with ranks 16, 8 and 4 (`method.unet.rank`), one thread each, and sets beside them the whole projections
of `experiments/horse`; scores the 24 test clips, those of rank 16 also at other `sampling.mask_scale`. Finished runs
stay under runs/low_rank and are not repeated: several processes may take a seed each, and a last call makes tables.
Writes beside this file ranks.csv and ranks.md (a row for each rank and set), mask_scale.csv and mask_scale.md (for
each scale and set), strips.png, and sizes.md (the adapter of each rank at Stable Diffusion 1.5's shape, counted).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from experiments.study import HEADLINES, Row, evaluate, tune, write_rows, write_table
from maskvid.files import atomic_write
from maskvid.media.strips import contact_sheet
from maskvid.media.writing import write_png
from maskvid.model import InflatedUNet

HERE = Path(__file__).parent
RUNS = Path("runs/low_rank")
SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
RANKS = (16, 8, 4)
SCALES = (0.5, 1.0, 1.5, 2.0)
COLUMNS = tuple(name for name in HEADLINES if name != "frame_consistency_adjacent")
SHOWN = ("unseen/videos_cow-001", "unseen/videos_zebra-007")
LABEL = 24  # rows of a strip's label
SD15 = {"cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": (320, 640, 1280, 1280)}


def scored(run: Path, scale: float) -> dict[str, dict[str, float]]:
    """Headlines of a run by set."""
    results = evaluate(run, f"mask_scale-{scale:g}", SETS, mask_scale=scale)
    return {name: {metric: results[f"{name}/{metric}"] for metric in COLUMNS} for name in SETS}


def whole(seeds: list[int]) -> list[Row]:
    """The same figures of whole projections, which the horse's own study measured."""
    with (HERE.parent / "horse" / "results.csv").open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["variant"] == "maskvid" and int(row["seed"]) in seeds]
    return [
        {"rank": "whole", "set": row["set"], "seed": row["seed"], **{name: row[name] for name in COLUMNS}}
        for row in rows
    ]


def sizes() -> list[Row]:
    """Weights and mebibytes (float32) of the adapter of each rank at Stable Diffusion 1.5's shape."""
    rows: list[Row] = []
    for rank in (None, *RANKS):
        with torch.device("meta"):
            unet = InflatedUNet(UNet2DConditionModel(**SD15), vae_scale_factor=8, rank=rank)  # type: ignore[arg-type]
        weights = sum(parameter.numel() for parameter in unet.steering.parameters())
        everything = sum(value.numel() for value in unet.steering.state_dict().values())
        rows.append({"rank": rank or "whole", "weights": weights, "file_mib": everything * 4 / 2**20})
    return rows


def sheet(run: Path) -> np.ndarray:
    """The clips of `SHOWN` by each mask scale, under one another."""
    rows = []
    for clip in SHOWN:
        for scale in SCALES:
            [path] = run.glob(f"mask_scale-{scale:g}/samples/*/{clip}.png")
            both = np.asarray(Image.open(path).convert("RGB"))  # the real clip above what was made
            made = both[both.shape[0] // 2 + LABEL :]
            rows.append((f"{clip.partition('_')[2]}, mask_scale={scale:g}", made[::3, ::3]))
    return contact_sheet(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    by_rank, by_scale = whole(options.seeds), list[Row]()
    for seed in options.seeds:
        for rank in RANKS:
            run = RUNS / f"rank-{rank}-{seed}"
            tune(run, f"seed={seed}", f"method.unet.rank={rank}", "threads=1")
            for scale in SCALES if rank == RANKS[0] else (1.0,):
                for name, found in scored(run, scale).items():
                    if scale == 1:
                        by_rank.append({"rank": rank, "set": name, "seed": seed, **found})
                    if rank == RANKS[0]:
                        by_scale.append({"mask_scale": scale, "set": name, "seed": seed, **found})
    by_rank.sort(key=lambda row: list(SETS).index(str(row["set"])))
    by_scale.sort(key=lambda row: list(SETS).index(str(row["set"])))
    for table, rows, by in (("ranks", by_rank, ("set", "rank")), ("mask_scale", by_scale, ("set", "mask_scale"))):
        write_rows(HERE / f"{table}.csv", rows)
        write_table(HERE / f"{table}.md", rows, by=by, columns=COLUMNS)
    write_png(HERE / "strips.png", sheet(RUNS / f"rank-{RANKS[0]}-{options.seeds[0]}"))
    lines = ["| rank | weights, million | file, MiB |", "|---|---|---|"]
    lines += [f"| {row['rank']} | {int(str(row['weights'])) / 1e6:.2f} | {row['file_mib']:.1f} |" for row in sizes()]
    with atomic_write(HERE / "sizes.md") as path:
        path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
