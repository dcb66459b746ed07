"""The commands that inputs are given to, at the tiniest size that works: random weights, three frames of 32 x 48."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from experiments.robustness.case import (
    ACCEPTED,
    MISREAD,
    Case,
    Play,
    Verdict,
    Want,
    listing,
    message,
    refusal,
    share_of,
)
from experiments.robustness.forks import SECONDS, Forks, Launch
from experiments.robustness.material import SHARE, frames, good_clip, metadata, row
from tests.backbones import save_backbone

PROMPT = "prompt=[a square] wanders"
SIZE = ("data.height=32", "data.width=48", "data.num_frames=3", "data.fps=4")
QUIET = (
    "callbacks.progress=null",
    "+trainer.enable_progress_bar=false",
    "logger=csv",
    "callbacks.metrics=null",
    "callbacks.video_logger.scale=1",
    "data.limit_validation=1",
)
SHORT = (
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "sampling.num_inference_steps=2",
    "trainer.log_every_n_steps=1",
)


def training(home: Path, run_dir: str, *more: str) -> tuple[str, ...]:
    """Arguments of a training of four steps, validated at two and four, with the clips of `prepare`."""
    return (
        "data=folder", f"data.train={home}/clips", f"data.validation={{seen: {home}/clips}}", *SIZE,
        "backbone=folder", f"backbone.path={home}/backbone", "trainer.accelerator=cpu", *SHORT, *QUIET,
        f"run_dir={run_dir}", f"hydra.run.dir={run_dir}", "data.cache_dir=cache", *more,
    )  # fmt: skip


def prepare(forks: Forks, home: Path) -> Path:
    """Make a backbone, clips and a run that the cases share, and let the forks know what their programs import.

    Returns:
        The run.
    """
    forks.apart(partial(save_backbone, home / "backbone"))
    for name in ("one", "two"):
        good_clip(home / "clips", name)
    metadata(home / "clips", *(row(file_name=f"{name}.mp4", mask=f"{name}.npz", id=name) for name in ("one", "two")))
    Image.fromarray(frames()[0]).save(home / "first.png")
    run, modules = home / "run", home / "modules.txt"
    masks = f"masks={home}/clips/one.npz"
    for program, arguments in (
        ("train", training(home, str(run))),
        ("generate", (*generating(run, "painted"), masks)),
        ("generate", (*generating(run, "videos"), masks, first_of(run))),
        (
            "edit",
            (
                f"run={run}",
                PROMPT,
                masks,
                f"source={home}/clips/one.mp4",
                "out=edited",
                "sampling.num_inference_steps=1",
            ),
        ),
        ("evaluate", (f"videos={home}/videos", "out=scores")),
        ("report", (f"runs={home}/scores", "out=report")),
    ):
        outcome = forks.finish(Launch(program, arguments, home, modules=modules))
        if outcome.status != 0:
            raise SystemExit(f"{program} fails without any bad input:\n{outcome.output}\n{outcome.errors}")
        forks.know(modules)
    return run


def generating(run: Path, out: str) -> tuple[str, ...]:
    """Arguments of a generation, but for its masks and its first frame."""
    return (f"run={run}", PROMPT, f"out={out}", "sampling.num_inference_steps=1", "sampling.guidance_scale=1")


def first_of(run: Path) -> str:
    """A first frame: painting one takes longer than the rest of a video."""
    return f"first_frame={run.parent}/first.png"


def dry_run(folder: Path, *more: str, data: str = "data") -> Launch:
    """List the clips of `folder/data`."""
    arguments = (
        f"data.train={data}",
        *SIZE,
        "data.folder_fps=8",
        "data.dry_run=true",
        "run_dir=run",
        "hydra.run.dir=run",
        *more,
    )
    return Launch("train", ("data=folder", *arguments), folder)


def clips(
    kind: str,
    name: str,
    build: Callable[[Path], object],
    wanted: Want | Mapping[str, Want],
    *names: str,
    seconds: float = SECONDS,
) -> Case:
    """A data folder, listed by a dry run.

    Args:
        kind: Row of the table.
        name: Of the case.
        build: Fills the folder.
        wanted: What is right for each clip, or for the only one.
        names: One of them must stand in the refusal of the whole folder; the folder's own name will do.
        seconds: After which the dry run is taken to hang.
    """
    wants = {"*": wanted} if isinstance(wanted, Want) else wanted

    def play(folder: Path) -> Play:
        (folder / "data").mkdir()
        build(folder / "data")
        return listing((yield replace(dry_run(folder), seconds=seconds)), wants, *names, "data")

    return Case(kind, name, play)


def one_clip(kind: str, name: str, build: Callable[[Path], None], wanted: Want, **fields: object) -> Case:
    """A folder with one good clip of which `build` spoils something, and its line of metadata."""

    def whole(folder: Path) -> None:
        good_clip(folder)
        metadata(folder, row(**fields))
        build(folder)

    return clips(kind, name, whole, wanted)


def asked(
    kind: str,
    name: str,
    program: str,
    arguments: Callable[[Path], tuple[str, ...]],
    names: tuple[str, ...],
    share: float | None,
) -> Case:
    """A request with one input.

    Args:
        kind: Row of the table.
        name: Of the case.
        program: Its name.
        arguments: Of it; makes the input in the folder it is given.
        names: One of them must stand in a refusal.
        share: Foreground of the masks where they mean something; None is to be refused.
    """

    def play(folder: Path) -> Play:
        outcome = yield Launch(program, arguments(folder), folder)
        if share is None:
            return refusal(outcome, *names)
        if outcome.status != 0:
            return Verdict(MISREAD, f"refused, exit {outcome.status}: {message(outcome)}")
        found = [share_of(path) for path in (folder / "out").glob("*.mask.npz")]
        if len(found) != 1 or abs(found[0] - share) > 0.01:
            return Verdict(MISREAD, f"foreground {found}, right is {share:.4f}")
        return Verdict(ACCEPTED)

    return Case(kind, name, play)


def masks_of(
    run: Path, kind: str, name: str, file: str, build: Callable[[Path], None], share: float | None = SHARE
) -> Case:
    """Masks that a video is generated for; `build` makes them under a path."""

    def arguments(folder: Path) -> tuple[str, ...]:
        build(folder / file)
        return (*generating(run, "out"), first_of(run), f"masks={file}")

    return asked(kind, name, "generate", arguments, (file, "masks"), share)


def first_frame(run: Path, kind: str, name: str, file: str, content: Callable[[], bytes], *, right: bool) -> Case:
    """A picture that a video begins with."""

    def arguments(folder: Path) -> tuple[str, ...]:
        (folder / file).write_bytes(content())
        return (*generating(run, "out"), f"first_frame={file}", f"masks={run.parent}/clips/one.npz")

    return asked(kind, name, "generate", arguments, (file, "first_frame"), SHARE if right else None)
