"""Masks as people make them in a hurry, to tune on: every error wanders from frame to frame (ours)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from maskvid.masks.perturb import PIXEL, boxes, distance, perturb, shifted, sliding_box
from maskvid.settings import STRENGTHS


def roughened(masks: torch.Tensor, generator: np.random.Generator) -> tuple[torch.Tensor, float]:
    """Make masks imprecise in a way and by a strength that are drawn.

    - The outline is too wide or too tight, and wobbles, as a thick pen's does.
    - All of it lies beside the foreground.
    - Frames are left out: the mask before is held.
    - Limbs are lost: what is left is a blob, or the hull.
    - Some frames, or all, are boxes; or one box slides along.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.
        generator: What is drawn is drawn from this.

    Returns:
        The same shape, in which no frame that has foreground loses all of it; and how rough they are, in (0, 1].
    """
    strength = int(generator.integers(1, STRENGTHS + 1))
    kind = KINDS[int(generator.integers(len(KINDS)))]
    rough = kind(masks, strength * masks.shape[-2] / PIXEL, strength, generator)
    lost = (rough >= 0.5).flatten(1).any(1).logical_not().view(-1, 1, 1, 1)
    return torch.where(lost, masks, rough), 1.0 if kind is _slid else strength / STRENGTHS


def wandering(count: int, generator: np.random.Generator) -> np.ndarray:
    """A course (count,) of mean size 1 that changes slowly: what a hand that draws frame after frame is off by."""
    course = 1 + gaussian_filter1d(generator.normal(size=count + 8), 2.0)[4:-4]
    return np.clip(course, 0.3, 1.7)


def _outlined(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    count, _, height, width = masks.shape
    side = generator.choice([-1.0, 1.0]) * wandering(count, generator)
    coarse = torch.from_numpy(generator.normal(size=(1, 1, max(2, count // 3), 4, 6)))
    wobble = torch.nn.functional.interpolate(coarse, (count, height, width), mode="trilinear")[0, 0].numpy()
    offsets = pixels * (side[:, None, None] + 0.4 * wobble)
    frames = [
        np.clip(depth + np.maximum(offset, -0.7 * max(depth.max(), 0)) + 0.5, 0, 1)
        for depth, offset in zip(map(distance, masks[:, 0].numpy()), offsets, strict=True)
    ]
    return torch.from_numpy(np.stack(frames)).unsqueeze(1).to(masks)


def _beside(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    angles = generator.uniform(0, 2 * np.pi) + wandering(len(masks), generator) - 1
    far = 2 * pixels * wandering(len(masks), generator)
    return torch.cat([
        shifted(mask, round(length * np.sin(angle)), round(length * np.cos(angle)))
        for mask, angle, length in zip(masks.split(1), angles, far, strict=True)
    ])  # fmt: skip


def _blobs(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    made = []
    for mask in masks[:, 0].float().numpy():
        blurred = cv2.GaussianBlur(mask, (0, 0), 1.2 * pixels)
        cells = int(np.ceil((mask >= 0.5).sum() * generator.uniform(1.0, 1.3)))
        edge = np.sort(blurred, axis=None)[-min(max(cells, 1), blurred.size)]
        made.append((blurred >= max(edge, 1e-6)).astype(np.float32))
    return torch.from_numpy(np.stack(made)).unsqueeze(1).to(masks)


def _hulls(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    radius = max(1, round(2 * pixels))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    made = []
    for mask in (masks[:, 0].numpy() >= 0.5).astype(np.uint8):
        if strength < STRENGTHS or not mask.any():
            wide = np.pad(mask, radius)
            made.append(cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disk)[radius:-radius, radius:-radius])
        else:
            outline = cv2.convexHull(cv2.findNonZero(mask))
            made.append(cv2.fillConvexPoly(np.zeros_like(mask), outline, 1))
    return torch.from_numpy(np.stack(made)).unsqueeze(1).to(masks)


def _left_out(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    return perturb(masks, "drop", strength, generator)


def _boxed(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    return boxes(masks) if strength == STRENGTHS else perturb(masks, "boxes", strength, generator)


def _slid(masks: torch.Tensor, pixels: float, strength: int, generator: np.random.Generator) -> torch.Tensor:
    return sliding_box(masks)


KINDS: tuple[Callable[[torch.Tensor, float, int, np.random.Generator], torch.Tensor], ...] = (
    _outlined, _outlined, _beside, _left_out, _blobs, _hulls, _boxed, _slid,
)  # fmt: skip
"""What is drawn from; the first stands for two, too wide and too tight."""
