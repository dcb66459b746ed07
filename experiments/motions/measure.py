"""Several motions in one adapter: `python -m experiments.motions.measure` (add `--seeds 1 2 3`).

Tunes `+experiment=motions` (gallop, walk, turn; half of the masks reduced to a sliding box), then samples the test
clips of each motion from their real first frames, with a sliding box for masks and each of the three words in the
caption. The box says where the horse is, the word how it moves: if the caption selects the motion, the silhouettes
meet the real clip's best where the word is the clip's own. Writes results.csv (a row for each clip and seed), table.md
(a row for each motion, a column for each word: IoU with the real silhouettes) and strips.png beside this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.study import RUNS, Row, tune, write_rows, write_table
from maskvid.judges.panel import MetricEncoders
from maskvid.masks.perturb import sliding_box
from maskvid.media.strips import contact_sheet, strip
from maskvid.media.writing import write_png
from maskvid.metrics.mask import mask_iou
from maskvid.pipeline import MaskVidPipeline
from maskvid.request import clips_of

HERE = Path(__file__).parent
WORDS = {"gallop": "gallops", "walk": "walks", "turn": "turns back"}
SETS = {name: f"assets://horse/motions/test/{name}" for name in WORDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--guidance", type=float, default=1.0, help="1 is off; more makes the caption heard louder")
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    encoders = MetricEncoders()
    rows: list[Row] = []
    strips: list[tuple[str, np.ndarray]] = []
    for seed in options.seeds:
        run = options.runs / f"motions-{seed}"
        tune(run, f"seed={seed}", experiment="motions")
        pipe = MaskVidPipeline.from_pretrained(run, sampling={"guidance_scale": options.guidance})
        data = clips_of(pipe.run, SETS).attach(pipe.backbone)
        data.setup()
        for motion, loader in zip(SETS, data.val_dataloader(), strict=True):
            for number, batch in enumerate(loader):
                masks, caption = batch.masks[0], batch.prompts[0]
                show = seed == options.seeds[0] and number == 0
                strips += [(f"real clip: {caption}", strip(batch.frames[0], masks, scale=2))] if show else []
                scores: dict[str, float] = {}
                for word, says in WORDS.items():
                    subject, place = caption.split(f" {WORDS[motion]} ")
                    # The same noise for every word: what differs is the word's doing.
                    wanted = pipe.clip(f"[{subject} {says}] {place}", sliding_box(masks), name=batch.ids[0])
                    with torch.inference_mode():
                        frames = pipe.generate(wanted, batch.latents[:, 0])[0]
                    scores[word] = float(mask_iou(encoders.segmenter(frames), masks))
                    strips += [(wanted.prompts[0], strip(frames, sliding_box(masks), scale=2))] if show else []
                own_is_best = float(max(scores, key=scores.__getitem__) == motion)
                rows.append(
                    {"motion": motion, "clip": batch.ids[0], "seed": seed, **scores, "own_is_best": own_is_best}
                )
    write_rows(HERE / "results.csv", rows)
    write_table(HERE / "table.md", rows, by=("motion",), columns=(*WORDS, "own_is_best"))
    write_png(HERE / "strips.png", contact_sheet(strips))


if __name__ == "__main__":
    main()
