"""From raw clips to a folder of triples with a page: the whole of it, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from maskvid.errors import UserError
from maskvid.footage.checks import measure_masks, reasons_against
from maskvid.footage.cleaning import clean
from maskvid.footage.finders import DENSEST, Earlier, Finder, Lead, NotFound, make_finder
from maskvid.footage.overview import write_overview
from maskvid.footage.placing import Size, box_in, points_in, resized, window_size, work_size
from maskvid.footage.previews import write_previews, write_triple
from maskvid.footage.records import Record, Workplace
from maskvid.footage.shots import find_cuts
from maskvid.footage.sources import Source, find_sources
from maskvid.footage.spans import Plan, Span, cut_windows, plan_windows
from maskvid.footage.verdicts import Verdict, caption_of, judge, read_verdicts, write_listing
from maskvid.media.frames import iter_frames, measure
from maskvid.media.resample import resize_crop
from maskvid.media.times import evenly, frame_times
from maskvid.preparation import Preparation

LATER = ("subject", "caption")
"""Settings that change the captions alone, and may be others when the command is given again."""


@dataclass(frozen=True)
class Clip:
    """A raw clip that was looked through.

    Attributes:
        label: As a person knows it.
        name: Of its files.
        rows: Of its picture.
        columns: Of its picture.
        plan: Its windows.
    """

    label: str
    name: str
    rows: int
    columns: int
    plan: Plan

    def window(self, span: Span) -> str:
        """Name of a window's files."""
        return f"{self.name}-{span.shot:03d}-{span.number:03d}"


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        clips: Those that were looked through.
        not_read: A line for each clip or file that was not, with its reason.
        verdicts: On every window; none in a dry run.
        unknown: Names in `verdicts.json` that are no window's.
    """

    clips: list[Clip] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Windows that are listed."""
        return sum(verdict.accepted for verdict in self.verdicts)


class Networks:
    """What finds and what describes, loaded when it is first needed: a run that only lists anew needs neither."""

    def __init__(self, wanted: Preparation, device: torch.device) -> None:
        self._wanted, self._device = wanted, device

    @cached_property
    def finder(self) -> Finder:
        """See `make_finder`."""
        return make_finder(self._wanted, self._device)

    def words(self, frame: np.ndarray) -> str | None:
        """A captioner's sentence, None where none is asked for."""
        return None if self._wanted.captioner is None else self._captioner(frame)

    @cached_property
    def _captioner(self) -> Any:
        from maskvid.footage.captioner import Captioner

        assert self._wanted.captioner is not None
        return Captioner(self._wanted.captioner, self._device)


def prepare(
    wanted: Preparation,
    videos: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    device: torch.device | str = "cpu",
    bar: Progress | None = None,
) -> Outcome:
    """Cut raw clips into windows, find the foreground of each, check it, and list what is good.

    Args:
        wanted: How.
        videos: See `maskvid.footage.sources.find_sources`.
        out: Folder of the triples and of `index.html`. What is finished in it is not made again.
        overwrite: Whether what was made with other settings goes.
        dry_run: Look for the windows alone, and write nothing.
        device: Where networks run.
        bar: A progress bar that is shown already.

    Raises:
        UserError: Nothing can be read, `out` holds something else, or a model cannot be had.
    """
    out = Path(out)
    _check_caption(wanted)
    if Path(videos).resolve() == out.resolve():
        raise UserError(f"out={out}: it is the folder of the raw clips; give another.")
    sources, left_out = find_sources(videos)
    outcome = Outcome(not_read=left_out)
    shown = bar or Progress(disable=True)
    if dry_run:
        for source in sources:
            outcome.clips += _looked_through(source, wanted, outcome, shown)
        return outcome
    settings = {key: value for key, value in _plain(wanted).items() if key not in LATER or _reads(wanted, key)}
    place = Workplace(out, settings, overwrite=overwrite)
    said = read_verdicts(out)  # before any work: a slip of the pen is told at once
    place.begin()
    networks = Networks(wanted, torch.device(device))
    names = {clip.label: clip.name for clip in _written(place)}
    for source in sources:
        source = replace(source, name=names.get(source.label, source.name))
        known = place.known_clip(source)
        clips = [_read_clip(known)] if known is not None else _looked_through(source, wanted, outcome, shown)
        for clip in clips:
            if known is None:
                place.keep_clip(source, asdict(clip))
            _make(source, clip, wanted, place, networks, shown)
    outcome.clips = list(_written(place))
    records = [record for clip in outcome.clips for record in _records(clip, place)]
    outcome.verdicts = judge(records, said, wanted)
    outcome.unknown = sorted(set(said) - {record.name for record in records})
    write_listing(out, outcome.verdicts)
    write_overview(out, wanted, outcome.clips, outcome.verdicts, outcome.not_read)
    return outcome


def _check_caption(wanted: Preparation) -> None:
    """Refuse words that no caption can be made of, before there is anything to describe."""
    caption_of(Record("", "", 1, 1, 0.0, found=True), wanted)


def _plain(wanted: Preparation) -> dict[str, Any]:
    """The settings by name, as JSON gives them back."""
    return {entry.name: getattr(wanted, entry.name) for entry in fields(Preparation)}


