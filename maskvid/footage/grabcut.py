"""Foreground from a box, without any network: OpenCV's GrabCut, carried on by optical flow."""

from __future__ import annotations

import cv2
import numpy as np

from maskvid.errors import UserError
from maskvid.footage.finders import LOST, Lead, NotFound

LARGEST, SMALLEST = 400, 192
"""Pixels of the longer side that is worked at."""

AROUND = 0.3
"""Of the box's sides: so far around it the background's colours are learnt; what is farther away says nothing of it."""

BAND = 0.1
"""Of the foreground's size (the root of its area): how far its edge may have moved beyond what the flow says."""

LEAST = 30
"""Pixels: what is smaller is lost."""


class GrabCut:
    """Cuts out what the box shows in the first frame of a shot, and follows it.

    From frame to frame the mask is carried by dense optical flow; in those that are kept GrabCut (Rother et al. 2004)
    finds the edge anew within a band around it, by the colours inside and outside. What is of the background's colour
    is lost, and what leaves the picture does not come back.
    """

    def __call__(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        """See `Finder`."""
        rows, columns = frames.shape[1:3]
        side = max(rows, columns)
        scale = min(LARGEST, max(SMALLEST, side)) / side
        size = max(1, round(columns * scale)), max(1, round(rows * scale))

        def small(picture: np.ndarray) -> np.ndarray:
            return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

        found = np.zeros((len(frames) // lead.step, rows, columns), bool)
        if lead.earlier is None:
            if lead.box is None:
                raise UserError("foreground=grabcut needs box=[left,top,right,bottom].")
            before, mask = None, _from_box(small(frames[0]), [edge * scale for edge in lead.box])
        else:
            before, mask = small(lead.earlier.frame), small(lead.earlier.mask.astype(np.float32)) >= 0.5
            if mask.sum() < LEAST:
                raise NotFound(LOST)
        for index, frame in enumerate(frames):
            now, kept = small(frame), (index + 1) % lead.step == 0
            if before is not None:
                mask = _carried(mask, before, now)
                mask = _refined(now, mask) if kept else mask
            if (mask >= 0.5).sum() < LEAST:
                break
            if kept:
                shown = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
                found[index // lead.step] = shown >= 0.5
            before = now
        if not found[0].any():
            raise NotFound("nothing within the box differs from what is around it")
        return found


def _from_box(picture: np.ndarray, box: list[float]) -> np.ndarray:
    """Bool (h, w): what within a box differs from what is outside."""
    rows, columns = picture.shape[:2]
    left, top = max(1, int(box[0])), max(1, int(box[1]))
    right, bottom = min(columns - 1, int(np.ceil(box[2]))), min(rows - 1, int(np.ceil(box[3])))
    if right - left < 2 or bottom - top < 2:
        raise NotFound("the box lies outside the picture, or what is cut from it")
    high, wide = round(AROUND * (bottom - top)), round(AROUND * (right - left))
    place = slice(max(0, top - high), bottom + high), slice(max(0, left - wide), right + wide)
    labels = np.full((rows, columns), cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_FGD
    return _cut(picture, labels, place, rounds=6)


def _carried(mask: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """float32 (h, w): the mask of the frame before, moved as the picture did."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, before)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)  # type: ignore[call-overload]  # it makes room itself
    y, x = np.indices(mask.shape, dtype=np.float32)
    return cv2.remap(mask.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)


def _refined(picture: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Bool (h, w): the edge of a carried mask found anew within a band around it."""
    likely = (carried >= 0.5).astype(np.uint8)
    if likely.sum() < LEAST:
        return likely.astype(bool)
    reach = max(2, round(BAND * float(np.sqrt(likely.sum()))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    labels = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[cv2.erode(likely, disc) > 0] = cv2.GC_FGD
    labels[cv2.dilate(likely, disc) == 0] = cv2.GC_BGD
    # colours are learnt around the foreground alone: what is far away says nothing of its edge
    ys, xs = np.nonzero(likely)
    margin = 4 * reach + 8
    place = (
        slice(max(0, ys.min() - margin), ys.max() + margin + 1), slice(max(0, xs.min() - margin), xs.max() + margin + 1)
    )  # fmt: skip
    return _cut(picture, labels, place, rounds=2)


def _cut(picture: np.ndarray, labels: np.ndarray, place: tuple[slice, slice], rounds: int) -> np.ndarray:
    """GrabCut of a part of a picture, by its labels (h, w), as bool (h, w); all else is background."""
    own = labels[place].copy()
    front = np.isin(own, (cv2.GC_FGD, cv2.GC_PR_FGD))
    found = np.zeros(labels.shape, bool)
    if front.all() or not front.any():
        found[place] = front
        return found
    cv2.setRNGSeed(0)  # it draws where it begins
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(picture[place][..., ::-1])
    cv2.grabCut(bgr, own, None, *models, rounds, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found[place] = np.isin(own, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found
