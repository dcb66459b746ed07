"""Films whose cuts and foregrounds are known: clips of the package, one behind the other."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import maskvid
from maskvid.masks.read import iter_masks
from maskvid.media.decode import decode_frames
from maskvid.media.resample import resize_crop
from tests.data.tiny import write_mp4

HORSES = Path(maskvid.__file__).parent / "assets" / "horse" / "train"
FPS = 12.0
CUT = 24
"""First frame of the second shot."""


@cache
def horse(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (24, 64, 96, 3) of a clip, and its exact masks, bool (24, 64, 96)."""
    frames = decode_frames(HORSES / "videos" / f"horse-{number:03d}.mp4", 64, 96)
    masks = [resize_crop(mask, 64, 96) for mask in iter_masks(HORSES / "masks" / f"horse-{number:03d}.npz")]
    return frames, np.stack(masks) >= 128


def film() -> tuple[np.ndarray, np.ndarray]:
    """Two shots of 24 frames."""
    pairs = [horse(0), horse(3)]
    return np.concatenate([frames for frames, _ in pairs]), np.concatenate([masks for _, masks in pairs])


def write_film(path: Path) -> Path:
    return write_mp4(path, film()[0], fps=FPS)


def iou(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean over frames."""
    return float(np.mean([(a & b).sum() / max(1, (a | b).sum()) for a, b in zip(found, exact, strict=True)]))
