"""Every clip is checked before training; every rejected one is listed with its reasons."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from maskvid.data.triples import Triple, read_triples
from maskvid.errors import UserError
from maskvid.masks.faults import mask_faults
from maskvid.masks.read import iter_masks, mask_times
from maskvid.masks.stack import MaskStack
from maskvid.media.frames import measure
from maskvid.media.pictures import frame_number, images_in
from maskvid.media.resample import resize_crop
from maskvid.media.times import evenly, following, frame_times, num_starts, rate_of
from maskvid.prompt import Prompt
from maskvid.settings import Requirements

_LEAST_RATE = 0.95  # of a clip, to the windows' rate: 23.976 will do for 24


@dataclass(frozen=True)
class CheckedClip:
    """A clip that passed.

    Attributes:
        triple: Where it lies.
        masks: uint8 (height, width) for each frame of the video, 255 is foreground.
        times: float64 (f,), seconds at which each frame is shown, from the first on.
        order: int (f,), for each frame the number of its mask where there is not one for each, else None.
    """

    triple: Triple
    masks: MaskStack
    times: np.ndarray
    order: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        """Frames in the whole clip."""
        return len(self.masks)


@dataclass(frozen=True)
class Rejected:
    """A clip that did not pass, and why."""

    triple: Triple
    reasons: tuple[str, ...]


@dataclass
class Report:
    """Accepted and rejected clips by data set, printable as a table."""

    accepted: dict[str, list[CheckedClip]] = field(default_factory=dict)
    rejected: dict[str, list[Rejected]] = field(default_factory=dict)

    @property
    def num_rejected(self) -> int:
        """Rejected clips over all sets."""
        return sum(len(clips) for clips in self.rejected.values())

    def rejections(self) -> str:
        """One line per rejected clip."""
        return "\n".join(
            f"  {name}/{clip.triple.id} ({clip.triple.video}): {'; '.join(clip.reasons)}"
            for name, clips in self.rejected.items()
            for clip in clips
        )

    def table(self) -> Table:
        """A rich table with a row per clip. Cells are `Text`: captions may hold brackets."""
        total = sum(len(clips) for clips in self.accepted.values())
        table = Table(title=f"{total} clips accepted, {self.num_rejected} rejected", show_lines=self.num_rejected > 0)
        for column in ("set", "clip", "", "frames", "fps", "caption or reasons"):
            table.add_column(column, overflow="fold")
        for name in self.accepted:
            for clip in self.accepted[name]:
                caption = Text(clip.triple.caption)
                if clip.triple.subject is not None:
                    caption.stylize("bold", *clip.triple.subject)
                table.add_row(
                    name,
                    Text(clip.triple.id),
                    Text("ok", "green"),
                    str(clip.num_frames),
                    f"{rate_of(clip.times):.4g}",
                    caption,
                )
            for bad in self.rejected[name]:
                table.add_row(name, Text(bad.triple.id), Text("rejected", "red"), "", "", Text("\n".join(bad.reasons)))
        return table

    def __str__(self) -> str:
        """The table as plain text."""
        console = Console(file=StringIO(), width=140)
        console.print(self.table())
        return console.file.getvalue()  # type: ignore[attr-defined]


def check_triple(triple: Triple, requirements: Requirements) -> CheckedClip | Rejected:
    """Decode a triple wholly and collect everything that is wrong with it."""
    reasons = list(triple.faults)
    if triple.broken:
        return Rejected(triple, tuple(reasons))
    reasons += [] if triple.caption else ["no caption"]
    video, times = None, None
    try:
        video = count, rows, columns = measure(triple.video)
        times = _times(triple, count, requirements, reasons)
    except UserError as error:
        reasons.append(str(error))
    masks, mask = _masks(triple, requirements, reasons)
    order = None
    if video and mask and triple.mask:
        reasons += _unpaired(triple.video, triple.mask)
        if count != len(masks):
            order = _following(triple, times, len(masks), reasons)
            masks = masks if order is None else masks.follow(order.tolist())
        if not _same_shape((rows, columns), mask):
            reasons.append(
                f"shape mismatch: video is {columns}x{rows}, mask {triple.mask} is {mask[1]}x{mask[0]}; masks may "
                "be smaller or larger, but of the video's proportions"
            )
    if mask:
        reasons += mask_faults(masks, max_foreground=requirements.max_foreground)
        if not reasons and times is not None:
            return CheckedClip(triple, masks, times, order)
    return Rejected(triple, tuple(reasons))


def _masks(triple: Triple, requirements: Requirements, reasons: list[str]) -> tuple[MaskStack, tuple[int, int] | None]:
    """The masks of a triple at the model's size, and rows and columns of their own; None where they cannot be read."""
    masks, size = MaskStack(), None
    if triple.mask is None:
        reasons.append("no mask found for this video")
        return masks, None
    try:
        for mask in iter_masks(triple.mask, objects=triple.objects):
            size = mask.shape
            masks.append(resize_crop(mask, requirements.height, requirements.width))
    except UserError as error:
        reasons.append(str(error))
        return masks, None
    return masks, size


