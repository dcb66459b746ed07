"""Pictorial styles by image processing; each keeps the colours that the caption speaks of."""

from __future__ import annotations

import cv2
import numpy as np


def _saturate(image: np.ndarray, amount: float) -> np.ndarray:
    grey = image.mean(axis=2, keepdims=True)
    return np.clip(grey + amount * (image - grey), 0, 1)


def _outline(alpha: np.ndarray) -> np.ndarray:
    """Strength (h, w) of a line along the silhouette and just outside it."""
    return np.clip(2.2 * (cv2.dilate(alpha, np.ones((3, 3), np.uint8)) - alpha), 0, 1)


def _pop_art(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Few flat, loud colours and a dark outline."""
    bright = np.clip(image * np.clip(0.5 / max(float(image.mean()), 1e-3), 1.0, 2.0), 0, 1)  # nights are loud too
    flat = cv2.bilateralFilter(bright.astype(np.float32), 7, 0.25, 3)
    loud = np.clip((_saturate(flat, 2.1) - 0.5) * 1.25 + 0.54, 0, 1)
    levels = 3
    steps = loud * levels
    whole = np.floor(steps)
    part = np.clip((steps - whole - 0.5) * 4 + 0.5, 0, 1)  # soft steps between the flat colours
    poster = (whole + part) / levels
    return poster * (1 - _outline(alpha)[..., None])


def _watercolor(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Thin paint on light paper: pale, edges kept, darker where the paint dried along a border."""
    flat = image
    for _ in range(2):
        flat = cv2.bilateralFilter(flat, 7, 0.14, 3)
    pale = 0.40 + 0.60 * _saturate(flat, 1.25)
    h, w = alpha.shape
    yy, xx = np.mgrid[:h, :w]
    inside = np.minimum(np.minimum(xx, w - 1 - xx) / w, np.minimum(yy, h - 1 - yy) / h)
    paper = np.clip(1 - inside / 0.06, 0, 1)[..., None].astype(np.float32)
    pale = pale * (1 - 0.30 * _outline(alpha)[..., None])
    return pale + paper * (np.array([0.99, 0.98, 0.94], np.float32) - pale)


def _crayon(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Slanted waxy strokes on warm paper, drawn outline in a darker tone of the picture."""
    flat = cv2.GaussianBlur(image, (0, 0), 0.8)
    h, w = alpha.shape
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    stroke = 0.5 + 0.5 * np.sin((xx + yy + 0.9 * np.sin(0.35 * (xx - yy))) * (2 * np.pi / 6.0))
    paper = np.array([0.98, 0.94, 0.84], np.float32)
    wax = np.clip(_saturate(flat, 1.45) * 1.04, 0, 1)
    cover = (0.82 - 0.10 * stroke)[..., None]
    drawn = paper + cover * (wax - paper)
    return drawn * (1 - 0.70 * _outline(alpha)[..., None])


def apply(style: str, image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Redraw a picture in a style.

    Args:
        style: A word of `captions.STYLES`; "photo" returns the picture.
        image: Colours (h, w, 3) in [0, 1], float32.
        alpha: Coverage of the animal (h, w) in [0, 1]; only its outline is used, never changed.

    Returns:
        Colours (h, w, 3) in [0, 1], float32.
    """
    if style == "photo":
        return image
    paint = {"pop art painting": _pop_art, "watercolor painting": _watercolor, "crayon drawing": _crayon}[style]
    return np.clip(paint(image.astype(np.float32), alpha.astype(np.float32)), 0, 1).astype(np.float32)
