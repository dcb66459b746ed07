"""A form: a shape as the signed distance to its edge, which can be placed at any size, and become another form.

Signed distances are what lets one silhouette turn into another: the mean of two distances has an edge between the two
edges (Cohen-Or, Levin and Solomovici, "Three-dimensional distance field metamorphosis", 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

FINE = 512
"""Rows at least on which edges are drawn before they are averaged to pixels."""
_SIDE = 1024
"""Largest side of a form's grid."""


@dataclass(frozen=True, eq=False)
class Form:
    """A shape on a grid of its own.

    Attributes:
        distance: float32 (h, w), in cells; positive inside, negative outside.
        unit: Cells for a height of 1.
        anchor: (column, row) in cells of the point that is placed.
    """

    distance: np.ndarray
    unit: float
    anchor: tuple[float, float]

    def mirrored(self) -> Form:
        """Left and right exchanged about the anchor."""
        width = self.distance.shape[1]
        return Form(self.distance[:, ::-1], self.unit, (width - 1 - self.anchor[0], self.anchor[1]))


@dataclass(frozen=True)
class Placing:
    """Where a form stands in a picture.

    Attributes:
        column: Of its anchor, in pixels.
        row: Likewise.
        height: Pixels for a height of 1.
        rotation: Degrees against the clock, about the anchor.
    """

    column: float
    row: float
    height: float
    rotation: float = 0.0


def form_of(mask: np.ndarray, unit: float, anchor: tuple[float, float]) -> Form:
    """The form of a mask.

    Args:
        mask: (h, w), foreground is not 0; what is not shown is taken for background.
        unit: Pixels for a height of 1.
        anchor: (column, row) of the point that is placed, in pixels.
    """
    shrink = max(mask.shape) / _SIDE
    if shrink > 1:
        size = max(1, round(mask.shape[1] / shrink)), max(1, round(mask.shape[0] / shrink))
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        unit, anchor = unit / shrink, (anchor[0] / shrink, anchor[1] / shrink)
    solid = np.pad(mask != 0, 2)
    inside, outside = distance_transform_edt(solid), distance_transform_edt(~solid)
    distance = np.where(solid, inside - 0.5, 0.5 - outside).astype(np.float32)
    # a grid's steps would be seen in what is enlarged
    return Form(cv2.GaussianBlur(distance, (0, 0), 0.7), unit, (anchor[0] + 2, anchor[1] + 2))


def between(first: Form, second: Form, share: float) -> Form:
    """The form on the way from one to another, their anchors laid upon each other.

    Args:
        first: At 0.
        second: At 1.
        share: In [0, 1]; beyond, the nearer of the two is taken.
    """
    if share <= 0 or share >= 1:
        return first if share <= 0 else second
    unit = max(first.unit, second.unit)
    reach = [
        np.array([[-a[0], -a[1]], [f.distance.shape[1] - a[0], f.distance.shape[0] - a[1]]]) * unit / f.unit
        for f in (first, second)
        for a in [f.anchor]
    ]
    least, most = np.min([r[0] for r in reach], axis=0), np.max([r[1] for r in reach], axis=0)
    width, height = np.ceil(most - least).astype(int) + 4
    anchor = float(2 - least[0]), float(2 - least[1])
    placing = Placing(*anchor, unit)
    # distances are measured anew on the common grid: beyond its own grid a form knows none
    common = [form_of(_warped(f, (int(height), int(width)), placing) > 0, unit, anchor) for f in (first, second)]
    mixed = (1 - share) * common[0].distance + share * common[1].distance
    return Form(mixed, common[0].unit, common[0].anchor)


def coverage(form: Form, size: tuple[int, int], placing: Placing) -> np.ndarray:
    """How much of each pixel a placed form covers.

    Args:
        form: The form.
        size: Rows and columns of the picture.
        placing: Where it stands.

    Returns:
        float32 (h, w) in [0, 1].
    """
    factor = max(1, -(-FINE // size[0]))
    fine = Placing(
        (placing.column + 0.5) * factor - 0.5, (placing.row + 0.5) * factor - 0.5, placing.height * factor,
        placing.rotation,
    )  # fmt: skip
    distance = _warped(form, (size[0] * factor, size[1] * factor), fine) * (fine.height / form.unit)
    covered = np.clip(distance + 0.5, 0, 1)
    return cv2.resize(covered, size[::-1], interpolation=cv2.INTER_AREA) if factor > 1 else covered


def _warped(form: Form, size: tuple[int, int], placing: Placing) -> np.ndarray:
    """A form's distances, still in its own cells, at the pixels of a picture."""
    cells = form.unit / placing.height
    turn = np.radians(placing.rotation)
    cos, sin = np.cos(turn) * cells, np.sin(turn) * cells
    matrix = np.array(
        [
            [cos, -sin, form.anchor[0] - cos * placing.column + sin * placing.row],
            [sin, cos, form.anchor[1] - sin * placing.column - cos * placing.row],
        ]
    )
    far = -float(sum(form.distance.shape))
    return cv2.warpAffine(
        form.distance, matrix, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT, borderValue=far,
    )  # fmt: skip
