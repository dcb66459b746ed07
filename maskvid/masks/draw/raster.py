"""From a drawing to masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
        >>> horse = {"shape": "horse", "keys": [{"at": 0, "x": 0.1}, {"at": 7, "x": 0.9}]}
        >>> draw_masks(Drawing(frames=8, objects=[horse])).shape
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
    actors = _actors(drawing)
    for frame in range(drawing.frames):
        seen = np.ones((height, width), np.float32)  # the share of each pixel that nothing stands before
        layers = []
        for actor in reversed(actors):
            covered = _covered(actor.line, actor.form(frame), frame, (height, width))
            if not actor.occluder:
                layers.append(np.rint(covered * seen * 255).astype(np.uint8))
                # the edge of a foreground belongs to what is behind it as well, or their union would have a seam
                covered = covered >= 1
            seen = seen * (1 - covered)
        yield np.stack(layers[::-1])


def object_forms(drawing: Drawing) -> Iterator[list[Form]]:
    """The form of each object, occluders too, in every frame, before it is placed."""
    for actor in _actors(drawing):
        yield [actor.form(frame) for frame in range(drawing.frames)]


@dataclass(frozen=True, eq=False)
class _Actor:
    """An object with all that its frames need.

    Attributes:
        line: Where it is.
        forms: The form of each of its shapes, by the shape's identity, in each frame.
        stages: Between which shapes it is in each frame, and how far it has got.
        occluder: Whether it is no foreground.
    """

    line: Timeline
    forms: dict[int, list[Form]]
    stages: list[tuple[Any, Any, float]]
    occluder: bool

    def form(self, frame: int) -> Form:
        before, after, share = self.stages[frame]
        return between(self.forms[id(before)][frame], self.forms[id(after)][frame], share)


def _actors(drawing: Drawing) -> list[_Actor]:
    at, (height, width) = np.arange(drawing.frames, dtype=float), drawing.size
    actors = []
    for index, one in enumerate(drawing.objects):
        try:
            line = timeline(one, drawing.frames, width / height)
            actors.append(_Actor(line, _forms(one, line, drawing), morphs(one, at), one.occluder))
        except UserError as error:
            raise UserError(f"objects[{index}]: {error}") from error
    return actors


def _covered(line: Timeline, form: Form, frame: int, size: tuple[int, int]) -> np.ndarray:
    if not line.visible[frame]:
        return np.zeros(size, np.float32)
    height, width = size
    placing = Placing(
        line.x[frame] * width - 0.5, line.y[frame] * height - 0.5, line.scale[frame] * height, line.rotation[frame]
    )
    return coverage(form, size, placing)


def _forms(one: Object, line: Timeline, drawing: Drawing) -> dict[int, list[Form]]:
    """The form of each of an object's shapes, by its identity, in each frame."""
    over = ground(line, drawing.size[1] / drawing.size[0], drawing.fps)
    forms: dict[int, list[Form]] = {}
    for shape in [one.shape, *(key.shape for key in one.keys if key.shape is not None)]:
        if isinstance(shape, Silhouette):
            forms[id(shape)] = silhouette_forms(shape, one, over)
        else:
            form = still_form(shape)
            sides = form, form.mirrored()
            flips = steps(one, "flip", np.arange(drawing.frames, dtype=float), False)
            forms[id(shape)] = [sides[flip] for flip in flips]
    return forms
