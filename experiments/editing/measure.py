"""Editing: `python -m experiments.editing.measure` (`--seeds 1 2 3`), with the runs of the horse study.

Each test horse is edited three ways: another animal (background kept), another ground, and a painting style (both with
the whole picture free). Measured: how well the prompt is met before and after, what the background lost against the
source itself, and the round trip, inversion and sampling with the source's own prompt, against the source through the
VAE. Writes results.csv (a row for each clip, edit and seed), table.md and strips.png (of the first clips, the first
seed's) beside this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from experiments.study import RUNS, Row, configure, mean_over, tune, write_rows, write_table
from maskvid.diffusion.editing import edit_region
from maskvid.judges.panel import MetricEncoders
from maskvid.media.strips import contact_sheet, strip
from maskvid.media.writing import write_png
from maskvid.metrics.background import background_psnr
from maskvid.metrics.mask import mask_iou
from maskvid.metrics.text import text_alignment
from maskvid.pipeline import MaskVidPipeline
from maskvid.request import clips_of

HERE = Path(__file__).parent
SHOWN = 3  # clips in the picture
EDITS = {
    "animal": ("{before}[a zebra]{after}", True),
    "ground": ("[{subject}] runs on a snowy field", False),
    "style": ("[{subject}]{after}, in a watercolor painting style", False),
    "round trip": ("{before}[{subject}]{after}", False),
}


def edit(run: Path, encoders: MetricEncoders, *, steps: int, guidance: float) -> Iterator[tuple[Row, str, np.ndarray]]:
    """Edit every clip in every way: a row, a title and a strip for each, and those of the source before them."""
    pipe = MaskVidPipeline.from_pretrained(run, backbone={"controlnet": "assets://mini_controlnet"})
    data = clips_of(pipe.run, {"horse": "assets://horse/test/horse"}).attach(pipe.backbone)
    data.setup()
    subjects = {clip.triple.id: clip.triple.prompt.words for clip in data.clips["horse"]}
    for source in data.val_dataloader()[0]:
        subject, caption = subjects[source.ids[0]] or "a horse", source.prompts[0]
        before, _, after = caption.partition(subject)
        rebuilt = pipe.backbone.decode_latents(source.latents[0])
        # the region that an edit may change, and the cell around it in which both go over into each other
        region = edit_region(source.masks, (source.latents.shape[-2], source.latents.shape[-1]), margin=2)[0]
        inside = torch.nn.functional.interpolate(region, size=rebuilt.shape[-2:])
        for kind, (pattern, keep) in EDITS.items():
            prompt = pattern.format(subject=subject, before=before, after=after)
            asked = pipe.asked(num_inference_steps=steps, guidance_scale=1.0 if kind == "round trip" else guidance)
            wanted = pipe.clip(prompt, source.masks[0], name=source.ids[0])
            frames = asked.edit_clips(source, wanted, keep_background=keep)[0]
            against = rebuilt if kind == "round trip" else source.frames[0]
            [text] = wanted.prompts
            words = encoders.clip.texts([text])[0]
            was, is_now = (float(text_alignment(encoders.clip.images(x), words)) for x in (source.frames[0], frames))
            row: Row = {
                "edit": kind,
                "clip": source.ids[0],
                "text_alignment_before": was,
                "text_alignment_after": is_now,
                "mask_iou": float(mask_iou(encoders.segmenter(frames), source.masks[0], given_frames=0)),
                "background_psnr": float(background_psnr(frames, against, inside)),
                "psnr": float(background_psnr(frames, against, torch.zeros_like(inside))),
            }
            shown = strip(frames, source.masks[0], scale=2)
            if kind == next(iter(EDITS)):
                shown = np.concatenate([strip(source.frames[0], source.masks[0], scale=2), shown])
            yield row, f"{kind}: {text}", shown


@torch.inference_mode()
def main() -> None:
    asked = configure("edit", "run=runs/horse").sampling  # by the command, where nothing is said
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=asked.num_inference_steps)
    parser.add_argument("--guidance", type=float, default=asked.guidance_scale)
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    encoders = MetricEncoders()
    rows: list[Row] = []
    strips: list[tuple[str, np.ndarray]] = []
    for seed in options.seeds:
        run = options.runs / f"maskvid-{seed}"
        tune(run, f"seed={seed}")
        for row, title, shown in edit(run, encoders, steps=options.steps, guidance=options.guidance):
            rows.append(row | {"seed": seed})
            write_rows(HERE / "results.csv", rows)
            if seed == options.seeds[0] and len(strips) < SHOWN * len(EDITS):
                strips.append((title, shown))
    write_png(HERE / "strips.png", contact_sheet(strips))
    columns = [name for name in rows[0] if name not in ("edit", "clip", "seed")]
    write_table(HERE / "table.md", mean_over(rows, "clip", columns), by=("edit",), columns=columns)


if __name__ == "__main__":
    main()
