"""Masks that nobody filmed: `python -m experiments.masks.measure --run runs/demo`.

Draws each motion of this folder, samples it by a horse run (`make demo` makes one), three seeds each, and writes how
far the videos follow by the run's own judges: results.csv, and a strip of the first seed of each. `--film` makes the
long film at the head of the README as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image

from experiments.study import Row, command, write_rows
from maskvid.json_reading import read_mapping
from maskvid.masks.draw import drawing_of
from maskvid.masks.draw.notation import write_drawing
from maskvid.media.frames import iter_frames

HERE = Path(__file__).parent
MEADOW = "on a green meadow, during the day"
SENTENCE = "a giraffe stands at the left, walks to the middle, stops, turns, walks out"
FILM = (
    "a horse enters left, trots to the 30%, jumps, gallops to the right, stops for 2 seconds, turns, trots to the "
    "left, stops, turns, gallops to the right, turns, walks to the middle, stops for 2 seconds, trots to the "
    "left, turns, gallops to the middle, trots to the right, stops, turns, gallops to the left, stops, turns, "
    "walks to the middle, stops, gallops to the right, stops, turns, walks to the 70%, jumps, trots to the left, "
    "stops, turns, walks to the right, stops, turns, gallops to the middle, stops"
)
MOTIONS: dict[str, tuple[str, str, int]] = {
    "horse": ("horse.yaml", f"[a brown horse] {MEADOW}", 40),
    "box": ("box.yaml", f"[a brown horse] {MEADOW}", 16),
    "herd": ("herd.yaml", f"[a grey elephant] and [a brown dog] {MEADOW}", 20),
    "morph": ("morph.yaml", f"[a black horse] {MEADOW}", 24),
    "sentence": ("sentence.json", "[a patchy giraffe] in the desert, during the day", 32),
}
"""By name the drawing, the prompt and the frames."""
SEEDS = (1, 2, 3)


def generated(run: Path, drawing: Path, prompt: str, frames: int, seed: int, out: Path) -> Path:
    """Sample a drawing; the video's path."""
    command(
        "generate", f"run={run}", f"masks={os.path.relpath(drawing)}", f"prompt={prompt}", f"num_frames={frames}",
        f"seed={seed}", f"out={out}", "overwrite=true", "threads=1",
    )  # fmt: skip
    [video] = out.glob(f"*-seed{seed}.mp4")
    return video


def film(run: Path, out: Path) -> None:
    """The long film: 192 frames in one call, its sheet of 48 of them, and an animation that a page shows."""
    write_drawing(HERE / "film.json", drawing_of(FILM, frames=192, fps=4))
    video = generated(run, HERE / "film.json", f"[a brown horse] {MEADOW}", 192, 1, out / "film")
    frames = [Image.fromarray(frame).resize((192, 128), Image.Resampling.LANCZOS) for frame in iter_frames(video)]
    chosen = np.linspace(0, len(frames) - 1, 24).round().astype(int)
    rows = [np.concatenate([np.asarray(frames[i]) for i in chosen[k : k + 8]], 1) for k in range(0, 24, 8)]
    Image.fromarray(np.concatenate(rows)).save(HERE / "film.png", optimize=True)
    frames[0].save(HERE / "film.webp", save_all=True, append_images=frames[1:], duration=125, loop=0, quality=55)
    shutil.copy(video.with_suffix(".json"), HERE / "film.figures.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    parser.add_argument("--out", type=Path, default=Path("runs/studies/masks"))
    parser.add_argument("--film", action="store_true")
    options = parser.parse_args()
    command("draw", f"text={SENTENCE}", "frames=32", "fps=4", f"out={options.out}", "overwrite=true")
    [sentence] = options.out.glob("a-giraffe*.json")
    shutil.copy(sentence, HERE / "sentence.json")
    rows: list[Row] = []
    for name, (drawing, prompt, frames) in MOTIONS.items():
        found = []
        for seed in SEEDS:
            video = generated(options.run, HERE / drawing, prompt, frames, seed, options.out / name)
            followed = read_mapping(video.with_suffix(".json"))["followed"]
            found.append(followed)
            rows.append({"motion": name, "seed": seed, "frames": frames} | {k: followed[k] for k in FIGURES})
            if seed == SEEDS[0]:
                Image.open(video.with_suffix(".png")).reduce(2).save(HERE / f"{name}.png", optimize=True)
        print(name, {key: round(mean(one[key] for one in found), 3) for key in FIGURES})
        write_rows(HERE / "results.csv", rows)
    if options.film:
        film(options.run, options.out)


FIGURES = ("mask_iou", "boundary_f", "text_alignment")

if __name__ == "__main__":
    main()
