"""One self-contained HTML page: the table, the plots, and the videos side by side."""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment

from maskvid.files import atomic_write, file_name
from maskvid.media.writing import video_name
from maskvid.metrics.conventions import CONVENTIONS
from maskvid.reporting.jobs import Job, variants
from maskvid.reporting.table import Summary, grouped

LARGEST, MOST_BYTES = 2**26, 2**29
"""Of one video on a page, and of all of them."""


def write_page(
    path: Path, *, title: str, summary: Summary, jobs: list[Job], without: list[str], plot: Path | None, clips: int
) -> None:
    """Write the page; everything it shows is in it, so that it can be sent and opened anywhere.

    Args:
        path: Of the page.
        title: Its heading.
        summary: The table.
        jobs: Where the videos are; of several seeds the first one's are shown.
        without: Lines on jobs without scores.
        plot: PNG of the plots, or None.
        clips: Clips shown of each set.
    """
    shown, left_out = galleries(summary, jobs, clips)
    template = Environment(autoescape=True).from_string(
        resources.files("maskvid.reporting").joinpath("page.html").read_text()
    )
    text = template.render(
        title=title,
        keys=summary.keys,
        metrics=summary.metrics,
        conventions=CONVENTIONS,
        rows=grouped(summary),
        without=without,
        plot=None if plot is None else base64.b64encode(plot.read_bytes()).decode(),
        galleries=shown,
        left_out=left_out,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def galleries(summary: Summary, jobs: list[Job], clips: int) -> tuple[list[dict[str, Any]], list[str]]:
    """For each clip shown, its prompt and the video of every variant, as base64; and a line on each that is not shown.

    A page is sent to others: only videos are embedded, and only those that lie in their job's folder.
    """
    _, named = variants(jobs)
    first = {variant: job for job, variant in reversed(list(zip(jobs, named, strict=True)))}
    shown: dict[tuple[str, str], str] = {}
    seeds: dict[tuple[Path, str, str], str] = {}  # the first of each clip
    for job in first.values():
        for row in job.rows:
            seeds.setdefault((job.folder, row["set"], row["clip"]), row.get("seed", ""))
            sets = [key for key in shown if key[0] == row["set"]]
            if len(sets) < clips or (row["set"], row["clip"]) in shown:
                shown.setdefault((row["set"], row["clip"]), row["prompt"])
    found: list[dict[str, Any]] = []
    left_out: list[str] = []
    room = MOST_BYTES
    for (set_name, clip), prompt in shown.items():
        videos = []
        for variant, job in first.items():
            path = video_of(job.folder, set_name, clip, seeds.get((job.folder, set_name, clip), ""))
            fault = None if path is None else _fault(path, job.folder, room)
            if fault is not None:
                left_out.append(f"{set_name}: {clip}, {summary.label(variant)}: {fault}")
            elif path is not None:
                room -= path.stat().st_size
                data = base64.b64encode(path.read_bytes()).decode()
                videos.append({"label": summary.label(variant), "data": data})
        if videos:
            found.append({"set": set_name, "clip": clip, "prompt": prompt, "videos": videos})
    return found, left_out


def _fault(path: Path, folder: Path, room: int) -> str | None:
    """Why a video is not embedded, None where it is."""
    if not path.resolve().is_relative_to(folder.resolve()):
        return "its video lies outside the job's folder"
    if not path.is_file():
        return "its video is no file"
    if path.stat().st_size > min(LARGEST, room):
        return "its video is too large for the page"
    with path.open("rb") as handle:
        return None if handle.read(8)[4:] == b"ftyp" else "its video is no mp4"


def video_of(folder: Path, set_name: str, clip: str, seed: str) -> Path | None:
    """The newest video of a clip in a job's folder, named as `VideoLogger` names it: with its seed among several."""
    steps = sorted((folder / "samples").glob("step-*"), key=lambda step: (len(step.name), step.name), reverse=True)
    names = [video_name(clip), video_name(clip, seed)]
    paths = (step / file_name(set_name) / f"{file_name(name)}.mp4" for step in steps for name in names)
    return next((path for path in paths if path.exists()), None)
