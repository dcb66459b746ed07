"""How small an adapter may be, and how freely masks steer: `python -m experiments.low_rank.measure`.

Tunes the horse with whole projections and with ranks 16, 8 and 4 (`method.unet.rank`), and with whole projections and a
tenth of the windows without masks (`method.mask_dropout`); three eighths of the horse's budget, three seeds, one thread
each. Scores the 24 test clips, and those of the whole adapters also at other `sampling.mask_scale`. Finished runs stay
under runs/low_rank and are not repeated. Writes beside this file ranks.csv and ranks.md (a row for each rank and set),
mask_scale.csv and mask_scale.md (a row for each dropout, scale and set), and sizes.md (the adapter of each rank, here
and at Stable Diffusion 1.5's shape, counted).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from experiments.study import HEADLINES, Row, evaluate, tune, write_rows, write_table
from maskvid.files import atomic_write
from maskvid.model import InflatedUNet

HERE = Path(__file__).parent
RUNS = Path("runs/low_rank")
SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
RANKS = (None, 16, 8, 4)
SCALES = (0.5, 1.0, 2.0)
BUDGET = ("trainer.max_steps=240", "threads=1")
COLUMNS = tuple(name for name in HEADLINES if name != "frame_consistency_adjacent")
SD15 = {"cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": (320, 640, 1280, 1280)}


def scored(run: Path, folder: str, **sampling: object) -> dict[str, dict[str, float]]:
    """Headlines of a run by set."""
    results = evaluate(run, folder, SETS, **sampling)
    return {name: {metric: results[f"{name}/{metric}"] for metric in COLUMNS} for name in SETS}


def size_rows() -> list[Row]:
    """Weights and mebibytes (float32) of the adapter of each rank at Stable Diffusion 1.5's shape."""
    rows: list[Row] = []
    for rank in RANKS:
        with torch.device("meta"):
            unet = InflatedUNet(UNet2DConditionModel(**SD15), vae_scale_factor=8, rank=rank)  # type: ignore[arg-type]
        weights = sum(parameter.numel() for parameter in unet.steering.parameters())
        everything = sum(value.numel() for value in unet.steering.state_dict().values())
        rows.append({"rank": rank or "whole", "weights_million": weights / 1e6, "file_mib": everything * 4 / 2**20})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    by_rank: list[Row] = []
    by_scale: list[Row] = []
    sizes = {str(row["rank"]): row for row in size_rows()}
    for seed in options.seeds:
        for rank in RANKS:
            run = RUNS / f"rank-{rank or 'whole'}-{seed}"
            cost = tune(run, f"seed={seed}", f"method.unet.rank={rank or 'null'}", *BUDGET)
            here = (run / "adapter" / "adapter.safetensors").stat().st_size / 2**20
            sizes[str(rank or "whole")] |= {"weights_here": cost["trained_parameters"], "file_mib_here": here}
            for name, found in scored(run, "mask_scale-1").items():
                by_rank.append({"rank": rank or "whole", "set": name, "seed": seed, **found})
        for dropout in (0.0, 0.1):
            run = RUNS / (f"dropout-{seed}" if dropout else f"rank-whole-{seed}")
            if dropout:
                tune(run, f"seed={seed}", f"method.mask_dropout={dropout}", *BUDGET)
            for scale in SCALES:
                for name, found in scored(run, f"mask_scale-{scale:g}", mask_scale=scale).items():
                    by_scale.append({"mask_dropout": dropout, "mask_scale": scale, "set": name, "seed": seed, **found})
    for table, rows, by in (
        ("ranks", by_rank, ("rank", "set")), ("mask_scale", by_scale, ("mask_dropout", "mask_scale", "set"))
    ):  # fmt: skip
        write_rows(HERE / f"{table}.csv", rows)
        write_table(HERE / f"{table}.md", rows, by=by, columns=COLUMNS)
    lines = [
        "| rank | weights here | file here, MiB | weights at SD 1.5's shape, million | file there, MiB |",
        "|---" * 5 + "|",
    ]
    lines += [
        f"| {name} | {row['weights_here']} | {row['file_mib_here']:.2f} | {row['weights_million']:.2f} | "
        f"{row['file_mib']:.1f} |"
        for name, row in sizes.items()
    ]
    with atomic_write(HERE / "sizes.md") as path:
        path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