def _reads(wanted: Preparation, key: str) -> bool:
    """Whether a setting that captions are made of also says what is looked for."""
    return key == "subject" and wanted.foreground == "sam2" and wanted.box is None and wanted.points is None


def _looked_through(source: Source, wanted: Preparation, outcome: Outcome, bar: Progress) -> list[Clip]:
    """The clip with its windows; none, and a line in the outcome, where it cannot be read."""
    try:
        count, rows, columns = measure(source.path)
        times = frame_times(source.path, count)
        times = evenly(count, wanted.folder_fps) if times is None else times
        cuts = []
        if wanted.cut_threshold is not None:
            frames = _told(iter_frames(source.path), bar, f"{source.label}: looking for cuts", count)
            cuts = find_cuts(frames, wanted.cut_threshold)
    except UserError as error:
        outcome.not_read.append(f"{source.label}: {error}")
        return []
    plan = plan_windows(times, cuts, wanted.num_frames, wanted.fps, densest=DENSEST.get(wanted.foreground))
    return [Clip(source.label, source.name, rows, columns, plan)]


def _told(things: Iterable[Any], bar: Progress, text: str, total: int) -> Iterator[Any]:
    """What passes through moves the bar."""
    task = bar.add_task(text.replace("[", "\\["), total=total)
    try:
        for thing in things:
            yield thing
            bar.advance(task)
    finally:
        bar.remove_task(task)


def _make(source: Source, clip: Clip, wanted: Preparation, place: Workplace, networks: Networks, bar: Progress) -> None:
    """Make the windows of a clip that are not finished."""
    records = {span: place.record(clip.window(span)) for span in clip.plan.spans}
    todo = [index for index, span in enumerate(clip.plan.spans) if records[span] is None]
    if not todo:
        return
    spans = clip.plan.spans[: todo[-1] + 1]
    native = clip.rows, clip.columns
    size = work_size(native, wanted)
    shown = Lead(box_in(wanted, native, size), points_in(wanted, native, size))
    before: tuple[int, Earlier] | None = None  # the shot of the window before, and how it ended
    windows = cut_windows(iter_frames(source.path), spans, *size)
    for span, frames in _told(windows, bar, f"{clip.label}: windows", len(spans)):
        record, mask = records[span], None
        if record is None:
            earlier = before[1] if before is not None and before[0] == span.shot else None
            blank = Record(clip.window(span), clip.label, span.shot, span.number, span.start, found=False)
            lead = replace(shown, earlier=earlier, step=span.step)
            record, mask = _made(blank, frames, lead, window_size(native, wanted), wanted, place, networks)
        else:
            mask = place.last_mask(record)
        mask = np.zeros(size, bool) if mask is None else resized(mask, size)
        before = span.shot, Earlier(frames[-1].copy(), mask)


def _made(
    blank: Record, frames: np.ndarray, lead: Lead, size: Size, wanted: Preparation, place: Workplace, networks: Networks
) -> tuple[Record, np.ndarray | None]:
    """Make a window of a size, and say how it ends: the foreground in its last frame."""
    kept = np.stack([resize_crop(frame, *size) for frame in frames[lead.step - 1 :: lead.step]])
    try:
        found = np.stack([resized(mask, size) for mask in networks.finder(frames, lead)])
    except NotFound as nothing:
        write_previews(place.out, blank.name, kept, None, wanted.fps)
        record = replace(blank, missing=str(nothing))
        place.keep(record)
        return record, None
    cleaned = clean(found)
    figures = measure_masks(found, cleaned)
    write_triple(place.out, blank.name, kept, cleaned.masks, wanted.fps)
    write_previews(place.out, blank.name, kept, cleaned.masks, wanted.fps)
    record = replace(
        blank,
        found=True,
        figures=figures,
        reasons=reasons_against(figures, cleaned.masks, wanted.max_foreground),
        words=networks.words(frames[len(frames) // 2]),
    )
    place.keep(record)
    return record, cleaned.masks[-1]


def _read_clip(known: dict[str, Any]) -> Clip:
    """A clip as its file has it.

    Raises:
        UserError: It is not as this room wrote it.
    """
    try:
        plan = known["plan"]
        spans = tuple(
            Span(span["shot"], span["number"], span["start"], tuple(span["frames"]), span["step"])
            for span in plan["spans"]
        )
        whole = Plan(spans, plan["shots"], tuple(plan["left_over"]), plan["seconds"])
        return Clip(known["label"], known["name"], known["rows"], known["columns"], whole)
    except (KeyError, TypeError) as error:
        raise UserError(f"clips/: a file was altered ({error!r}); make the folder anew by overwrite=true.") from error


def _written(place: Workplace) -> Iterator[Clip]:
    """Every clip that the folder holds windows of, those of earlier calls too."""
    return map(_read_clip, place.clips())


def _records(clip: Clip, place: Workplace) -> Iterator[Record]:
    for span in clip.plan.spans:
        record = place.record(clip.window(span))
        if record is not None:  # a clip of an earlier call that was stopped, and is not among the sources now
            yield record
