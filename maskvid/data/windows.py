"""Windows of a few frames, cut from encoded clips and put together to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from maskvid.clip import ClipBatch
from maskvid.data.cache import EncodedData
from maskvid.data.checked import CheckedClip, Requirements
from maskvid.data.sampler import clip_at, generator_at
from maskvid.data.zooms import Zoom, zoomed_masks
from maskvid.masks.perturb import sliding_box
from maskvid.masks.rough import roughened
from maskvid.masks.stack import MaskStack
from maskvid.masks.video import to_float
from maskvid.media.decode import frames_at, frames_to_float
from maskvid.media.times import num_starts, window


@dataclass(frozen=True)
class EncodedWindow:
    """A window that is shown larger, see `maskvid.data.zooms`.

    Attributes:
        masks: uint8 (H, W) for each frame.
        latents: float32 (f, c, h, w).
        flipped: Latents of the mirrored frames, or None where flips are off.
    """

    masks: MaskStack
    latents: torch.Tensor
    flipped: torch.Tensor | None = None


@dataclass(frozen=True)
class EncodedClip:
    """A whole clip as the windows need it.

    Attributes:
        id: Unique within its data set.
        captions: The prompts.
        masks: uint8 (H, W) for each frame, 255 is foreground; several are taken by their indices.
        times: float64 (f,), seconds at which the frames are shown.
        texts: Of each prompt `text` (n, d), `subject` (n), and perhaps `pooled` (p).
        latents: float32 (f, c, h, w).
        flipped: Latents of the mirrored frames, or None where flips are off.
        frames: uint8 (frames of the first window, H, W, 3), or None in training.
        zoomed: Windows that are shown larger.
    """

    id: str
    captions: list[str]
    masks: MaskStack | np.ndarray
    times: np.ndarray
    texts: list[dict[str, torch.Tensor]]
    latents: torch.Tensor
    flipped: torch.Tensor | None = None
    frames: np.ndarray | None = None
    zoomed: list[EncodedWindow] = field(default_factory=list)


def encode_training_clip(
    clip: CheckedClip, encoded: EncodedData, *, flip: bool, zooms: Sequence[Zoom] = ()
) -> EncodedClip:
    """Everything training draws from, without the frames themselves; what the cache lacks is encoded into it."""
    triple = clip.triple
    return EncodedClip(
        id=triple.id,
        captions=[prompt.text for prompt in triple.prompts],
        masks=clip.masks,
        times=clip.times,
        texts=[encoded.text(prompt) for prompt in triple.prompts],
        latents=encoded.latents(triple.video),
        flipped=encoded.latents(triple.video, flip=True) if flip else None,
        zoomed=[
            EncodedWindow(
                masks=MaskStack(zoomed_masks(clip, zoom, encoded.height, encoded.width)),
                latents=encoded.zoomed(clip, zoom),
                flipped=encoded.zoomed(clip, zoom, flip=True) if flip else None,
            )
            for zoom in zooms
        ],
    )


def encode_validation_clip(clip: CheckedClip, encoded: EncodedData, requirements: Requirements) -> EncodedClip:
    """The first window of a clip, with its frames for the metrics."""
    triple = clip.triple
    chosen = window(clip.times, 0, requirements.num_frames, requirements.fps)
    frames = frames_at(triple.video, np.asarray(chosen), requirements.height, requirements.width)
    return EncodedClip(
        id=triple.id,
        captions=[triple.caption],
        masks=clip.masks[chosen],
        times=clip.times[chosen],
        texts=[encoded.text(triple.prompt)],
        latents=encoded.latents(triple.video)[chosen],
        frames=frames,
    )


class TrainingWindows(Dataset[ClipBatch]):
    """A window of a clip by global position: all that is drawn is a function of (seed, position)."""

    def __init__(
        self,
        clips: list[EncodedClip],
        *,
        num_frames: int,
        fps: float,
        seed: int,
        prompt_dropout: float,
        empty_text: dict[str, torch.Tensor],
        zoom: float = 0.0,
        box_masks: float = 0.0,
        rough: bool = False,
    ) -> None:
        """Set up a data set.

        Args:
            clips: Whole clips.
            num_frames: Frames in a window.
            fps: Its frames a second.
            seed: The run's seed.
            prompt_dropout: Share of windows that get the empty prompt.
            empty_text: Embedding of the empty prompt.
            zoom: Share of windows in which the foreground is shown larger.
            box_masks: Share of windows whose masks are reduced to a sliding box.
            rough: Whether all masks are made imprecise, see `maskvid.masks.rough`.
        """
        self.clips = clips
        self.num_frames = num_frames
        self.fps = fps
        self.seed = seed
        self.prompt_dropout = prompt_dropout
        self.zoom = zoom
        self.box_masks = box_masks
        self.rough = rough
        self.empty_text = empty_text

    def __getitem__(self, position: int) -> ClipBatch:
        """The batch of one clip at a global position."""
        clip = self.clips[clip_at(self.seed, position, len(self.clips))]
        generator = generator_at(self.seed, position)
        starts = num_starts(clip.times, self.num_frames, self.fps)
        # always the same draws, so that switching one of them off leaves the others as they were
        start = int(generator.integers(starts))
        flip = generator.random() < 0.5 and clip.flipped is not None
        dropped = generator.random() < self.prompt_dropout
        boxed = generator.random() < self.box_masks
        shown: EncodedClip | EncodedWindow = clip
        chosen = window(clip.times, start, self.num_frames, self.fps)
        zoomed = generator.random() < self.zoom
        if zoomed and clip.zoomed:
            shown = clip.zoomed[int(generator.integers(len(clip.zoomed)))]
            chosen = list(range(self.num_frames))
        masks, latents = to_float(shown.masks[chosen]), shown.latents
        if flip and shown.flipped is not None:
            masks, latents = masks.flip(-1), shown.flipped
        masks = sliding_box(masks) if boxed else masks
        which = int(generator.integers(len(clip.captions))) if len(clip.captions) > 1 else 0
        caption, text = ("", self.empty_text) if dropped else (clip.captions[which], clip.texts[which])
        masks, roughness = roughened(masks, generator) if self.rough else (masks, None)
        batch = replace(_one(clip.id, caption, text, masks, latents[chosen]), positions=[position])
        return batch if roughness is None else replace(batch, roughness=torch.tensor([roughness]))


class ValidationWindows(Dataset[ClipBatch]):
    """The first window of each clip, with frames."""

    def __init__(self, clips: list[EncodedClip]) -> None:
        """Use clips from `encode_validation_clip`."""
        self.clips = clips

    def __len__(self) -> int:
        """Number of clips in this rank's share."""
        return len(self.clips)

    def __getitem__(self, index: int) -> ClipBatch:
        """The batch of one clip."""
        clip = self.clips[index]
        if clip.frames is None:
            raise ValueError(f"validation clip {clip.id} was encoded without its frames")
        masks, frames = to_float(np.asarray(clip.masks)), frames_to_float(clip.frames)
        return _one(clip.id, clip.captions[0], clip.texts[0], masks, clip.latents, frames)


