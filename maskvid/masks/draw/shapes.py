"""Forms of shapes that do not move by themselves: ellipse, rectangle, polygon, SVG, picture."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from svgelements import SVG, Shape
from svgelements import Path as Curve

from maskvid.errors import UserError, said
from maskvid.json_reading import read_bounded
from maskvid.masks.draw import drawing
from maskvid.masks.draw.form import Form, form_of
from maskvid.masks.read import iter_masks

GRID = 256
"""Cells for the height of a form that is drawn from numbers."""
_SLIM = 16
"""A form may be so many times as wide as high, or as high as wide."""
_STEPS = 24
"""Straight pieces of a curve."""
_CURVES = 4096
"""Pieces of an SVG that are read."""


def still_form(shape: Any) -> Form:
    """The form of a shape of `maskvid.masks.draw.drawing` that is no silhouette.

    Raises:
        UserError: It has no area, or its file cannot be read.
    """
    if isinstance(shape, drawing.Polygon):
        return _filled([np.asarray(shape.points, float)], "polygon")
    if isinstance(shape, drawing.Svg):
        return _of_path(shape.path) if shape.path is not None else _of_svg(str(shape.file))
    if isinstance(shape, drawing.Picture):
        return _of_picture(shape.file)
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    outline = circle if shape.kind == "ellipse" else corners
    return _filled([outline * [shape.aspect, 1]], shape.kind)


def way(svg: str) -> np.ndarray:
    """Points (n, 2) along an SVG path.

    Raises:
        UserError: It is none, or stands still.
    """
    points = np.concatenate(_outlines([_curve(svg, "path.svg")], "path.svg"))
    if len(points) < 2:
        raise UserError(f"path.svg={svg[:60]!r}: it goes nowhere; give M and L or C with numbers.")
    return points


@lru_cache(maxsize=32)
def _of_path(text: str) -> Form:
    return _filled(_outlines([_curve(text, "svg.path")], "svg.path"), "svg.path")


@lru_cache(maxsize=8)
def _of_svg(file: str) -> Form:
    content = read_bounded(file)
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", content, re.IGNORECASE):  # entities can stand for gigabytes
        raise UserError(f"{file}: it declares a document type or entities; save it as plain SVG.")
    try:
        found = SVG.parse(io.BytesIO(content), reify=True)
        curves = [Curve(element) for element in found.elements() if isinstance(element, Shape)]
    except Exception as error:  # the library raises anything at a stranger's file
        raise UserError(f"{file} is no SVG that can be read: {said(error)}") from error
    if not curves:
        raise UserError(f"{file} holds no forms; save it with paths, polygons, circles or rectangles.")
    return _filled(_outlines(curves, file), file)


@lru_cache(maxsize=8)
def _of_picture(file: str) -> Form:
    mask = next(iter(iter_masks(Path(file)))) >= 128
    if not mask.any():
        raise UserError(f"{file}: it is empty; white, or what is not transparent, must be the foreground.")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return form_of(cut, cut.shape[0], ((cut.shape[1] - 1) / 2, (cut.shape[0] - 1) / 2))


def _curve(text: str, place: str) -> Curve:
    try:
        return Curve(text)
    except Exception as error:
        raise UserError(f"{place}={text[:60]!r} is no path of SVG: {said(error)}") from error


def _outlines(curves: Sequence[Curve], place: str) -> list[np.ndarray]:
    """Points (n, 2) along each part of some curves."""
    outlines, pieces = [], 0
    for curve in curves:
        for part in curve.as_subpaths():
            points: list[tuple[float, float]] = []
            for piece in part:
                pieces += 1
                if pieces > _CURVES:
                    raise UserError(f"{place} has more than {_CURVES} pieces; simplify it.")
                straight = type(piece).__name__ in ("Move", "Line", "Close")
                for t in [1.0] if straight else np.linspace(0, 1, _STEPS + 1)[1:]:
                    point = piece.point(t)
                    if point is not None:
                        points.append((float(point.x), float(point.y)))
            if points:
                outlines.append(np.asarray(points))
    if not outlines or not all(np.isfinite(one).all() for one in outlines):
        raise UserError(f"{place}: it has no points, or some that are no finite numbers.")
    return outlines


def _filled(outlines: Sequence[np.ndarray], place: str) -> Form:
    """The form within outlines, where they overlap by SVG's even-odd rule, placed by its centre."""
    points = np.concatenate(outlines)
    least, extent = points.min(0), np.ptp(points, axis=0)
    if not (extent > 0).all() or max(extent) > _SLIM * min(extent):
        raise UserError(
            f"{place}: it is {extent[0]:.4g} wide and {extent[1]:.4g} high; neither side may be 0, nor more than "
            f"{_SLIM} times the other."
        )
    unit = GRID / extent[1]
    size = np.ceil(extent * unit).astype(int)
    canvas = np.zeros((int(size[1]), int(size[0])), np.uint8)
    scaled = [np.round((one - least) * unit * 16 - 8).astype(np.int32) for one in outlines if len(one) > 2]
    cv2.fillPoly(canvas, scaled, 1, shift=4)
    if not cv2.erode(canvas, np.ones((3, 3), np.uint8)).any():  # a line is drawn, too
        raise UserError(f"{place}: it encloses nothing; its points lie on a line.")
    return form_of(canvas, GRID, ((size[0] - 1) / 2, (size[1] - 1) / 2))
