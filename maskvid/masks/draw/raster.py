"""From a drawing to masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from maskvid.errors import UserError
from maskvid.masks.draw.drawing import Drawing, Object, Silhouette
from maskvid.masks.draw.form import Form, Placing, between, coverage
from maskvid.masks.draw.shapes import still_form
from maskvid.masks.draw.strides import ground, silhouette_forms
from maskvid.masks.draw.timeline import Timeline, morphs, steps, timeline


def draw_masks(drawing: Drawing) -> np.ndarray:
    """The foreground of a drawing.

    Returns:
        uint8 (f, h, w), 255 is foreground: all objects together, less what occluders hide.

    Examples:
        >>> drawing = Drawing(frames=8, objects=[{"shape": "horse", "keys": [{"at": 0, "x": 0.1}, {"at": 7, "x": 0.9}]}])
        >>> draw_masks(drawing).shape
        (8, 320, 480)
    """
    return np.stack([objects.max(axis=0) for objects in draw_objects(drawing)])


def draw_objects(drawing: Drawing) -> Iterator[np.ndarray]:
    """The foreground objects of each frame, each without what stands before it.

    Yields:
        uint8 (k, h, w), 255 is foreground, in the order of the drawing's foreground objects.

    Raises:
        UserError: A file that it names cannot be read, or the library lacks what it asks for.
    """
    height, width = drawing.size
    lines, forms = [], []
    for index, one in enumerate(drawing.objects):
        try:
            lines.append(timeline(one, drawing.frames, width / height))
            forms.append(_forms(one, lines[-1], drawing))
        except UserError as error:
            raise UserError(f"objects[{index}]: {error}") from error
    for frame in range(drawing.frames):
        seen = np.ones((height, width), np.float32)  # the share of each pixel that nothing stands before
        layers = []
        for one, line, form in reversed(list(zip(drawing.objects, lines, forms, strict=True))):
            covered = _covered(line, form[frame], frame, (height, width))
            if not one.occluder:
                layers.append(np.rint(covered * seen * 255).astype(np.uint8))
            seen = seen * (1 - covered)
        yield np.stack(layers[::-1])


def _covered(line: Timeline, form: Form, frame: int, size: tuple[int, int]) -> np.ndarray:
    if not line.visible[frame]:
        return np.zeros(size, np.float32)
    height, width = size
    placing = Placing(
        line.x[frame] * width - 0.5, line.y[frame] * height - 0.5, line.scale[frame] * height, line.rotation[frame]
    )
    return coverage(form, size, placing)


def _forms(one: Object, line: Timeline, drawing: Drawing) -> list[Form]:
    """The form of an object in each frame."""
    at = np.arange(drawing.frames, dtype=float)
    over = ground(line, drawing.size[1] / drawing.size[0], drawing.fps)
    moving: dict[int, list[Form]] = {}
    stages = morphs(one, at)
    for shape in {id(s): s for pair in stages for s in pair[:2]}.values():
        moving[id(shape)] = (
            silhouette_forms(shape, one, over)
            if isinstance(shape, Silhouette)
            else _still(still_form(shape), steps(one, "flip", at, False))
        )
    return [
        between(moving[id(before)][frame], moving[id(after)][frame], share)
        for frame, (before, after, share) in enumerate(stages)
    ]


def _still(form: Form, flips: list[Any]) -> list[Form]:
    return [form.mirrored() if flip else form for flip in flips]
