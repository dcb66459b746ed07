"""Write clips of the world as video, mask and caption triples.

`python -m maskvid.world.render --count 20 --seed 5 --out DIR` renders random clips;
`python -m maskvid.world.render --assets maskvid/assets/horse` rebuilds the shipped horse examples.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.progress import track

from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.media.decode import frames_to_float
from maskvid.media.writing import write_video
from maskvid.world import captions
from maskvid.world.clips import HEIGHT, WIDTH, Clip, random_clip
from maskvid.world.examples import FOLDERS, clip_of
from maskvid.world.movements import MOVEMENTS

_CRF = 18  # at 320 x 480; the eighty-four clips of the examples then have 10 MB


def write_triples(clips: Iterable[Clip], folder: str | Path) -> list[dict[str, object]]:
    """Write a folder of triples: `videos/`, `masks/` and `metadata.jsonl`.

    The folder is replaced whole, once every clip is written.

    Args:
        clips: May be a generator; clips are written as they come.
        folder: Where to; an existing folder of that name is replaced.

    Returns:
        The lines of `metadata.jsonl`.
    """
    lines: list[dict[str, object]] = []
    with atomic_write(folder) as temporary:
        (temporary / "videos").mkdir(parents=True)
        (temporary / "masks").mkdir()
        for clip in clips:
            video, mask = f"videos/{clip.name}.mp4", f"masks/{clip.name}.npz"
            write_video(temporary / video, frames_to_float(clip.frames), clip.fps, scale=1, crf=_CRF)
            np.savez_compressed(temporary / mask, masks=clip.masks, fps=np.float64(clip.fps))
            lines.append({
                "file_name": video, "mask": mask, "text": clip.caption, "subject": clip.subject, "fps": clip.fps,
                **clip.attributes,
            })  # fmt: skip
        text = "".join(json_text(line, indent=None) for line in lines)
        (temporary / "metadata.jsonl").write_text(text)
    return lines


def write_assets(root: str | Path) -> None:
    """Render every folder of the shipped horse examples below `root`."""
    for name, rows in FOLDERS.items():
        bar = track(rows, description=name)
        write_triples((clip_of(name, k, row) for k, row in enumerate(bar)), Path(root) / name)


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description="Render clips with exact masks and captions.")
    parser.add_argument(
        "--assets", type=Path, help="rebuild the shipped horse examples in this folder, and nothing else"
    )
    parser.add_argument("--count", type=int, default=12, help="clips to render")
    parser.add_argument("--seed", type=int, default=0, help="clip k depends on the seed and k only")
    parser.add_argument("--out", type=Path, help="folder to write; replaced if it exists")
    parser.add_argument("--species", nargs="+", default=list(captions.SPECIES), choices=captions.SPECIES)
    parser.add_argument("--movement", default="cross", choices=MOVEMENTS)
    options = parser.parse_args(arguments)
    try:
        if options.assets:
            write_assets(options.assets)
            return
        if options.out is None:
            raise UserError("--out is missing: name a folder for the triples, or rebuild the examples with --assets")
        if options.out.exists() and not (options.out / "metadata.jsonl").exists() and any(options.out.iterdir()):
            raise UserError(f"--out {options.out} holds something other than triples; choose a new or empty folder")
        bar = track(range(options.count), description=f"clips, seed {options.seed}")
        clips = (
            random_clip(
                seed=options.seed, index=k, species=options.species, movement=options.movement, height=HEIGHT,
                width=WIDTH,
            )
            for k in bar
        )  # fmt: skip
        write_triples(clips, options.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
