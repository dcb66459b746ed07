"""Masks out of videos, folders of pictures, single pictures and npz files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maskvid.errors import UserError
from maskvid.media.arrays import masks_of_npz
from maskvid.media.container import decoded, open_video
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, read_image

# A lossy codec leaves a haze of a few levels around pure black and pure white; without clipping it would count as a
# little foreground everywhere.
_CODEC_HAZE = 12


def iter_masks(path: Path) -> Iterator[np.ndarray]:
    """Yield the masks of a video, a PNG folder, an npz file or a single picture one at a time.

    Palette PNGs (DAVIS) hold object numbers: every number above 0 is foreground. Arrays and grey pictures whose
    largest value is 1 are taken as 0/1. The npz array is the one named `masks`, or else the first that is not `fps`.

    Yields:
        uint8 (h, w), 255 is foreground, at native size.

    Raises:
        UserError: Missing or unreadable source, values outside the range, or pictures of different sizes.
    """
    if not path.exists():
        raise UserError(f"missing file: {path}")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        yield from _picture_masks(path)
    elif path.suffix.lower() == ".npz":
        yield from masks_of_npz(path)
    else:
        for frame in decoded(open_video(path), path):
            grey = frame.mean(axis=2)
            stretched = (grey - _CODEC_HAZE) * (255 / (255 - 2 * _CODEC_HAZE))
            yield np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def _picture_masks(path: Path) -> Iterator[np.ndarray]:
    pictures = images_in(path) if path.is_dir() else [path]
    if not pictures:
        raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")
    size: tuple[int, ...] | None = None
    loaded = []
    for picture in pictures:
        image = read_image(picture)
        if image.mode == "P":
            mask = np.where(np.asarray(image) > 0, 255, 0).astype(np.uint8)
        elif image.mode.startswith("I"):
            mask = np.rint(np.asarray(image) / 257).astype(np.uint8)  # 16 bits to 8
        else:
            mask = np.asarray(image.convert("L"))
        size = size or mask.shape
        if mask.shape != size:
            raise UserError(
                f"{picture} is {mask.shape[1]}x{mask.shape[0]} but the first mask of its folder is "
                f"{size[1]}x{size[0]}; every mask of a clip must have one size"
            )
        loaded.append(mask)
    # 0/1 pictures: judged over the whole sequence, since a single frame may hold no foreground at all
    binary = max(int(mask.max()) for mask in loaded) == 1
    yield from (mask * np.uint8(255) if binary else mask for mask in loaded)
