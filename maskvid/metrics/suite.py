"""Every metric of a set of videos at once, with one pass of each encoder per clip."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar, get_args

import torch
import torch.distributed as dist
from torch.nn import functional as F

from maskvid.errors import UserError
from maskvid.metrics.background import BackgroundPSNR
from maskvid.metrics.base import ClipMean
from maskvid.metrics.consistency import FrameConsistency, Pairs
from maskvid.metrics.diversity import Diversity
from maskvid.metrics.identity import ForegroundColour, ForegroundLook
from maskvid.metrics.mask import BoundaryF, CentroidDistance, MaskCoverage, MaskIoU
from maskvid.metrics.motion import DynamicDegree, FlowMagnitude
from maskvid.metrics.subjects import LEAST, subject_crops
from maskvid.metrics.text import TextAlignment
from maskvid.metrics.warp import WarpError

MASKS: dict[str, Callable[..., ClipMean]] = {
    "mask_iou": MaskIoU,
    "boundary_f": BoundaryF,
    "mask_coverage": MaskCoverage,
    "centroid_distance": CentroidDistance,
}
CONSISTENCY: dict[str, Callable[..., ClipMean]] = {
    f"frame_consistency_{pairs}": partial(FrameConsistency, pairs) for pairs in get_args(Pairs)
}
IDENTITY: dict[str, Callable[..., ClipMean]] = {
    "foreground_look": ForegroundLook,
    "foreground_colour": ForegroundColour,
}
MOTION: dict[str, Callable[..., ClipMean]] = {
    "flow_magnitude": FlowMagnitude,
    "dynamic_degree": DynamicDegree,
    "warp_error": WarpError,
}
OTHERS: dict[str, Callable[..., ClipMean]] = {
    "text_alignment": TextAlignment,
    **CONSISTENCY,
    **IDENTITY,
    **MOTION,
    "subject_consistency": partial(FrameConsistency, "vbench"),
    "background_psnr": BackgroundPSNR,
    "reference_mask_iou": MaskIoU,
    "diversity": Diversity,
}
METRICS = (*MASKS, *OTHERS)
"""Names of all metrics, in the order of tables."""

JUDGED = 0.5
"""Mask IoU of real clips with their own masks below which a segmenter does not know what it is shown."""

T = TypeVar("T")
CHUNK = 32  # frames per encoder call, so that a long video costs no more memory than a short one


class Images(Protocol):
    """What the suite asks of an image encoder."""

    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Embed float (n, 3, h, w) in [-1, 1] as (n, d)."""


class ImagesAndTexts(Images, Protocol):
    """What the suite asks of CLIP; `maskvid.judges.clip_encoder.ClipEncoder` is one."""

    def texts(self, texts: list[str]) -> torch.Tensor:
        """Embed n captions as (n, d)."""


