"""The pinhole camera: where points of the world fall in the picture and where pixels meet the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FOVY = 30.0
"""Vertical field of view, degrees; narrow, so that animals near the border are not stretched."""


@dataclass(frozen=True)
class Camera:
    """A camera that looks along +y, pitched down.

    Attributes:
        x: Position across, metres.
        distance: Horizontal distance to the plane y = 0 in which animals move, metres.
        height: Height above the ground, metres.
        pitch: Angle below the horizontal, degrees.
    """

    x: float
    distance: float
    height: float
    pitch: float

    @staticmethod
    def focal(height: int) -> float:
        """Focal length in pixels for a picture of `height` rows."""
        return 0.5 * height / math.tan(math.radians(FOVY / 2))

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors right, up and forward."""
        e = math.radians(self.pitch)
        return np.array([1.0, 0, 0]), np.array([0, math.sin(e), math.cos(e)]), np.array([0, math.cos(e), -math.sin(e)])

    def position(self) -> np.ndarray:
        """Where the camera stands (3,)."""
        return np.array([self.x, -self.distance, self.height])

    def project(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Pixel coordinates (n, 2) as (column, row) of world points (n, 3) in a picture of `size` (h, w)."""
        right, up, forward = self.axes()
        d = points - self.position()
        depth = d @ forward
        f = self.focal(size[0])
        return np.stack([size[1] / 2 + f * (d @ right) / depth, size[0] / 2 - f * (d @ up) / depth], axis=1)

    def horizon(self, height: int) -> float:
        """Row of the horizon in a picture of `height` rows."""
        return height / 2 - self.focal(height) * math.tan(math.radians(self.pitch))

    def ground(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """World x (h, w) and y (h, w) where pixels meet z = 0; NaN above the horizon."""
        h, w = size
        f = self.focal(h)
        right, up, forward = self.axes()
        column = (np.arange(w) + 0.5 - w / 2) / f
        row = (np.arange(h) + 0.5 - h / 2) / f
        ray_z = forward[2] - row * up[2]
        ray_y = forward[1] - row * up[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(ray_z < -1e-3, -self.height / ray_z, np.nan)
        y = -self.distance + t * ray_y
        return self.x + t[:, None] * column[None, :], np.repeat(y[:, None], w, axis=1)


def from_rows(*, distance: float, horizon: float, foot: float, x: float = 0.0) -> Camera:
    """A camera by what one sees.

    Args:
        distance: Horizontal distance to the animal's plane, metres.
        horizon: Row of the horizon as a share of the picture's height.
        foot: Row at which an animal's feet stand, as a share of the picture's height; below the horizon.
        x: Position across, metres.
    """
    f = 0.5 / math.tan(math.radians(FOVY / 2))  # in picture heights
    pitch = math.atan((0.5 - horizon) / f)
    down = pitch + math.atan((foot - 0.5) / f)
    return Camera(x, distance, distance * math.tan(down), math.degrees(pitch))
