"""The method beside its peers: `python experiments/peers/measure.py` (add `--seeds 1 2 3`).

Tunes maskvid, LAMP, Tune-A-Video and Text2Video-Zero (untrained) on the horse triples with the same number of steps,
samples the `horse` test clips from their real first frames, and scores them. Finished runs are kept under `runs/peers`
and not repeated. Writes results.csv (a row for each method and seed), table.md (mean and half the spread over seeds)
and a picture for each clip (side by side) beside this file.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from maskvid.callbacks.metric_encoders import MetricEncoders
from maskvid.config import instantiate
from maskvid.files import atomic_write
from maskvid.metrics.diversity import Diversity
from maskvid.metrics.suite import VideoMetrics
from maskvid.request import load_run
from maskvid.video import contact_sheet, strip, write_png

HERE = Path(__file__).parent
METHODS = ("maskvid", "lamp", "tune_a_video", "text2video_zero")
SCORES = (
    "text_alignment",
    "frame_consistency_all_pairs",
    "frame_consistency_adjacent",
    "mask_iou",
    "boundary_f",
    "flow_magnitude",
    "diversity",
)
COSTS = ("train_seconds", "peak_memory_mb", "trained_parameters")


def tune(run_dir: Path, method: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Tune in a process of its own, so that its peak memory is its own."""
    if not (run_dir / "adapter" / "adapter.json").exists():
        command = [sys.executable, "-m", "maskvid.train", "+experiment=horse", f"method={method}", f"seed={seed}"]
        command += [f"run_dir={run_dir}", "logger=csv", "data.validation=null", "trainer.limit_val_batches=0"]
        subprocess.run([*command, *overrides], check=True)
    cost = run_dir / "cost.json"
    return json.loads(cost.read_text()) if cost.exists() else {"train_seconds": 0.0, "trained_parameters": 0}


def score(run_dir: Path, samples: int, strips: dict[str, list[tuple[str, np.ndarray]]], title: str) -> dict[str, float]:
    """Score one video of each test clip, and how much `samples` videos of each differ."""
    module, config = load_run(run_dir)
    config.data.validation = {"horse": "assets://horse/test/horse"}
    data = instantiate(config.data, "data").attach(module.backbone)
    data.setup()
    encoders, sampler = MetricEncoders(), module.sampler
    metrics, diversity = VideoMetrics(encoders), Diversity()
    for batch in data.val_dataloader()[0]:
        videos = []
        for sample in range(samples):
            sampler.seed = config.seed + 1000 * sample
            videos.append(sampler.generate(batch, batch.latents[:, 0])[0])
        metrics.update(videos[0], batch.masks[0], batch.prompts[0], clip_id=batch.ids[0])
        diversity.update([encoders.clip.images(video) for video in videos])
        real = [("real clip", strip(batch.frames[0], batch.masks[0]))]
        strips.setdefault(batch.ids[0], real).append((f"{title}: {batch.prompts[0]}", strip(videos[0], batch.masks[0])))
    return {name: float(value) for name, value in metrics.compute().items()} | {"diversity": float(diversity.compute())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--samples", type=int, default=3, help="videos of one prompt and mask, for diversity")
    parser.add_argument("--runs", type=Path, default=Path("runs/peers"))
    parser.add_argument("overrides", nargs="*", help="further settings, as of maskvid.train")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    sheets: dict[str, list[tuple[str, np.ndarray]]] = {}
    for seed in options.seeds:
        for method in METHODS:
            run_dir = options.runs / f"{method}-{seed}"
            cost = tune(run_dir, method, seed, options.overrides)
            strips = sheets if seed == options.seeds[0] else {}
            with torch.inference_mode():
                found = score(run_dir, options.samples, strips, method)
            rows.append({"method": method, "seed": seed, **found, **{key: cost.get(key, "") for key in COSTS}})
            with atomic_write(HERE / "results.csv") as path, path.open("w", newline="") as handle:
                writer = csv.DictWriter(handle, fieldnames=["method", "seed", *SCORES, *COSTS])
                writer.writeheader()
                writer.writerows(rows)
    for name, strips in sheets.items():
        write_png(HERE / f"{name.rpartition('_')[2]}.png", contact_sheet(strips))
    with atomic_write(HERE / "table.md") as path:
        path.write_text(table(rows))
    print(table(rows))


def table(rows: list[dict[str, object]]) -> str:
    """Markdown: mean and half the spread over seeds."""
    columns = [*SCORES, *COSTS]
    lines = ["| method | " + " | ".join(name.replace("_", " ") for name in columns) + " |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for method in METHODS:
        cells = []
        for name in columns:
            values = [float(str(row[name])) for row in rows if row["method"] == method and row[name] != ""]
            spread = f" ± {(max(values) - min(values)) / 2:.3g}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4g}{spread}" if values else "")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
