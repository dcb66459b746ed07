"""Long videos: `python -m experiments.long_video.measure RUN` (a run of `+experiment=horse`; needs the extra `dev`).

Four rendered horses cross the picture, turn and come back over 50 frames, eight segments of the run's window of 8.
`carried` is the project's way: each segment begins with the first frame of all and carries the last latents. `chained`
is the naive one: each segment begins with the decoded and encoded last frame of the one before. Writes results.csv (a
row for each way and segment, means over clips), table.md and strips beside this file.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from maskvid.callbacks.metric_encoders import MetricEncoders
from maskvid.clip import ClipBatch
from maskvid.files import atomic_write
from maskvid.masks.video import to_float
from maskvid.metrics.mask import mask_iou
from maskvid.request import load_run, request
from maskvid.sampler import VideoSampler
from maskvid.video import contact_sheet, strip, write_png, write_video
from maskvid.world.clips import Clip, render_clip

HERE = Path(__file__).parent
STRIDE = 3  # source frames between two frames, as in tuning
HORSE = {"species": "horse", "style": "photo", "gait": "gallop"}
HORSES = (
    ("brown", "meadow", "day"),
    ("black", "snow", "day"),
    ("grey", "beach", "sunset"),
    ("white", "desert", "day"),
)


def clips(num_frames: int) -> list[Clip]:
    """Rendered horses that turn back."""
    return [
        render_clip(
            attributes={**HORSE, "coat": coat, "ground": ground, "time": time},
            seed=500 + i,
            movement="turn",
            name=f"long-{i}",
            frames=STRIDE * (num_frames - 1) + 1,
        )
        for i, (coat, ground, time) in enumerate(HORSES)
    ]  # fmt: skip


def chained(sampler: VideoSampler, batch: ClipBatch, first: torch.Tensor, window: int) -> Iterator[torch.Tensor]:
    """Every segment begins with the decoded last frame of the one before, which is encoded again."""
    done, num_frames = 0, batch.masks.shape[1]
    while done < num_frames - 1:
        part = replace(batch, masks=batch.masks[:, done : done + window], ids=[f"{batch.ids[0]}-{done}"])
        frames = sampler.generate(part, first)
        yield frames if done == 0 else frames[:, 1:]
        first = sampler.backbone.encode_frames(frames[0, -1:])
        done += frames.shape[1] - 1


def drift(frames: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
    """Mean CIEDE2000 (f,) between each frame's background and the first frame's, where neither mask lies."""
    lab = rgb2lab(((frames.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy())
    solid = masks[:, 0].numpy() > 0
    distances = [deltaE_ciede2000(lab[0], lab[i])[~(solid[0] | solid[i])].mean() for i in range(len(lab))]
    return np.array(distances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    module, config = load_run(options.run)
    sampler, encoders, window = module.sampler, MetricEncoders(), config.data.num_frames
    sampler.seed = options.seed
    num_frames = window + (options.segments - 1) * (window - 2)
    scores: dict[tuple[str, int], list[list[float]]] = {}
    rows_of_strips: list[tuple[str, np.ndarray]] = []
    for clip in clips(num_frames):
        real = torch.from_numpy(clip.frames[::STRIDE]).permute(0, 3, 1, 2).float() / 127.5 - 1
        masks = to_float(clip.masks[::STRIDE])
        batch = request(module, clip.caption.replace(clip.subject, f"[{clip.subject}]", 1), masks)
        first = sampler.backbone.encode_frames(real[:1])
        with torch.inference_mode():
            ways = {
                "carried": torch.cat([piece[0] for piece in sampler.stream(batch, first, window=window)]),
                "chained": torch.cat([piece[0] for piece in chained(sampler, batch, first, window)]),
            }
            for way, frames in ways.items():
                looks = encoders.clip.images(frames)
                found = encoders.segmenter(frames)
                colour = drift(frames, masks)
                for segment in range(options.segments):
                    begin = 1 if segment == 0 else window + (segment - 1) * (window - 2)
                    part = slice(begin, window + segment * (window - 2))
                    scores.setdefault((way, segment + 1), []).append(
                        [
                            float(mask_iou(found[part], masks[part], given_frames=0)),
                            float(colour[part].mean()),
                            float((looks[part] @ looks[0]).mean()) * 100,
                        ]
                    )
                rows_of_strips.append((f"{way}: {clip.caption}", strip(frames, masks, columns=12, scale=2)))
                write_video(HERE / f"{clip.name}-{way}.mp4", frames)
    write_png(HERE / "strips.png", contact_sheet(rows_of_strips))
    header = ["way", "segment", "mask_iou", "background_ciede2000", "similarity_to_first"]
    lines = [[way, segment, *np.mean(values, axis=0).round(3)] for (way, segment), values in scores.items()]
    with atomic_write(HERE / "results.csv") as path, path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *lines])
    table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, ["---"] * len(header), *lines]) + "\n"
    with atomic_write(HERE / "table.md") as path:
        path.write_text(table)
    print(table)


if __name__ == "__main__":
    main()
