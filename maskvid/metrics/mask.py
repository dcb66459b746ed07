"""Mask adherence: does the generated foreground lie where the mask asked for it?

J and F follow Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (DAVIS,
CVPR 2016), section 5. Ours: frame 0 is *given* to the model, so a score that counted it would reward the input; by
default the first frame of every clip is left out (`given_frames=1`). Frames are averaged first, then clips.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean

THRESHOLD = 0.5
TOLERANCE = 0.008  # of the image diagonal, as in DAVIS


def mask_iou(detected: torch.Tensor, requested: torch.Tensor, *, given_frames: int = 1) -> torch.Tensor:
    """Region similarity J: mean over frames of intersection over union.

    A frame where nothing is detected but something was requested counts 0; both empty counts 1.

    Args:
        detected: float (f, 1, h, w) in [0, 1], foreground probability of the generated frames.
        requested: float (f, 1, h, w) in [0, 1], the mask given to the model. Both are cut at >= 0.5.
        given_frames: Leading frames that are not scored, because the model was given them; 0 scores all.

    Returns:
        Scalar in [0, 1].
    """
    first, second = _scored(detected, requested, given_frames)
    intersection = (first & second).sum((1, 2)).float()
    union = (first | second).sum((1, 2)).float()
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union)).mean()


def boundary_f(
    detected: torch.Tensor, requested: torch.Tensor, *, given_frames: int = 1, tolerance: float = TOLERANCE
) -> torch.Tensor:
    """Contour accuracy F: mean over frames of the F-measure between mask boundaries.

    A boundary pixel is matched when the other boundary passes within `tolerance` of the image diagonal, rounded up to
    whole pixels, at least one. When just one of the two masks is empty the frame counts 0; both empty counts 1.

    Args:
        detected: As in `mask_iou`.
        requested: As in `mask_iou`.
        given_frames: As in `mask_iou`.
        tolerance: Share of the image diagonal.

    Returns:
        Scalar in [0, 1].
    """
    first, second = _scored(detected, requested, given_frames)
    scores = [_frame_f(a, b, tolerance) for a, b in zip(first.cpu().numpy(), second.cpu().numpy(), strict=True)]
    return torch.tensor(scores, device=detected.device).mean()


def mask_coverage(detected: torch.Tensor, requested: torch.Tensor, *, given_frames: int = 1) -> torch.Tensor:
    """1 where a foreground is detected in more than half of the frames that ask for one, else 0.

    Over clips this is the share of videos in which the object appears at all (the sense of Peekaboo's *coverage*,
    arXiv 2312.07509; there a detector's box counts, here any pixel of the segmenter's). No frame that asks counts 1.

    Args:
        detected: As in `mask_iou`.
        requested: As in `mask_iou`.
        given_frames: As in `mask_iou`.

    Returns:
        Scalar, 0 or 1.
    """
    first, second = _scored(detected, requested, given_frames)
    asked = second.any(-1).any(-1)
    found = first.any(-1).any(-1)[asked].float()
    return (found.mean() > 0.5).float() if len(found) else torch.ones((), device=detected.device)


def centroid_distance(detected: torch.Tensor, requested: torch.Tensor, *, given_frames: int = 1) -> torch.Tensor:
    """Mean over frames of the distance between the masks' centroids, as a share of the picture's diagonal.

    A frame in which just one of the two masks is empty counts 1, the largest distance there can be, so that a video
    without its object cannot win; both empty counts 0. (Peekaboo's leaves such videos out.)

    Args:
        detected: As in `mask_iou`.
        requested: As in `mask_iou`.
        given_frames: As in `mask_iou`.

    Returns:
        Scalar in [0, 1]; lower is better.
    """
    first, second = _scored(detected, requested, given_frames)
    height, width = first.shape[-2:]
    places = torch.stack(
        torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1
    ).to(first.device, torch.float32)  # fmt: skip
    areas = [mask.sum((1, 2)).float() for mask in (first, second)]
    centroids = [
        torch.einsum("fhw,hwd->fd", mask.float(), places) / area.clamp(min=1)[:, None]
        for mask, area in zip((first, second), areas, strict=True)
    ]
    distance = (centroids[0] - centroids[1]).norm(dim=-1) / math.hypot(height, width)
    present = [area > 0 for area in areas]
    return torch.where(present[0] & present[1], distance, (present[0] ^ present[1]).float()).mean()


def boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels of a bool (h, w) mask that differ from their right, lower or lower right neighbour.

    The image border is no boundary: what leaves the picture has no contour there.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])


def _scored(detected: torch.Tensor, requested: torch.Tensor, given_frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    if detected.shape != requested.shape or detected.ndim != 4 or detected.shape[1] != 1:
        raise UserError(
            f"detected has shape {tuple(detected.shape)} and requested {tuple(requested.shape)}; "
            "both must be (f, 1, h, w)"
        )
    if not 0 <= given_frames < len(detected):
        raise UserError(f"given_frames is {given_frames}, which leaves none of {len(detected)} frames to score")
    scored = slice(given_frames, None)
    return detected[scored, 0] >= THRESHOLD, (requested[scored, 0] >= THRESHOLD).to(detected.device)


def _frame_f(detected: np.ndarray, requested: np.ndarray, tolerance: float) -> float:
    if not (detected.any() and requested.any()):
        return float(detected.any() == requested.any())
    edge, wanted = boundary(detected), boundary(requested)
    if not (edge.any() and wanted.any()):  # a mask that fills the picture has no contour
        return float(edge.any() == wanted.any())
    radius = max(1, math.ceil(tolerance * math.hypot(*detected.shape)))
    offsets = np.arange(-radius, radius + 1)
    disk = (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).astype(np.uint8)
    precision = (edge & cv2.dilate(wanted.astype(np.uint8), disk).astype(bool)).sum() / edge.sum()
    recall = (wanted & cv2.dilate(edge.astype(np.uint8), disk).astype(bool)).sum() / wanted.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


class MaskIoU(ClipMean):
    """`mask_iou`, averaged over clips."""

    def __init__(self, *, given_frames: int = 1) -> None:
        """Choose how many leading frames are not scored."""
        super().__init__()
        self.given_frames = given_frames

    def update(self, detected: torch.Tensor, requested: torch.Tensor) -> None:
        """Count one clip: foreground probability and requested mask, both (f, 1, h, w)."""
        self.add(mask_iou(detected, requested, given_frames=self.given_frames))


class BoundaryF(ClipMean):
    """`boundary_f`, averaged over clips."""

    def __init__(self, *, given_frames: int = 1, tolerance: float = TOLERANCE) -> None:
        """Choose how many leading frames are not scored, and the tolerance as a share of the diagonal."""
        super().__init__()
        self.given_frames = given_frames
        self.tolerance = tolerance

    def update(self, detected: torch.Tensor, requested: torch.Tensor) -> None:
        """Count one clip: foreground probability and requested mask, both (f, 1, h, w)."""
        self.add(boundary_f(detected, requested, given_frames=self.given_frames, tolerance=self.tolerance))


class MaskCoverage(ClipMean):
    """`mask_coverage`, averaged over clips."""

    def __init__(self, *, given_frames: int = 1) -> None:
        """Choose how many leading frames are not scored."""
        super().__init__()
        self.given_frames = given_frames

    def update(self, detected: torch.Tensor, requested: torch.Tensor) -> None:
        """Count one clip: foreground probability and requested mask, both (f, 1, h, w)."""
        self.add(mask_coverage(detected, requested, given_frames=self.given_frames))


class CentroidDistance(ClipMean):
    """`centroid_distance`, averaged over clips; lower is better."""

    higher_is_better = False

    def __init__(self, *, given_frames: int = 1) -> None:
        """Choose how many leading frames are not scored."""
        super().__init__()
        self.given_frames = given_frames

    def update(self, detected: torch.Tensor, requested: torch.Tensor) -> None:
        """Count one clip: foreground probability and requested mask, both (f, 1, h, w)."""
        self.add(centroid_distance(detected, requested, given_frames=self.given_frames))
