"""Every metric of a set of generated videos at once, with one pass of each encoder per clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean
from maskvid.metrics.consistency import FrameConsistency
from maskvid.metrics.mask import BoundaryF, MaskIoU
from maskvid.metrics.motion import FlowMagnitude
from maskvid.metrics.text import TextAlignment

METRICS = (
    "mask_iou",
    "boundary_f",
    "text_alignment",
    "frame_consistency_all_pairs",
    "frame_consistency_adjacent",
    "flow_magnitude",
)
T = TypeVar("T")
CHUNK = 32  # frames per encoder call, so that a long video costs no more memory than a short one


class ImageTextEncoder(Protocol):
    """What the suite asks of CLIP; `maskvid.metrics.encoders.ClipEncoder` is one."""

    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Embed float (n, 3, h, w) in [-1, 1] as (n, d)."""

    def texts(self, texts: list[str]) -> torch.Tensor:
        """Embed n captions as (n, d)."""


class Encoders(Protocol):
    """The pretrained networks that judge videos. Hold them outside any module, or they enter its checkpoint."""

    @property
    def device(self) -> torch.device:
        """Where both encoders are."""

    @property
    def clip(self) -> ImageTextEncoder:
        """Image and text encoder."""

    @property
    def segmenter(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Frames float (n, 3, h, w) in [-1, 1] -> foreground probability (n, 1, h, w)."""


class VideoMetrics:
    """Metrics of one set of videos: `update` clip by clip, `compute` the means, `rows` for a table of clips.

    Not an `nn.Module`, and shared rather than copied, so that a callback or module may hold one without the encoders
    entering checkpoints, parameters or averages.

    Mask scores leave out the first `given_frames` frames of every clip, which the model was given; text alignment,
    consistency and flow count all frames, as the tables they are compared with do.
    """

    def __init__(self, encoders: Encoders, *, given_frames: int = 1) -> None:
        """Start without clips.

        Args:
            encoders: CLIP and segmenter.
            given_frames: Leading frames the model was given; 0 for videos made without a first frame, and to score
                real clips whole.
        """
        self.encoders = encoders
        self._rows: list[dict[str, Any]] = []
        self._text = TextAlignment()
        self._pairs = FrameConsistency("all_pairs")
        self._adjacent = FrameConsistency("adjacent")
        self._iou = MaskIoU(given_frames=given_frames)
        self._boundary = BoundaryF(given_frames=given_frames)
        self._flow = FlowMagnitude()
        for metric in self._metrics().values():
            metric.to(encoders.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> VideoMetrics:
        """Share: a copy would duplicate the encoders."""
        return self

    @torch.no_grad()
    def update(
        self, frames: torch.Tensor, masks: torch.Tensor, prompt: str, *, clip_id: str | None = None
    ) -> dict[str, Any]:
        """Score one clip.

        Args:
            frames: float (f, 3, h, w) in [-1, 1], generated.
            masks: float (f, 1, h, w) in [0, 1], requested.
            prompt: Caption the video was made from.
            clip_id: Name in the table; None numbers the clips of this process.

        Returns:
            The clip's row: `clip`, `prompt` and its scores.

        Raises:
            UserError: Shapes that do not fit, or a clip given twice, which would count double.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or masks.shape != (len(frames), 1, *frames.shape[2:]):
            raise UserError(
                f"frames has shape {tuple(frames.shape)} and masks {tuple(masks.shape)}; "
                "give one video as (f, 3, h, w) and its masks as (f, 1, h, w)"
            )
        clip_id = str(len(self._rows)) if clip_id is None else clip_id
        _refuse_repeats([*(row["clip"] for row in self._rows), clip_id])
        device = self.encoders.device
        chunks = frames.to(device).split(CHUNK)
        images = torch.cat([self.encoders.clip.images(chunk) for chunk in chunks])
        text = self.encoders.clip.texts([prompt])[0]
        detected = torch.cat([self.encoders.segmenter(chunk) for chunk in chunks]).float()
        requested = masks.to(device)
        scores = {  # calling a metric counts the clip and returns its score
            "mask_iou": self._iou(detected, requested),
            "boundary_f": self._boundary(detected, requested),
            "text_alignment": self._text(images, text),
            "frame_consistency_all_pairs": self._pairs(images),
            "frame_consistency_adjacent": self._adjacent(images),
            "flow_magnitude": self._flow(frames),
        }
        row = {"clip": clip_id, "prompt": prompt} | {name: float(value) for name, value in scores.items()}
        self._rows.append(row)
        return row

    def compute(self) -> dict[str, float]:
        """Mean over the clips of all ranks, by name in `METRICS`; NaN when there were none.

        A collective operation: call it on every rank.
        """
        return {name: float(metric.compute()) for name, metric in self._metrics().items()}

    def rows(self) -> list[dict[str, Any]]:
        """One row per clip of all ranks, sorted by clip: `clip`, `prompt` and its scores.

        A collective operation: call it on every rank.
        """
        rows = [row for part in all_gather(self._rows) for row in part]
        _refuse_repeats([row["clip"] for row in rows])
        return sorted(rows, key=lambda row: row["clip"])

    def reset(self) -> None:
        """Forget all clips."""
        self._rows = []
        for metric in self._metrics().values():
            metric.reset()

    def _metrics(self) -> dict[str, ClipMean]:
        metrics = (self._iou, self._boundary, self._text, self._pairs, self._adjacent, self._flow)
        return dict(zip(METRICS, metrics, strict=True))


def all_gather(value: T) -> list[T]:
    """The value of every rank, in order; of this process alone where nothing is distributed. A collective."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def _refuse_repeats(clips: list[str]) -> None:
    repeated = sorted({clip for clip in clips if clips.count(clip) > 1})
    if repeated:
        raise UserError(
            f"clip_id {', '.join(repeated)} was scored twice and would count double; name every video of a set "
            "differently, and shard clips over ranks without padding"
        )
