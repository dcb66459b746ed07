"""Corpora of pictures on disk, in shards that can be used while later ones are still being rendered."""

from __future__ import annotations

import argparse
from pathlib import Path

from maskvid.errors import UserError
from maskvid.world.stills import Pictures, render_pictures

SHARD = 1000
"""Pictures in a shard; the last shard of a corpus may hold fewer."""


def render_corpus(*, folder: str | Path, seed: int, count: int, progress: bool = True) -> Path:
    """Render pictures 0 to `count - 1` of corpus `seed` into `folder`, skipping the shards already there.

    A shard is renamed into place once complete, so an interrupted rendering goes on where it stopped.
    """
    folder = Path(folder)
    for number, start in enumerate(range(0, count, SHARD)):
        path = folder / f"shard-{number:05d}.npz"
        wanted = min(SHARD, count - start)
        if path.exists() and len(Pictures.load(path)) >= wanted:
            continue
        render_pictures(count=wanted, seed=seed, start=start, progress=progress).save(path)
    return folder


def load_pictures(folder: str | Path, limit: int | None = None) -> Pictures:
    """Read the shards that `folder` holds, in order.

    Args:
        folder: Where `render_corpus` wrote.
        limit: At most this many pictures.

    Raises:
        UserError: if there is no shard.
    """
    pieces: list[Pictures] = []
    for path in sorted(Path(folder).glob("shard-*.npz")):
        pieces.append(Pictures.load(path))
        if limit is not None and sum(map(len, pieces)) >= limit:
            break
    if not pieces:
        raise UserError(
            f"folder={str(folder)!r} holds no shard-*.npz; "
            f"render it with `python -m maskvid.world.corpus --seed 1 --count 12000 --out {folder}`"
        )
    whole = Pictures.concatenate(pieces)
    if limit is None or len(whole) <= limit:
        return whole
    return Pictures(
        whole.images[:limit],
        whole.masks[:limit],
        whole.captions[:limit],
        whole.subjects[:limit],
        whole.attributes[:limit],
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: `python -m maskvid.world.corpus --seed 1 --count 12000 --out FOLDER`."""
    parser = argparse.ArgumentParser(description="Render a corpus of single pictures, resumable.")
    parser.add_argument("--seed", type=int, required=True, help="1 backbone, 2 encoders, 3 held out")
    parser.add_argument("--count", type=int, required=True, help="pictures in the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    options = parser.parse_args(arguments)
    render_corpus(folder=options.out, seed=options.seed, count=options.count)


if __name__ == "__main__":
    main()
