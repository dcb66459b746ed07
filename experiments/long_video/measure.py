"""Long videos: `python -m experiments.long_video.measure` (`--seeds 1 2 3`; needs the extra `dev`).

Four rendered horses cross the picture, turn and come back over 50 frames, eight segments of the window of 8, with the
runs of the horse study. `carried` is the project's way: each segment begins with the first frame of all and carries the
last latents. `naive` begins each segment with the decoded and encoded last frame of the one before, and nothing else;
`chained` does so too, but has the project's drift control, the statistics of its first frame restored. `real` is the
rendered clip itself through the VAE, which drifts by nothing: what remains of the distance there (an animal's shadow,
the VAE's own) is no drift. Seams are the steps from the last frame of a segment to the first new one of the next; there
the background may jump. Writes results.csv (a row for each way, segment, seed and clip) and table.md, seams.csv (a row
for each way, seed and clip) and seams.md, and strips.png beside this file, and the first seed's videos beside its run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from experiments.study import RUNS, Row, mean_over, tune, write_rows, write_table
from maskvid.clip import ClipBatch
from maskvid.judges.panel import MetricEncoders
from maskvid.masks.video import to_float
from maskvid.media.strips import contact_sheet, strip
from maskvid.media.writing import write_png, write_video
from maskvid.metrics.mask import mask_iou
from maskvid.pipeline import MaskVidPipeline
from maskvid.world.clips import Clip, render_clip

HERE = Path(__file__).parent
SCORES = ("mask_iou", "background_ciede2000", "similarity_to_first")
CHANGES = ("change_at_seams", "change_inside")
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


def chained(pipe: MaskVidPipeline, batch: ClipBatch, first: torch.Tensor, window: int) -> Iterator[torch.Tensor]:
    """Every segment begins with the decoded last frame of the one before, which is encoded again."""
    done, num_frames = 0, batch.masks.shape[1]
    while done < num_frames - 1:
        part = replace(batch, masks=batch.masks[:, done : done + window], ids=[f"{batch.ids[0]}-{done}"])
        frames = pipe.generate(part, first)
        yield frames if done == 0 else frames[:, 1:]
        first = pipe.backbone.encode_frames(frames[0, -1:])
        done += frames.shape[1] - 1


def drift(frames: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
    """Mean CIEDE2000 (f,) between each frame's background and the first frame's, where neither mask lies."""
    lab = rgb2lab(((frames.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy())
    solid = masks[:, 0].numpy() > 0
    distances = [deltaE_ciede2000(lab[0], lab[i])[~(solid[0] | solid[i])].mean() for i in range(len(lab))]
    return np.array(distances)


def background_changes(frames: torch.Tensor, masks: torch.Tensor, seams: list[int]) -> dict[str, float]:
    """How much the background changes from frame to frame: `CHANGES`, at the seams and between all other frames.

    Args:
        frames: (f, 3, H, W) in [-1, 1].
        masks: (f, 1, H, W) in [0, 1].
        seams: Indices of the frames that follow a seam.

    Returns:
        Mean absolute differences of adjacent frames outside both masks, in grey levels of 255.
    """
    grey = 127.5 * frames.clamp(-1, 1)
    outside = ((masks[1:] == 0) & (masks[:-1] == 0)).expand(-1, 3, -1, -1)
    changes = [float(change[free].mean()) for change, free in zip(grey.diff(dim=0).abs(), outside, strict=True)]
    at, inside = [changes[i - 1] for i in seams], [c for i, c in enumerate(changes, start=1) if i not in seams]
    return dict(zip(CHANGES, (sum(at) / len(at), sum(inside) / len(inside)), strict=True))


def scored(frames: torch.Tensor, masks: torch.Tensor, encoders: MetricEncoders, window: int) -> list[dict[str, float]]:
    """`SCORES` of each segment's new frames."""
    looks, found, colour = encoders.clip.images(frames), encoders.segmenter(frames), drift(frames, masks)
    ends = range(window, len(frames) + 1, window - 2)
    return [
        {
            "mask_iou": float(mask_iou(found[begin:end], masks[begin:end], given_frames=0)),
            "background_ciede2000": float(colour[begin:end].mean()),
            "similarity_to_first": float(100 * (looks[begin:end] @ looks[0]).mean()),
        }
        for begin, end in zip([1, *ends], ends, strict=False)
    ]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    if options.segments < 2:
        parser.error("--segments: give 2 or more, a single one has no seam")
    encoders = MetricEncoders()
    rows: list[Row] = []
    seam_rows: list[Row] = []
    strips: list[tuple[str, np.ndarray]] = []
    for seed in options.seeds:
        run = options.runs / f"maskvid-{seed}"
        tune(run, f"seed={seed}")
        pipe = MaskVidPipeline.from_pretrained(run)
        window = pipe.run.clips.num_frames
        bare = pipe.asked(adain_fraction=0.0)  # no statistics are restored
        for clip in clips(window + (options.segments - 1) * (window - 2)):
            real = torch.from_numpy(clip.frames[::STRIDE]).permute(0, 3, 1, 2).float() / 127.5 - 1
            masks = to_float(clip.masks[::STRIDE])
            batch = pipe.clip(clip.caption.replace(clip.subject, f"[{clip.subject}]", 1), masks)
            first = pipe.backbone.encode_frames(real[:1])
            ways = {
                "carried": pipe.stream(batch, first),
                "chained": chained(pipe, batch, first, window),
                "naive": chained(bare, batch, first, window),
                "real": [pipe.backbone.decode_latents(pipe.backbone.encode_frames(real))[None].cpu()],
            }
            seams: dict[str, list[int]] = {}
            for way, new_frames in ways.items():
                pieces = [piece[0] for piece in new_frames]
                frames = torch.cat(pieces)
                if way != "real":
                    seams[way] = list(accumulate(len(piece) for piece in pieces))[:-1]
                # The clip itself has no seams: it is looked at where ours lie.
                changes = background_changes(frames, masks, seams["carried" if way == "real" else way])
                seam_rows.append({"way": way, "seed": seed, "clip": clip.name, **changes})
                for segment, scores in enumerate(scored(frames, masks, encoders, window), start=1):
                    rows.append({"way": way, "segment": segment, "seed": seed, "clip": clip.name, **scores})
                if seed == options.seeds[0] and way != "real":
                    title = f"{way}: {clip.caption}"
                    strips.append((title, strip(frames, masks, columns=12, scale=2)))
                    write_video(run / "long_video" / f"{clip.name}-{way}.mp4", frames, pipe.run.clips.fps)
    write_rows(HERE / "results.csv", rows)
    write_rows(HERE / "seams.csv", seam_rows)
    write_png(HERE / "strips.png", contact_sheet(strips))
    # Clips are averaged before seeds, so that the spread is that of the seeds.
    for table in (rows, seam_rows):
        table.sort(key=lambda row: list(ways).index(str(row["way"])))
    write_table(HERE / "table.md", mean_over(rows, "clip", SCORES), by=("way", "segment"), columns=SCORES)
    write_table(HERE / "seams.md", mean_over(seam_rows, "clip", CHANGES), by=("way",), columns=CHANGES)


if __name__ == "__main__":
    main()
