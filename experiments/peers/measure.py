"""The method beside its peers: `python -m experiments.peers.measure` (add `--seeds 1 2 3`).

Tunes maskvid, LAMP, Tune-A-Video and Text2Video-Zero (untrained) on the horse triples with the same number of steps,
samples the `horse` test clips from their real first frames, and scores them. Finished runs are kept and not repeated.
Writes results.csv (a row for each method and seed), table.md (mean and half the spread over seeds) and a picture for
each clip (side by side) beside this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.study import RUNS, Row, tune, write_rows, write_table
from maskvid.judges.panel import MetricEncoders
from maskvid.media.strips import contact_sheet, strip
from maskvid.media.writing import write_png
from maskvid.metrics.diversity import Diversity
from maskvid.metrics.suite import VideoMetrics
from maskvid.pipeline import MaskVidPipeline
from maskvid.request import clips_of

HERE = Path(__file__).parent
METHODS: dict[str, tuple[str, ...]] = {
    "maskvid": (),
    "lamp": (),
    "tune_a_video": ("optim.learning_rate=0.001",),
    "text2video_zero": (),
}
"""Each with what it needs beside the experiment: the better of two rates, by seed 1."""
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


def score(run_dir: Path, samples: int, strips: dict[str, list[tuple[str, np.ndarray]]], title: str) -> dict[str, float]:
    """Score one video of each test clip, and how much `samples` videos of each differ."""
    pipe = MaskVidPipeline.from_pretrained(run_dir)
    data = clips_of(pipe.run, {"horse": "assets://horse/test/horse"}).attach(pipe.backbone)
    data.setup()
    if pipe.noise.start == "inversion":
        pipe.sources = data.sources()
    encoders = MetricEncoders()
    metrics, diversity = VideoMetrics(encoders), Diversity()
    for batch in data.val_dataloader()[0]:
        videos = []
        for sample in range(samples):
            asked = pipe.asked(seed=pipe.seed + 1000 * sample)
            videos.append(asked.generate(batch, batch.latents[:, 0])[0])
        metrics.update(videos[0], batch.masks[0], batch.prompts[0], clip_id=batch.ids[0])
        diversity.update([encoders.clip.images(video) for video in videos])
        real = [("real clip", strip(batch.frames[0], batch.masks[0]))]
        strips.setdefault(batch.ids[0], real).append((f"{title}: {batch.prompts[0]}", strip(videos[0], batch.masks[0])))
    return {name: float(value) for name, value in metrics.compute().items()} | {"diversity": float(diversity.compute())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--samples", type=int, default=3, help="videos of one prompt and mask, for diversity")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("overrides", nargs="*", help="further settings, as of maskvid.train")
    options = parser.parse_args()
    rows: list[Row] = []
    sheets: dict[str, list[tuple[str, np.ndarray]]] = {}
    for seed in options.seeds:
        for method, needs in METHODS.items():
            run_dir = options.runs / f"{method}-{seed}"
            cost = tune(run_dir, f"method={method}", f"seed={seed}", *needs, *options.overrides)
            strips = sheets if seed == options.seeds[0] else {}
            with torch.inference_mode():
                found = score(run_dir, options.samples, strips, method)
            rows.append({"method": method, "seed": seed, **found, **{key: cost.get(key, "") for key in COSTS}})
            write_rows(HERE / "results.csv", rows)
    for name, strips in sheets.items():
        write_png(HERE / f"{name.rpartition('_')[2]}.png", contact_sheet(strips))
    write_table(HERE / "table.md", rows, by=("method",), columns=(*SCORES, *COSTS))


if __name__ == "__main__":
    main()
