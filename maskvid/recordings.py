"""Videos that are there already, with what is known of them, to be scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.progress import track

from maskvid.data.triples import Triple, read_triples
from maskvid.errors import UserError
from maskvid.files import expanded
from maskvid.masks.read import iter_masks
from maskvid.masks.video import read_masks
from maskvid.media.container import VIDEO_SUFFIXES
from maskvid.media.decode import decode_frames, frames_to_float, read_clip
from maskvid.media.frames import iter_frames
from maskvid.media.pictures import images_in
from maskvid.media.regular import is_folder
from maskvid.media.times import evenly, frame_times
from maskvid.prompt import SUBJECTS, parse_prompt
from maskvid.settings import FOLDER_FPS, MAX_FOREGROUND


@dataclass
class Recording:
    """A video to be scored.

    Attributes:
        clip_id: Its name without `-seed<n>`.
        seed: That n, else 0.
        frames: float (f, 3, h, w) in [-1, 1].
        masks: float (f, 1, h, w) in [0, 1], or None.
        prompt: Empty where there is none.
        source: float (f, 3, h, w) in [-1, 1], the clip it was edited from, or None.
    """

    clip_id: str
    seed: int
    frames: torch.Tensor
    masks: torch.Tensor | None
    prompt: str
    source: torch.Tensor | None


def read_recordings(config: DictConfig) -> Iterator[Recording]:
    """Read the videos that an evaluation names, one at a time.

    A folder is read in any layout of training data, but masks and captions may be missing; what `generate` and `edit`
    write is such a folder, and of a single video what lies beside it is taken where it is not given. A video is read at
    `height` and `width`, by default at the size that the masks beside it have, else that of the masks given, else its
    own.

    Raises:
        UserError: No such file, masks or prompt given for a folder, or sizes and frame counts that do not fit.
    """
    for triple, sized_by in track(_triples(config), "Scoring videos", transient=True):
        if triple.faults:
            raise UserError(f"{triple.video}: {'; '.join(triple.faults)}")
        if not triple.video.exists():
            raise UserError(f"videos: {triple.video} does not exist, though a caption or a line of metadata names it.")
        sized = iter_frames(triple.video) if sized_by is None else iter_masks(sized_by)
        if (first := next(sized, None)) is None:
            raise UserError(f"videos: {triple.video if sized_by is None else sized_by} holds no frames.")
        size = first.shape
        height, width = config.height or size[0], config.width or size[1]
        frames = frames_to_float(decode_frames(triple.video, height, width))
        masks, source = None, None
        times = frame_times(triple.video, len(frames), fps=triple.fps)
        times = evenly(len(frames), FOLDER_FPS) if times is None else times
        if triple.mask is not None:
            masks = read_masks(
                triple.mask, times, height, width, clock=times, mask_fps=config.mask_fps,
                max_foreground=config.max_foreground or MAX_FOREGROUND,
            )  # fmt: skip
        if config.source is not None:
            path = expanded(config.source)
            path = path / triple.video.name if path.is_dir() else path
            source, _ = read_clip(path, times, height, width, source_fps=config.source_fps)
        name, _, seed = triple.id.rpartition("-seed")
        known = name and seed.isdigit()
        yield Recording(
            clip_id=name if known else triple.id,
            seed=int(seed) if known else 0,
            frames=frames,
            masks=masks,
            prompt=triple.caption,
            source=source,
        )


def _triples(config: DictConfig) -> list[tuple[Triple, Path | None]]:
    """The videos with their masks, and the masks whose size each is scored at."""
    videos = expanded(config.videos)
    if is_folder(videos) and not _is_frame_folder(videos):
        if config.masks is not None or config.prompt is not None:
            raise UserError(
                f"videos={videos} is a folder, in which masks and captions lie beside the videos; masks= and prompt= "
                "go with a single video."
            )
        return [(triple, triple.mask) for triple in read_triples(videos)]
    if not videos.exists():
        raise UserError(f"videos={videos}: there is no such file or folder.")
    beside = _beside(videos)
    mask = beside.mask if config.masks is None else expanded(config.masks)
    if config.source is not None and mask is None:
        raise UserError("source: the background is compared with it outside the masks; give masks as well.")
    text = beside.caption if config.prompt is None else parse_prompt(config.prompt, most=SUBJECTS).text
    return [(replace(beside, mask=mask, caption=text), beside.mask or mask)]


def _beside(video: Path) -> Triple:
    """A single video with the masks and the caption that lie beside it, where some do."""
    masks, caption = video.with_suffix(".mask.npz"), video.with_suffix(".txt")
    text = caption.read_text(encoding="utf-8", errors="replace") if caption.is_file() else ""
    return Triple(video.stem, video, masks if masks.is_file() else None, parse_prompt(text, most=SUBJECTS).text)


def _is_frame_folder(folder: Path) -> bool:
    """Pictures alone are one video; beside videos they are their strips."""
    videos = any(path.suffix.lower() in VIDEO_SUFFIXES for path in folder.iterdir())
    return bool(images_in(folder)) and not videos and not (folder / "metadata.jsonl").exists()
