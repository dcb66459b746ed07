"""Light on the animal and its shadow on the ground, from the part and depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from maskvid.world.camera import Camera
from maskvid.world.coats import albedo
from maskvid.world.scene import Puppet, View


@dataclass(frozen=True)
class Light:
    """Light of one time of day.

    Attributes:
        key: Colour of sun or moon.
        fill: Colour of the sky's light from above.
        bounce: Colour of the ground's light from below.
        rim: Colour added along the silhouette.
        shadow: Darkening of the ground in the cast shadow, 0 none, 1 black.
        slope: Cast shadow per metre of height, metres across and in depth; depth positive is away from the camera.
    """

    key: tuple[float, float, float]
    fill: tuple[float, float, float]
    bounce: tuple[float, float, float]
    rim: tuple[float, float, float]
    shadow: float
    slope: tuple[float, float]


LIGHTS: dict[str, Light] = {
    "day": Light((0.72, 0.70, 0.66), (0.44, 0.46, 0.50), (0.30, 0.29, 0.26), (0.0, 0.0, 0.0), 0.42, (0.25, 0.45)),
    "sunset": Light(
        (0.72, 0.64, 0.54), (0.40, 0.38, 0.42), (0.26, 0.23, 0.23), (0.14, 0.09, 0.04), 0.40, (0.45, -0.25)
    ),
    "night": Light((0.60, 0.60, 0.66), (0.38, 0.39, 0.45), (0.22, 0.22, 0.26), (0.24, 0.27, 0.34), 0.38, (0.35, 0.4)),
}


@dataclass
class Layer:
    """The lit animal.

    Attributes:
        colour: (h, w, 3) in [0, 1], premultiplied by `alpha`.
        alpha: Coverage (h, w) in [0, 1].
    """

    colour: np.ndarray
    alpha: np.ndarray


def _normals(depth: np.ndarray, mask: np.ndarray, metres: float) -> np.ndarray:
    """Normals (h, w, 3): x right, y up, z to the viewer; rounded at the silhouette."""
    filled = np.where(mask, depth, depth[mask].mean() + 0.35).astype(np.float32)
    smooth = cv2.GaussianBlur(filled, (0, 0), 1.6)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125) / metres
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125) / metres
    n = np.stack([dx, -dy, np.full_like(dx, 0.9)], axis=-1)
    n = cv2.GaussianBlur(n / np.linalg.norm(n, axis=-1, keepdims=True), (0, 0), 0.8)
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


def lit(puppet: Puppet, view: View, camera: Camera, *, coat: str, marks: int, light: Light, shrink: int) -> Layer:
    """Colour what `view` sees and reduce it `shrink` times, which antialiases it.

    Args:
        puppet: The animal as placed when `view` was taken.
        view: Part and depth maps on a stage `shrink` times the picture's size.
        camera: The camera of the view.
        coat: The animal's coat.
        marks: Seed of its individual markings.
        light: Light of the time of day.
        shrink: Supersampling factor.
    """
    h, w = view.part.shape
    mask = view.part >= 0
    colour = np.zeros((h, w, 3), np.float32)
    rows, columns = np.nonzero(mask)
    if len(rows):
        f = camera.focal(h)
        y0, y1, x0, x1 = max(rows.min() - 4, 0), rows.max() + 5, max(columns.min() - 4, 0), columns.max() + 5
        crop = mask[y0:y1, x0:x1]
        near = float(np.median(view.depth[mask]))
        normal = _normals(view.depth[y0:y1, x0:x1], crop, near / f)[crop]
        depth = view.depth[mask]
        right, up, forward = camera.axes()
        world = camera.position() + depth[:, None] * (
            forward + ((columns + 0.5 - w / 2) / f)[:, None] * right - ((rows + 0.5 - h / 2) / f)[:, None] * up
        )
        part = view.part[mask]
        base = albedo(puppet, coat, part, puppet.local(part, world), marks)
        side = -1.0 if light.slope[0] > 0 else 1.0
        direction = np.array([side * 0.45, 0.72, 0.62])
        key = np.clip(normal @ (direction / np.linalg.norm(direction)), 0, 1)[:, None]
        sky = (0.5 + 0.5 * normal[:, 1])[:, None]
        # Legs of the far side stand in the body's shade, which also tells them from the near ones.
        far = np.clip((depth - near - 0.02) / 0.45, 0, 1)[:, None]
        shade = (key * np.array(light.key) + sky * np.array(light.fill) + (1 - sky) * np.array(light.bounce)) * (
            1 - 0.42 * far
        )
        rim = np.clip(1 - normal[:, 2:3], 0, 1) ** 2 * np.clip(normal[:, 1:2] + 0.3, 0, 1)
        colour[mask] = np.clip(base * shade + rim * np.array(light.rim), 0, 1)
    alpha = mask.astype(np.float32)
    size = (w // shrink, h // shrink)
    return Layer(
        cv2.resize(colour, size, interpolation=cv2.INTER_AREA), cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    )


def shadow(alpha: np.ndarray, camera: Camera, plane: float, light: Light) -> np.ndarray:
    """Soft cast shadow: the animal taken for a card standing in its plane.

    Args:
        alpha: Coverage of the animal (h, w) in [0, 1].
        camera: The camera.
        plane: Depth y of the animal, metres.
        light: Whose `slope` and strength to use.

    Returns:
        Factor (h, w) by which to multiply the ground.
    """
    size = alpha.shape
    gx, gy = camera.ground(size)
    across, away = light.slope
    z = (gy - plane) / away
    x = gx - z * across
    valid = np.isfinite(z) & (z >= -0.05)
    points = np.stack([x, np.full_like(x, plane), np.maximum(z, 0)], axis=-1)
    points[~valid] = 0
    pixel = camera.project(points.reshape(-1, 3), size).reshape(*size, 2).astype(np.float32) - 0.5
    pixel[~valid] = -10
    cast = cv2.remap(alpha.astype(np.float32), pixel[..., 0], pixel[..., 1], cv2.INTER_LINEAR)
    return 1 - light.shadow * cv2.GaussianBlur(cast, (0, 0), 0.8)