def collate(batches: list[ClipBatch]) -> ClipBatch:
    """Join batches of one clip; what one of them lacks, all of them lack."""

    def joined(name: str) -> torch.Tensor | None:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.cat(parts)

    return ClipBatch(
        ids=[name for batch in batches for name in batch.ids],
        prompts=[prompt for batch in batches for prompt in batch.prompts],
        masks=torch.cat([batch.masks for batch in batches]),
        text=torch.cat([batch.text for batch in batches]),
        subject=torch.cat([batch.subject for batch in batches]),
        latents=joined("latents"),
        frames=joined("frames"),
        pooled=joined("pooled"),
        roughness=joined("roughness"),
        positions=None if batches[0].positions is None else [p for batch in batches for p in batch.positions or []],
    )


def _one(
    name: str,
    prompt: str,
    text: dict[str, torch.Tensor],
    masks: torch.Tensor,
    latents: torch.Tensor,
    frames: torch.Tensor | None = None,
) -> ClipBatch:
    return ClipBatch(
        ids=[name],
        prompts=[prompt],
        masks=masks[None],
        text=text["text"][None],
        subject=text["subject"][None],
        latents=latents[None],
        frames=None if frames is None else frames[None],
        pooled=text["pooled"][None] if "pooled" in text else None,
    )
