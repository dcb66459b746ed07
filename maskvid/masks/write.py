"""Masks as files, in the forms that `read.py` and others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from maskvid.files import atomic_write
from maskvid.media.layers import PALETTE
from maskvid.media.writing import write_mask_array, write_video

FILES = {"npz": "{}.npz", "mp4": "{}.mp4", "png": "{}", "davis": "Annotations/{}"}
"""Where masks of a name lie, by their form; all but the first two are folders of pictures."""
_CRF = 4
"""Quality of an mp4 of masks: as good as it gets where every player still reads it."""


def write_masks(path: Path, frames: Iterable[np.ndarray], fps: float, kind: str) -> Path:
    """Write masks, whole or not at all.

    Args:
        path: A file, or the folder of pictures.
        frames: uint8 (k, h, w) each, 255 is foreground: k objects, later ones in front.
        fps: Frames a second; pictures do not say it.
        kind: `npz`: `masks` (f, h, w), of several objects (f, k, h, w), and `fps`. `mp4`: all objects in white. `png`:
            likewise, a grey picture a frame. `davis`: an indexed picture a frame, whose numbers are the objects'.
    """
    if kind == "mp4":
        return write_video(path, _grey(frames), fps, scale=1, crf=_CRF)
    if kind == "npz":
        stack = np.stack(list(frames))
        return write_mask_array(path, stack[:, 0] if stack.shape[1] == 1 else stack, fps)
    with atomic_write(path) as temporary:
        temporary.mkdir(parents=True)
        for index, layers in enumerate(frames):
            picture = Image.fromarray(layers.max(axis=0)) if kind == "png" else _numbered(layers)
            picture.save(temporary / f"{index:05d}.png")
    return path


def _grey(frames: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
    for layers in frames:
        yield torch.from_numpy(layers.max(axis=0)).float().div(127.5).sub(1).expand(1, 3, -1, -1)


def _numbered(layers: np.ndarray) -> Image.Image:
    """An indexed picture: 0 is the background, k the k-th object."""
    numbers = np.zeros(layers.shape[1:], np.uint8)
    for number, layer in enumerate(layers, 1):
        numbers[layer >= 128] = number
    picture = Image.fromarray(numbers, mode="P")
    colours = [PALETTE[number % len(PALETTE)] for number in range(int(numbers.max()))]
    picture.putpalette([0, 0, 0, *(value for colour in colours for value in colour)])
    return picture
