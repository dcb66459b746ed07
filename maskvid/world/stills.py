"""Pictures with masks and captions: kept together, saved, loaded, and rendered on demand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text


@dataclass
class Pictures:
    """Pictures with masks and captions.

    Attributes:
        images: uint8 (n, h, w, 3).
        masks: uint8 (n, h, w), 255 = animal, antialiased along the silhouette.
        captions: n captions.
        subjects: n phrases, each found in its caption: the words that name the animal.
        attributes: n dictionaries with species, coat, ground, time, style and gait.
    """

    images: np.ndarray
    masks: np.ndarray
    captions: list[str]
    subjects: list[str]
    attributes: list[dict[str, str]]

    def __len__(self) -> int:
        """Number of pictures, n."""
        return len(self.images)

    def save(self, path: str | Path) -> None:
        """Write everything to one `.npz` file, whole or not at all."""
        texts = json_text({"captions": self.captions, "subjects": self.subjects, "attributes": self.attributes})
        with atomic_write(path) as temporary:
            np.savez_compressed(temporary, images=self.images, masks=self.masks, texts=np.array(texts))

    @staticmethod
    def load(path: str | Path) -> Pictures:
        """Read what `save` wrote; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as archive:
            texts = json.loads(str(archive["texts"]))
            return Pictures(archive["images"], archive["masks"], **texts)

    @staticmethod
    def concatenate(pieces: list[Pictures]) -> Pictures:
        """Join pictures of one size in the given order."""
        return Pictures(
            np.concatenate([p.images for p in pieces]),
            np.concatenate([p.masks for p in pieces]),
            [c for p in pieces for c in p.captions],
            [s for p in pieces for s in p.subjects],
            [a for p in pieces for a in p.attributes],
        )


def render_pictures(
    *, count: int, seed: int, start: int = 0, height: int = 64, width: int = 96, progress: bool = True
) -> Pictures:
    """Render pictures `start` to `start + count - 1` of corpus `seed`.

    Args:
        count: How many.
        seed: The corpus: 1 trains the backbone, 2 the encoders, 3 measures both.
        start: Index of the first; picture i of a seed is the same however it is asked for.
        height: Rows.
        width: Columns.
        progress: Whether to show a bar.

    Raises:
        UserError: if `count` is not positive.
        ImportError: without MuJoCo (`pip install 'maskvid[world]'`).
    """
    from maskvid.world.studio import render_picture  # only rendering needs MuJoCo; loading does not

    if count < 1:
        raise UserError(f"count={count} renders nothing; ask for one picture or more")
    pieces = []
    for i in track(range(start, start + count), description=f"pictures, seed {seed}", disable=not progress):
        image, mask, text, subject, attributes = render_picture(seed, i, (height, width))
        pieces.append(Pictures(image[None], mask[None], [text], [subject], [attributes]))
    return Pictures.concatenate(pieces)
