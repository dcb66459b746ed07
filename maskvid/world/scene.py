"""An animal on MuJoCo's stage: set its joints, read where its pixels are.

MuJoCo gives the kinematics and, for every pixel, which part is seen and how far away it is. Light and coat are
computed from these two maps (`coats`, `shading`), so there are no seams between parts and no shadow artefacts, and
the mask is exact.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

try:
    import mujoco
except ImportError as error:
    raise ImportError("rendering the embedded world needs MuJoCo: pip install 'maskvid[world]'") from error
import numpy as np

from maskvid.world.anatomy import bodies, mjcf, part_points
from maskvid.world.camera import Camera
from maskvid.world.gaits import GAITS, pose
from maskvid.world.species import BUILDS


@dataclass(frozen=True)
class Stance:
    """Where an animal is and what it does.

    Attributes:
        x: Position across the picture, metres.
        y: Position in depth, metres; away from the camera is positive.
        heading: Angle of its nose, degrees: 0 faces right in the picture, 180 left, 90 away from the camera.
        gait: Walk, trot or gallop.
        phase: Phase of the stride, in strides.
        strength: 1 moves fully, 0 stands.
        hover: Height of the feet above the ground in metres (a jump).
        tilt: Extra pitch of the trunk in degrees, nose up positive.
    """

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    gait: str = "walk"
    phase: float = 0.0
    strength: float = 1.0
    hover: float = 0.0
    tilt: float = 0.0


@dataclass
class View:
    """What the camera sees of an animal.

    Attributes:
        part: Index into `Puppet.roles` per pixel (h, w), -1 where there is no animal.
        depth: Distance along the optical axis (h, w), metres.
    """

    part: np.ndarray
    depth: np.ndarray


class Puppet:
    """One species on a stage of fixed size.

    Args:
        species: A name of `captions.SPECIES`.
        size: Height and width of the stage in pixels.
    """

    def __init__(self, species: str, size: tuple[int, int]) -> None:
        """Compile the model and open an off-screen renderer."""
        self.species = species
        self.size = size
        self.build = BUILDS[species]
        skeleton = bodies(self.build, "coat" if species in ("dog", "elephant") else "hoof")
        self.model = mujoco.MjModel.from_xml_string(mjcf(skeleton))
        self.data = mujoco.MjData(self.model)
        self.renderer = mujoco.Renderer(self.model, *size)
        self.roles: list[str] = []
        self.body_names = [body.name for body in skeleton]
        self.part_body = np.zeros(self.model.ngeom, dtype=np.int64)
        roles = {f"{b.name}.{k}": p.role for b in skeleton for k, p in enumerate(b.parts)}
        for geom in range(self.model.ngeom):
            self.roles.append(roles[self.model.geom(geom).name])
            self.part_body[geom] = self.model.geom_bodyid[geom]
        self._points = [
            (self.model.body(b.name).id, np.concatenate([part_points(p) for p in b.parts])) for b in skeleton
        ]
        self.leg_length = sum(self.build.fore.lengths)

    def place(self, stance: Stance) -> None:
        """Set every joint; the lowest foot stands on the ground, lifted by gait and jump."""
        gait = GAITS[stance.gait]
        angles = pose(gait, stance.phase, self.build.stride, stance.strength)
        lift = angles.pop("lift") * self.leg_length
        angles["pitch"] += stance.tilt
        angles["yaw"] = stance.heading
        qpos = self.data.qpos
        qpos[:] = 0
        for name, angle in angles.items():
            joint = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_JOINT, name)
            if joint >= 0:
                qpos[self.model.jnt_qposadr[joint]] = np.radians(angle)
        qpos[0], qpos[1] = stance.x, stance.y
        mujoco.mj_kinematics(self.model, self.data)
        qpos[2] = -self.points()[:, 2].min() + lift + stance.hover
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def points(self) -> np.ndarray:
        """Points (n, 3) in the world whose hull holds the animal as placed."""
        return np.concatenate([p @ self.data.xmat[i].reshape(3, 3).T + self.data.xpos[i] for i, p in self._points])

    def feet(self) -> dict[str, np.ndarray]:
        """The lowest point (3,) of each leg in the world, metres."""
        lowest = {}
        for body, points in self._points:
            name = self.model.body(body).name
            if name.endswith("_lower"):
                world = points @ self.data.xmat[body].reshape(3, 3).T + self.data.xpos[body]
                lowest[name[:2]] = world[world[:, 2].argmin()]
        return lowest

    def foot_heights(self) -> dict[str, float]:
        """Height of the lowest point of each leg above the ground, metres."""
        return {leg: float(point[2]) for leg, point in self.feet().items()}

    def view(self, camera: Camera) -> View:
        """Render which part is seen at each pixel, and its depth."""
        eye = mujoco.MjvCamera()
        eye.type = mujoco.mjtCamera.mjCAMERA_FREE
        reach = camera.distance
        eye.lookat[:] = camera.position() + reach * camera.axes()[2]
        eye.distance, eye.azimuth, eye.elevation = reach, 90.0, -camera.pitch
        self.renderer.disable_depth_rendering()
        self.renderer.enable_segmentation_rendering()
        self.renderer.update_scene(self.data, eye)
        part = self.renderer.render()[..., 0].astype(np.int32)
        self.renderer.disable_segmentation_rendering()
        self.renderer.enable_depth_rendering()
        self.renderer.update_scene(self.data, eye)
        return View(part, self.renderer.render().copy())

    def local(self, part: np.ndarray, world: np.ndarray) -> np.ndarray:
        """World points (n, 3) on parts (n,) in the coordinates of the bodies these belong to."""
        body = self.part_body[part]
        shifted = world - self.data.xpos[body]
        return np.einsum("ni,nij->nj", shifted, self.data.xmat[body].reshape(-1, 3, 3))


@functools.cache
def puppet(species: str, size: tuple[int, int]) -> Puppet:
    """The one puppet of a species at a size; models and renderers are costly to make."""
    return Puppet(species, size)
