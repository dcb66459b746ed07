"""Masks of several objects as pictures: each object in a colour of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from maskvid.media.strips import spaced, strip

PALETTE = (
    (240, 240, 240), (255, 176, 46), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
    (0, 114, 178),
)  # fmt: skip
"""Colours that people tell apart who see few (Okabe and Ito, 2008), white first: one object looks like a mask."""
_GROUND = (28, 30, 34)


def coloured(frames: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
    """Masks (k, h, w) uint8 of each frame as pictures (1, 3, h, w) in [-1, 1]; later objects are in front."""
    for layers in frames:
        picture = np.broadcast_to(np.asarray(_GROUND, np.float32), (*layers.shape[1:], 3))
        for index, layer in enumerate(layers):
            share = layer[..., None].astype(np.float32) / 255
            picture = picture * (1 - share) + np.asarray(PALETTE[index % len(PALETTE)], np.float32) * share
        yield torch.from_numpy(picture).permute(2, 0, 1)[None].div(127.5).sub(1)


def layer_sheet(frames: Sequence[np.ndarray], *, columns: int = 8) -> np.ndarray:
    """Frames evenly spaced from the first to the last side by side, uint8 (H, W, 3)."""
    return strip(torch.cat(list(coloured(frames[index] for index in spaced(len(frames), columns)))), columns=None)
