"""Editing: `python -m experiments.editing.measure RUN` (a run of `+experiment=horse`).

Each test horse is edited three ways: another animal (background kept), another ground, and a painting style (both with
the whole picture free). Measured: how well the prompt is met before and after, what the background lost against the
source through the VAE, and the round trip, inversion and sampling with the source's own prompt. Writes results.csv (a
row for each clip and edit), table.md and strips.png beside this file.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from maskvid.callbacks.metric_encoders import MetricEncoders
from maskvid.config import instantiate
from maskvid.diffusion.editing import edit_region
from maskvid.files import atomic_write
from maskvid.metrics.text import text_alignment
from maskvid.request import load_run, request
from maskvid.video import contact_sheet, strip, write_png

HERE = Path(__file__).parent
EDITS = {
    "animal": ("[a zebra] runs {scene}", True),
    "ground": ("[{subject}] runs on a snowy field", False),
    "style": ("[{subject}] runs {scene}, in a watercolor painting style", False),
    "round trip": ("{caption}", False),
}


def psnr(a: torch.Tensor, b: torch.Tensor, where: torch.Tensor) -> float:
    """In dB over pixels where `where` is 1, of pictures in [-1, 1]."""
    error = ((a - b) / 2).square() * where
    return float(-10 * (error.sum() / (where.sum() * a.shape[1]).clamp(min=1)).log10())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=4.0)
    options = parser.parse_args()
    module, config = load_run(options.run, sampling={"num_inference_steps": options.steps})
    sampler, encoders = module.sampler, MetricEncoders()
    data_config = config.data
    data_config.validation = {"horse": "assets://horse/test/horse"}
    data = instantiate(data_config, "data").attach(module.backbone)
    data.setup()
    subjects = {clip.triple.id: clip.triple.subject for clip in data.clips["horse"]}
    rows: list[dict[str, object]] = []
    strips: list[tuple[str, np.ndarray]] = []
    for source in data.val_dataloader()[0]:
        subject, caption = subjects[source.ids[0]] or "a horse", source.prompts[0]
        scene = caption.partition(" on ")[2]
        scene = f"on {scene}" if scene else "across a meadow"
        rebuilt = sampler.backbone.decode_latents(source.latents[0])
        strips.append((caption, strip(source.frames[0], source.masks[0], scale=2)))
        for kind, (pattern, keep) in EDITS.items():
            prompt = pattern.format(subject=subject, scene=scene, caption=caption.replace(subject, f"[{subject}]", 1))
            sampler.sampling.guidance_scale = 1.0 if kind == "round trip" else options.guidance
            wanted = replace(request(module, prompt, source.masks[0]), ids=list(source.ids))
            frames = sampler.edit(source, wanted, keep_background=keep)[0]
            region = edit_region(source.masks, (source.latents.shape[-2], source.latents.shape[-1]))[0]
            outside = 1 - torch.nn.functional.interpolate(region, size=frames.shape[-2:])
            everywhere = torch.ones_like(outside)
            [text] = wanted.prompts
            words = encoders.clip.texts([text])[0]
            before, after = (float(text_alignment(encoders.clip.images(x), words)) for x in (source.frames[0], frames))
            rows.append(
                {
                    "clip": source.ids[0],
                    "edit": kind,
                    "text_alignment_before": before,
                    "text_alignment_after": after,
                    "background_psnr": psnr(frames, rebuilt, outside),
                    "psnr": psnr(frames, rebuilt, everywhere),
                }
            )
            strips.append((f"{kind}: {text}", strip(frames, source.masks[0], scale=2)))
    write_png(HERE / "strips.png", contact_sheet(strips))
    with atomic_write(HERE / "results.csv") as path, path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    columns = list(rows[0])[2:]
    lines = ["| edit | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for kind in EDITS:
        means = [statistics.mean(float(str(row[c])) for row in rows if row["edit"] == kind) for c in columns]
        lines.append(f"| {kind} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    with atomic_write(HERE / "table.md") as path:
        path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
