"""Sky, horizon and ground, painted smoothly: fine texture would only cost the VAE its accuracy."""

from __future__ import annotations

import cv2
import numpy as np

from maskvid.world.camera import Camera

Colour = tuple[float, float, float]


def _rgb(r: int, g: int, b: int) -> np.ndarray:
    return np.array([r, g, b], np.float32) / 255


# Top and bottom of the sky.
_SKY = {
    "day": (_rgb(78, 146, 232), _rgb(196, 226, 248)),
    "sunset": (_rgb(96, 62, 128), _rgb(255, 158, 74)),
    "night": (_rgb(16, 20, 52), _rgb(52, 64, 118)),
}
# Light that falls on ground and hills.
_TINT = {"day": _rgb(255, 255, 255), "sunset": _rgb(255, 204, 172), "night": _rgb(118, 130, 172)}
# Ground near, ground far, hills.
_GROUND = {
    "meadow": (_rgb(86, 158, 48), _rgb(122, 186, 74), _rgb(64, 122, 62)),
    "desert": (_rgb(222, 152, 92), _rgb(236, 178, 120), _rgb(186, 110, 70)),
    "snow": (_rgb(222, 232, 248), _rgb(240, 245, 252), _rgb(168, 190, 222)),
    "beach": (_rgb(240, 220, 170), _rgb(248, 234, 196), _rgb(34, 116, 158)),
    "road": (_rgb(74, 76, 84), _rgb(92, 94, 102), _rgb(96, 134, 84)),
}


def _blend(image: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> None:
    """Paint `colour` over `image` in place with coverage `alpha` (h, w)."""
    image += alpha[..., None] * (colour - image)


def _below(line: np.ndarray, h: int) -> np.ndarray:
    """Coverage (h, w) of what lies below the row `line` (w,)."""
    return np.clip(np.arange(h)[:, None] + 1 - line[None, :], 0, 1)


def _clouds(h: int, w: int, horizon: float, rng: np.random.Generator) -> np.ndarray:
    """Coverage (h, w) of two to four soft clouds."""
    alpha = np.zeros((h, w), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        x, y = int(rng.uniform(0, w)), int(rng.uniform(0.1, 0.7) * horizon)
        width = rng.uniform(0.07, 0.15) * w
        for _ in range(4):
            dx, dy = rng.uniform(-1, 1) * width, rng.uniform(-0.25, 0.15) * width
            axes = (max(2, int(width * rng.uniform(0.4, 0.8))), max(1, int(width * rng.uniform(0.16, 0.26))))
            cv2.ellipse(alpha, (int(x + dx), int(y + dy)), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha, (0, 0), 0.014 * w)


def _disc(h: int, w: int, x: float, y: float, r: float) -> np.ndarray:
    yy, xx = np.mgrid[:h, :w]
    return np.clip(r + 0.5 - np.hypot(xx - x, yy - y), 0, 1).astype(np.float32)


def paint(camera: Camera, size: tuple[int, int], *, ground: str, time: str, rng: np.random.Generator) -> np.ndarray:
    """Paint everything but the animal.

    Args:
        camera: The camera.
        size: Height and width in pixels.
        ground: A word of `captions.GROUNDS`.
        time: A word of `captions.TIMES`.
        rng: Places clouds, hills, sun, moon and stars.

    Returns:
        Colours (h, w, 3) in [0, 1], float32.
    """
    h, w = size
    horizon = camera.horizon(h)
    top, bottom = _SKY[time]
    t = np.clip(np.arange(h) / max(horizon, 1), 0, 1)[:, None, None].astype(np.float32)
    image = np.repeat(top + (bottom - top) * t ** (1.6 if time == "sunset" else 1.0), w, axis=1)
    tint = _TINT[time]
    if time == "day":
        _blend(image, 0.9 * _clouds(h, w, horizon, rng), _rgb(255, 255, 255))
    elif time == "sunset":
        _blend(image, 0.5 * _clouds(h, w, horizon, rng), _rgb(250, 130, 110))
        x, y, r = rng.uniform(0.1, 0.9) * w, horizon - rng.uniform(0.0, 0.05) * h, rng.uniform(0.06, 0.09) * h
        yy, xx = np.mgrid[:h, :w]
        glow = np.exp(-((xx - x) ** 2 + 2 * (yy - y) ** 2) / (0.5 * h) ** 2).astype(np.float32)
        _blend(image, 0.55 * glow, _rgb(255, 214, 120))
        _blend(image, _disc(h, w, x, y, r), _rgb(255, 240, 176))
    else:
        for _ in range(int(rng.integers(8, 14))):
            _blend(
                image, 0.8 * _disc(h, w, rng.uniform(0, w), rng.uniform(0, 0.85) * horizon, 0.2), _rgb(220, 226, 255)
            )
        x, y = rng.uniform(0.08, 0.92) * w, rng.uniform(0.12, 0.5) * horizon
        _blend(image, _disc(h, w, x, y, rng.uniform(0.05, 0.065) * h), _rgb(248, 246, 224))
    near, far, hill = _GROUND[ground]
    columns = np.arange(w) / w
    if ground == "beach":
        sea = np.full(w, horizon)
        _blend(image, _below(sea, h), hill * tint)
        shore = horizon + h * (0.075 + 0.006 * np.sin(2 * np.pi * (1.3 * columns + rng.uniform())))
        _blend(image, _below(shore - 0.016 * h, h), _rgb(244, 250, 252) * tint)
        edge = shore
    else:
        height = {"meadow": 0.07, "desert": 0.06, "snow": 0.11, "road": 0.05}[ground] * h
        line = horizon - height * (
            0.55
            + 0.30 * np.sin(2 * np.pi * (columns * rng.uniform(0.6, 1.4) + rng.uniform()))
            + 0.15 * np.sin(2 * np.pi * (columns * rng.uniform(2, 3) + rng.uniform()))
        )
        _blend(image, _below(line, h), hill * tint)
        edge = np.full(w, horizon)
    rows = np.clip((np.arange(h) - horizon) / max(h - horizon, 1), 0, 1)[:, None, None].astype(np.float32)
    soil = (far + (near - far) * rows**0.7) * tint
    texture = cv2.resize(rng.normal(size=(7, 5)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    soil = np.repeat(soil, w, axis=1) * (1 + 0.025 * texture[..., None])
    if ground == "road":
        gx, gy = camera.ground(size)
        verge = np.where(np.isfinite(gy), gy, 1e3)
        start, finish = rng.uniform(2.2, 3.2), rng.uniform(0.9, 1.3)
        grass = np.clip((verge - start) / 0.5, 0, 1).astype(np.float32)
        _blend(soil, grass, _rgb(120, 150, 84) * tint)
        line = np.clip(1.6 - np.abs(verge - finish) / 0.09, 0, 1)
        _blend(soil, line.astype(np.float32), _rgb(240, 236, 220) * tint)
        line = np.clip(1.6 - np.abs(verge + rng.uniform(1.3, 1.7)) / 0.09, 0, 1)
        _blend(soil, line.astype(np.float32), _rgb(240, 236, 220) * tint)
    cover = _below(edge, h)[..., None]
    return np.clip(image + cover * (soil - image), 0, 1).astype(np.float32)