class Detect(Protocol):
    """What the suite asks of a segmenter."""

    def __call__(self, frames: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Frames float (f, 3, h, w) in [-1, 1] of one video -> foreground probability (f, 1, h, w).

        Of the requested masks (f, 1, h, w) a tracker may look at the first, which it follows.
        """


class Encoders(Protocol):
    """The pretrained networks that judge videos. Hold them outside any module, or they enter its checkpoint."""

    @property
    def device(self) -> torch.device:
        """Where they are."""

    @property
    def clip(self) -> ImagesAndTexts:
        """Image and text encoder."""

    @property
    def segmenter(self) -> Detect:
        """Finds the foreground."""

    @property
    def dino(self) -> Images | None:
        """Image encoder for subject consistency, if there is one."""


class VideoMetrics:
    """Metrics of one set of videos: `update` clip by clip, `compute` the means, `rows` for a table of clips.

    Not an `nn.Module`, and shared rather than copied, so that a callback or module may hold one without the encoders
    entering checkpoints, parameters or averages.

    Mask scores leave out the first `given_frames` frames of every clip, which the model was given; all other metrics
    count every frame, as the tables they are compared with do. Whatever a clip does not come with (masks, a prompt, a
    source, a second video of the same clip) is not measured.
    """

    def __init__(self, encoders: Encoders, *, given_frames: int = 1) -> None:
        """Start without clips.

        Args:
            encoders: CLIP, segmenter and perhaps DINO.
            given_frames: Leading frames the model was given; 0 for videos made without a first frame, and to score
                real clips whole.
        """
        self.encoders = encoders
        self._rows: list[dict[str, Any]] = []
        self._looks: dict[str, list[torch.Tensor]] = {}
        self._metrics: dict[str, ClipMean] = {name: metric(given_frames=given_frames) for name, metric in MASKS.items()}
        self._metrics |= {name: metric() for name, metric in OTHERS.items()}
        for metric in self._metrics.values():
            metric.to(encoders.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> VideoMetrics:
        """Share: a copy would duplicate the encoders."""
        return self

    @torch.no_grad()
    def update(
        self,
        frames: torch.Tensor,
        masks: torch.Tensor | None = None,
        prompt: str | None = None,
        *,
        clip_id: str | None = None,
        seed: int = 0,
        source: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        """Score one video.

        Args:
            frames: float (f, 3, h, w) in [-1, 1], f >= 2.
            masks: float (f, 1, h, w) in [0, 1], requested.
            prompt: Caption the video was made from.
            clip_id: Name in the table; None numbers the clips of this process.
            seed: Seed of the video; videos of one clip and several seeds are measured for diversity.
            source: float (f, 3, h, w) in [-1, 1], the clip that was edited.
            reference: float (f, 3, h, w) in [-1, 1], the real clip that the masks were taken from, if it is known: it
                tells whether the segmenter can judge.

        Returns:
            The clip's row: `clip`, `seed`, `prompt`, `frames` and its scores.

        Raises:
            UserError: Shapes that do not fit, or a video given twice, which would count double.
        """
        wanted = (len(frames), 1, *frames.shape[2:])
        if frames.ndim != 4 or frames.shape[1] != 3 or (masks is not None and tuple(masks.shape) != wanted):
            given = "none" if masks is None else tuple(masks.shape)
            raise UserError(
                f"frames has shape {tuple(frames.shape)} and masks {given}; "
                "give one video as (f, 3, h, w) and its masks as (f, 1, h, w)"
            )
        clip_id = str(len(self._rows)) if clip_id is None else clip_id
        _refuse_repeats([*((row["clip"], row["seed"]) for row in self._rows), (clip_id, seed)])
        device, encoders = self.encoders.device, self.encoders
        frames = frames.to(device)
        looks = torch.cat([encoders.clip.images(chunk) for chunk in frames.split(CHUNK)])
        inputs: dict[str, tuple[torch.Tensor, ...]] = dict.fromkeys(CONSISTENCY, (looks,))
        inputs |= dict.fromkeys(MOTION, (frames,))
        if masks is not None:
            masks = masks.to(device)
            inputs |= dict.fromkeys(MASKS, (encoders.segmenter(frames, masks).float(), masks))
            solid = (masks >= 0.5).sum((1, 2, 3)) >= LEAST
            if solid[0] and solid[1:].any():
                crops, _ = subject_crops(frames, masks)
                found = torch.cat([encoders.clip.images(chunk) for chunk in crops.split(CHUNK)])
                inputs |= {"foreground_look": (found,), "foreground_colour": (frames, masks)}
        if prompt:
            inputs["text_alignment"] = (looks, encoders.clip.texts([prompt])[0])
        if encoders.dino is not None:
            inputs["subject_consistency"] = (torch.cat([encoders.dino.images(chunk) for chunk in frames.split(CHUNK)]),)
        if source is not None and masks is not None:
            inputs["background_psnr"] = (frames, source, masks)
        if reference is not None and masks is not None:
            inputs["reference_mask_iou"] = (encoders.segmenter(reference.to(device).float(), masks).float(), masks)
        # Calling a metric counts the clip and returns its score.
        scores = {name: float(metric(*inputs[name])) for name, metric in self._metrics.items() if name in inputs}
        row = {"clip": clip_id, "seed": seed, "prompt": prompt or "", "frames": len(frames)} | scores
        self._rows.append(row)
        self._looks.setdefault(clip_id, []).append(F.normalize(looks.float().mean(0, keepdim=True), dim=-1))
        return row

    def compute(self) -> dict[str, float]:
        """Mean over the clips of all ranks, by name; a metric that nothing was measured for is left out.

        A collective operation: call it on every rank.
        """
        diversity = self._metrics["diversity"]
        diversity.reset()
        for videos in self._looks.values():
            if len(videos) > 1:
                diversity.update(videos)
        mine = [name for name, metric in self._metrics.items() if metric.clips > 0]
        measured = {name for names in all_gather(mine) for name in names}
        means = {name: float(metric.compute()) for name, metric in self._metrics.items() if name in measured}
        known = means.get("reference_mask_iou", 1.0)
        if known < JUDGED:
            warnings.warn(
                f"the segmenter finds the foreground of the real clips with a mask IoU of {known:.2f} by their own "
                "masks: it does not know what it is shown, and mask scores say nothing here. Name another, for example "
                "metrics.segmenter=facebook/sam2.1-hiera-small",
                stacklevel=2,
            )
        return means

    def rows(self) -> list[dict[str, Any]]:
        """One row per video of all ranks, sorted by clip and seed: `clip`, `seed`, `prompt`, `frames` and its scores.

        A collective operation: call it on every rank.
        """
        rows = [row for part in all_gather(self._rows) for row in part]
        _refuse_repeats([(row["clip"], row["seed"]) for row in rows])
        return sorted(rows, key=lambda row: (row["clip"], row["seed"]))


def all_gather(value: T) -> list[T]:
    """The value of every rank, in order; of this process alone where nothing is distributed. A collective."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def _refuse_repeats(videos: list[tuple[str, int]]) -> None:
    repeated = sorted({clip for clip, seed in videos if videos.count((clip, seed)) > 1})
    if repeated:
        raise UserError(
            f"clip_id {', '.join(repeated)} was scored twice and would count double; name every video of a set "
            "differently, and shard clips over ranks without padding"
        )
