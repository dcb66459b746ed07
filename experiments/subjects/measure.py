"""Two subjects, a mask each: `python -m experiments.subjects.measure` (add `--seeds 1 2 3`).

Renders eight clips of two animals that run behind each other or pass, takes the runs of `experiments/horse` (tuned
where they are missing; they have seen one animal at a time), and samples each clip from its real first frame: with a
mask for each animal, and with both as one subject. Writes beside this file results.csv (a row for each way, clip and
seed), table.md (mean and half the spread over seeds) and strips.png. Needs the extra `world`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from experiments.study import Row, mean_over, options_of, tune, write_rows, write_table
from maskvid.judges.panel import MetricEncoders
from maskvid.media.strips import contact_sheet, strip
from maskvid.media.writing import write_png
from maskvid.metrics.following import Following
from maskvid.pipeline import MaskVidPipeline
from maskvid.prompt import SUBJECTS, parse_prompt
from maskvid.world.pairs import Pair, random_pair

HERE = Path(__file__).parent
CLIPS, FRAMES, SHOWN = 8, 8, 4
WORLD = 1
"""Seed of the clips, on which no setting was chosen."""
COLUMNS = ("mask_iou_of_each", "looks_like_itself", "mask_iou", "boundary_f")
EACH, ONE, REAL, CEILING = "a mask each", "both as one subject", "real clip", "real clip through the VAE"


def scored(encoders: MetricEncoders, pair: Pair, frames: torch.Tensor) -> dict[str, float]:
    """How far a video (f, 3, h, w) in [-1, 1] follows the masks and the words of a pair."""
    prompt = parse_prompt(pair.caption, most=SUBJECTS)
    following = Following(encoders, prompt.text, given_frames=1, subjects=prompt.all_words)
    following.add(frames, torch.from_numpy(pair.masks).float() / 255)
    done = following.done()
    return {
        "mask_iou_of_each": float(np.mean([subject["mask_iou"] for subject in done.subjects])),
        "looks_like_itself": 100 * float(np.mean([subject["looks_like_itself"] for subject in done.subjects])),
        "mask_iou": done.mean("mask_iou"),
        "boundary_f": done.mean("boundary_f"),
    }


def main() -> None:
    options = options_of(__doc__)
    encoders, rows = MetricEncoders(), list[Row]()
    pairs = [random_pair(seed=WORLD, index=index, frames=FRAMES) for index in range(CLIPS)]
    strips: list[tuple[str, np.ndarray]] = []
    for seed in options.seeds:
        run = options.runs / f"maskvid-{seed}"
        tune(run, f"seed={seed}", *options.overrides)
        pipe = MaskVidPipeline.from_pretrained(run)
        pipe.set_progress_bar_config(disable=True)
        for index, pair in enumerate(pairs):
            plain = pair.caption.replace("[", "").replace("]", "")
            first, _, place = pair.caption.rpartition("]")
            asked = {EACH: (pair.caption, pair.masks), ONE: (f"[{first[1:].replace('] and [', ' and ')}]{place}", None)}
            real = torch.from_numpy(pair.frames).permute(0, 3, 1, 2).float() / 127.5 - 1
            videos = {REAL: real, CEILING: pipe.backbone.decode_latents(pipe.backbone.encode_frames(real))}
            for way, (prompt, masks) in asked.items():
                made = pipe(
                    prompt, pair.masks.max(1) if masks is None else masks, image=pair.frames[0], output_type="pt",
                    mask_precision="exact", generator=torch.Generator().manual_seed(seed),
                ).frames[0]  # fmt: skip
                videos[way] = made * 2 - 1
            for way, video in videos.items():
                how = {"clips": "that pass each other" if pair.passing else "one behind the other", "masks": way}
                rows.append({**how, "clip": index, "seed": seed, **scored(encoders, pair, video)})
                if seed == options.seeds[0] and index < SHOWN and way != CEILING:
                    strips.append((f"{way}: {plain}", strip(video, scale=2)))
        write_rows(HERE / "results.csv", rows)
    by_seed = mean_over(rows, "clip", COLUMNS)
    write_table(HERE / "table.md", by_seed, by=("clips", "masks"), columns=COLUMNS)
    write_png(HERE / "strips.png", contact_sheet(strips))


if __name__ == "__main__":
    main()