def _same_shape(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether one size, (rows, columns), is the other enlarged, but for rounding to whole pixels."""
    small, large = sorted((first, second))
    scale = max(large[0] / small[0], large[1] / small[1])
    return all(abs(other / scale - own) <= 1 for own, other in zip(small, large, strict=True))


def _unpaired(video: Path, mask: Path) -> list[str]:
    """What pictures of frames and of masks lack a partner of their number, where both are numbered."""
    if not (video.is_dir() and mask.is_dir()):
        return []
    numbers = [[frame_number(path) for path in images_in(folder)] for folder in (video, mask)]
    frames, masks = map(set, numbers)
    if None in frames | masks or any(len(set(own)) < len(own) for own in numbers) or frames == masks:
        return []
    alone = [f"frame {n} has no mask" for n in sorted(frames - masks)[:1]]  # type: ignore[type-var]
    alone += [f"mask {n} has no frame" for n in sorted(masks - frames)[:1]]  # type: ignore[type-var]
    return [f"frames and masks are numbered differently ({' and '.join(alone)}); give each pair one number"]


def _times(triple: Triple, count: int, requirements: Requirements, reasons: list[str]) -> np.ndarray:
    """When the frames of a video are shown; reasons are added if no window can be cut from them."""
    times = frame_times(triple.video, count, fps=triple.fps)
    if times is None:
        times = evenly(count, requirements.folder_fps)
    wanted = f"num_frames={requirements.num_frames} at data.fps={requirements.fps:g} needs {requirements.seconds:.3g} s"
    if num_starts(times, requirements.num_frames, requirements.fps) < 1:
        reasons.append(
            f"too short: {count} frames, whose last is shown {times[-1]:.3g} s after the first, but {wanted}"
        )
    elif count > 1 and rate_of(times) < _LEAST_RATE * requirements.fps:
        reasons.append(
            f"too few frames a second: {rate_of(times):.4g}, so that at data.fps={requirements.fps:g} a window would "
            f"repeat frames; set data.fps={math.floor(rate_of(times) * 100) / 100:g} or less"
        )
    return times


def _following(triple: Triple, times: np.ndarray | None, count: int, reasons: list[str]) -> np.ndarray | None:
    """The number, of `count`, of a mask for each frame of the video, where both say how long they last."""
    assert triple.mask is not None
    try:
        other = mask_times(triple.mask, count)
    except UserError as error:
        reasons.append(str(error))
        return None
    chosen = None if times is None or other is None else following(times, other)
    if times is None or chosen is not None:
        return chosen
    lasting = "" if other is None else f" over {other[-1]:.3g} s"
    reasons.append(
        f"frame-count mismatch: video has {len(times)} frames over {times[-1]:.3g} s, mask {triple.mask} has "
        f"{count}{lasting}; give one mask for each frame, or masks whose own frame rate makes them last as long"
    )
    return None


def check_sets(
    folders: Mapping[str, Sequence[str | Path]], requirements: Requirements, *, progress: bool = False
) -> Report:
    """Read and check every folder of every set; this is the dry run.

    Args:
        folders: Folders by the name of the data set they form.
        requirements: What each clip must satisfy.
        progress: Whether a bar shows how far it is.

    Returns:
        All clips, accepted or rejected.

    Raises:
        UserError: A folder cannot be listed at all, or two folders of one set share an id.
    """
    report = Report()
    for name, members in folders.items():
        report.accepted[name], report.rejected[name] = [], []
        seen: dict[str, str | Path] = {}
        try:
            triples = [(folder, triple) for folder in members for triple in read_triples(folder)]
        except UserError as error:
            raise UserError(f"data.{name if name == 'train' else f'validation.{name}'}: {error}") from error
        for folder, triple in track(triples, f"Checking clips ({name})", transient=True, disable=not progress):
            if triple.id in seen:
                raise UserError(
                    f"data set {name}: clip id {triple.id!r} is in {seen[triple.id]} and in {folder}; rename one, "
                    'or give it an "id" in metadata.jsonl'
                )
            seen[triple.id] = folder
            checked = check_triple(triple, requirements)
            if isinstance(checked, Rejected):
                report.rejected[name].append(checked)
            else:
                report.accepted[name].append(checked)
    return report


def reject_prompts(report: Report, prompt_faults: Callable[[Prompt], list[str]]) -> None:
    """Move the clips whose prompt a backbone cannot take to the rejected ones.

    Args:
        report: Is altered.
        prompt_faults: What is wrong with a prompt, in words; of the backbone, whose tokenizer has a length.
    """
    for name, clips in report.accepted.items():
        faults = [[fault for prompt in clip.triple.prompts for fault in prompt_faults(prompt)] for clip in clips]
        report.rejected[name] += [
            Rejected(clip.triple, tuple(found)) for clip, found in zip(clips, faults, strict=True) if found
        ]
        report.accepted[name] = [clip for clip, found in zip(clips, faults, strict=True) if not found]


def enforce(report: Report, on_reject: str) -> None:
    """Stop at rejected clips (`error`) or go on without them, saying so (`skip`).

    Raises:
        UserError: Clips were rejected and `on_reject` is `error`, or a set has no clip left.
    """
    if on_reject not in ("error", "skip"):
        raise UserError(f"data.on_reject={on_reject!r} must be 'error' or 'skip'")
    if report.num_rejected:
        listing = f"{report.num_rejected} clips rejected:\n{report.rejections()}"
        if on_reject == "error":
            raise UserError(f"{listing}\nRepair them, or set data.on_reject=skip to go on without them")
        warnings.warn(f"{listing}\nGoing on without them (data.on_reject=skip)", stacklevel=2)
    for name, clips in report.accepted.items():
        if not clips:
            raise UserError(f"data set {name} has no usable clip left; see the reasons above")
