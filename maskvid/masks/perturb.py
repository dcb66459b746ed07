"""Masks as people draw them: too wide, too tight, beside the object, with frames left out, reduced to boxes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from maskvid.errors import UserError
from maskvid.settings import KINDS, STRENGTHS

PIXEL = 64  # strengths count in pixels of a picture of so many rows


def perturb(masks: torch.Tensor, kind: str, strength: int, generator: np.random.Generator) -> torch.Tensor:
    """Make masks imprecise in one of five ways and five strengths.

    - `dilate`, `erode`: the outline moves by `strength` pixels of a picture of 64 rows.
    - `shift`: the whole sequence moves by twice as many pixels, in a direction drawn once.
    - `drop`: an eighth of the frames for each strength, drawn among all but the first, repeat the mask before.
    - `boxes`: a fifth of the frames for each strength, drawn among all, are reduced to bounding boxes; 5 is all.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.
        kind: One of `KINDS`.
        strength: 0 (nothing) to 5.
        generator: What is drawn is drawn from this.

    Returns:
        The same shape. Eroding leaves a frame as it is rather than empty: a mask that asks for nothing is another
        request.

    Raises:
        UserError: Unknown kind, or a strength out of range.
    """
    check_imprecision(kind, strength)
    count, pixels = len(masks), strength * masks.shape[-2] / PIXEL
    if strength == 0:
        return masks
    if kind in ("dilate", "erode"):
        radius = max(1, round(pixels))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        change = cv2.dilate if kind == "dilate" else cv2.erode
        changed = np.stack([change(mask, disk) for mask in masks[:, 0].float().numpy()])
        result = torch.from_numpy(changed).unsqueeze(1).to(masks)
        empty = (result >= 0.5).flatten(1).any(1).logical_not().view(-1, 1, 1, 1)
        return torch.where(empty, masks, result)
    if kind == "shift":
        angle = generator.uniform(0, 2 * np.pi)
        return shifted(masks, round(2 * pixels * np.sin(angle)), round(2 * pixels * np.cos(angle)))
    if kind == "drop":
        dropped = generator.permutation(np.arange(1, count))[: round(strength / 8 * count)]
        kept = np.where(np.isin(np.arange(count), dropped), 0, np.arange(count))
        return masks[torch.from_numpy(np.maximum.accumulate(kept))]
    boxed = torch.zeros(count, 1, 1, 1, dtype=torch.bool)
    boxed[generator.permutation(count)[: round(strength / STRENGTHS * count)]] = True
    return torch.where(boxed, boxes(masks), masks)


def check_imprecision(kind: str, strength: int) -> None:
    """Refuse what `perturb` does not know.

    Raises:
        UserError: Unknown kind, or a strength out of range.
    """
    if kind not in KINDS:
        raise UserError(f"perturb={kind!r}: choose one of {', '.join(KINDS)}.")
    if not 0 <= strength <= STRENGTHS:
        raise UserError(f"perturb_strength={strength}: give 0 to {STRENGTHS}.")


def shifted(masks: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Masks moved down and to the right; what leaves the picture is lost."""
    height, width = masks.shape[-2:]
    moved = torch.zeros_like(masks)
    moved[..., max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = masks[
        ..., max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    return moved


def boxes(masks: torch.Tensor) -> torch.Tensor:
    """Each frame's foreground replaced by its bounding box.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.

    Returns:
        The same shape, 0 or 1; an empty frame stays empty.
    """
    solid = masks >= 0.5
    box = _between(solid.any(-1)).unsqueeze(-1) & _between(solid.any(-2)).unsqueeze(-2)
    return box.to(masks.dtype)


def sliding_box(masks: torch.Tensor) -> torch.Tensor:
    """One box that slides along with the foreground, as people draw one: it says where, and nothing of how it moves.

    The box is as large as the largest bounding box of the sequence; its path is that of the boxes' centres, smoothed
    over two frames to both sides, so that no gait is left in it.

    Args:
        masks: (f, 1, H, W) in [0, 1], white is foreground.

    Returns:
        The same shape, 0 or 1; an empty frame stays empty.
    """
    solid = (masks[:, 0] >= 0.5).cpu().numpy()
    present = np.asarray(solid.any((1, 2)))
    result = torch.zeros_like(masks)
    if not present.any():
        return result
    path = []
    for axis in (1, 2):
        lines = np.asarray(solid[present].any(3 - axis))  # rows, then columns, that hold foreground
        first, last = lines.argmax(1), lines.shape[1] - 1 - lines[:, ::-1].argmax(1)
        middle = gaussian_filter1d((first + last) / 2, 2.0, mode="nearest")
        half = (last - first + 1).max() / 2
        path.append(np.stack([np.round(middle + 0.5 - half), np.round(middle + 0.5 + half)], 1).clip(0).astype(int))
    for frame, (top, bottom), (left, right) in zip(np.flatnonzero(present), *path, strict=True):
        result[frame, 0, top:bottom, left:right] = 1
    return result


def _between(present: torch.Tensor) -> torch.Tensor:
    """Everything from the first place present to the last, along the last axis."""
    return (present.cumsum(-1) > 0) & (present.flip(-1).cumsum(-1) > 0).flip(-1)


def distance(mask: np.ndarray) -> np.ndarray:
    """Signed distance of each pixel to a mask's outline (h, w), positive inside."""
    solid = (mask >= 0.5).astype(np.uint8)
    return cv2.distanceTransform(solid, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
