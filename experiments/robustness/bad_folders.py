"""Folders, names and things that are no files: pipes, devices, loops, foreign and hidden files, gaps in numbering."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.robustness import material
from experiments.robustness.bad_captions import davis_clip
from experiments.robustness.case import REJECT, Case, Want
from experiments.robustness.material import FRAMES, SHARE
from experiments.robustness.programs import PROMPT, asked, clips, generating, masks_of, one_clip

KIND = "folders, names and devices"
GOOD = Want(FRAMES)
UNSURE = Want(FRAMES, rejected=True)


def bound(path: Path) -> None:
    """A socket."""
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path may have a hundred letters
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


ODD: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a socket": bound,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "/dev/full": lambda path: path.symlink_to("/dev/full"),
    "/dev/null": lambda path: path.symlink_to("/dev/null"),
    "/dev/stdin": lambda path: path.symlink_to("/dev/stdin"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to its folder": lambda path: path.symlink_to("."),
}
EMPTY = ("a folder", "a link to its folder")
"""Beside a clip they are folders without pictures, which are no clips."""

NAMES = (
    "a b",
    " first",
    "last ",
    "-x",
    "--help",
    "a,b",
    "a=b",
    "[a]",
    "{a}",
    "(1)",
    "a'b",
    'a"b',
    "a\\b",
    "a\nb",
    "a\tb",
    "50%",
    "%s",
    "#1",
    "*",
    "?",
    "~",
    "$HOME",
    "$(touch EXECUTED)",
    "`touch EXECUTED`",
    ";touch EXECUTED",
    "|touch EXECUTED",
    "квадрат",
    "正方形",
    "e\u0301",
    "🟦",
    "\u202eabc",
    "a:b",
    "pipe:1",
    "file:x",
    "concat:a|b",
    "null",
    "x" * 200,
)
"""Names of good files."""


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else under a path."""
    path.unlink(missing_ok=True)
    make(path)


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    for name, make in ODD.items():
        for what, file in (("video", "clip.mp4"), ("mask", "clip.npz")):
            yield one_clip(KIND, f"{what}: {name}", lambda d, f=file, m=make: replaced(d / f, m), REJECT)
        yield listed(name, make)
        yield asked(KIND, f"first frame: {name}", "generate", first(run, make), ("first.png", "first_frame"), None)
        yield asked(KIND, f"source: {name}", "edit", source(run, make), ("source",), None)
        yield masks_of(run, KIND, f"masks: {name}", "m.mp4", make, None)
        yield asked(KIND, f"scored: {name}", "evaluate", scored(make), ("clip.mp4", "videos"), None)
    for name in NAMES:
        yield named(name)
        yield masks_of(run, KIND, f"masks named {name[:20]!r}", f"{name}.npz", good_masks, SHARE)
    for name, (build, wanted) in FOLDERS.items():
        yield clips(KIND, f"folder: {name}", build, wanted)


def good_masks(path: Path) -> None:
    """Write the masks."""
    path.write_bytes(material.mask_npz())


def named(name: str) -> Case:
    """A good clip of such a name."""

    def build(folder: Path) -> None:
        (folder / f"{name}.mp4").write_bytes(material.video())
        (folder / f"{name}.npz").write_bytes(material.mask_npz())
        material.metadata(folder, material.row(file_name=f"{name}.mp4", mask=f"{name}.npz"))

    return clips(KIND, f"clip named {name[:20]!r}", build, GOOD)


def listed(name: str, make: Callable[[Path], object]) -> Case:
    """A list of clips that is no file: then the folder holds a video without caption."""

    def build(folder: Path) -> None:
        material.good_clip(folder)
        make(folder / "metadata.jsonl")

    return clips(KIND, f"list: {name}", build, REJECT, "metadata.jsonl")


def first(run: Path, make: Callable[[Path], object]) -> Callable[[Path], tuple[str, ...]]:
    """A generation that begins with it."""

    def arguments(folder: Path) -> tuple[str, ...]:
        make(folder / "first.png")
        return (*generating(run, "out"), "first_frame=first.png", f"masks={run.parent}/clips/one.npz")

    return arguments


def source(run: Path, make: Callable[[Path], object]) -> Callable[[Path], tuple[str, ...]]:
    """An edit of it."""

    def arguments(folder: Path) -> tuple[str, ...]:
        make(folder / "source.mp4")
        return (f"run={run}", PROMPT, "source=source.mp4", f"masks={run.parent}/clips/one.npz", "out=out")

    return arguments


def scored(make: Callable[[Path], object]) -> Callable[[Path], tuple[str, ...]]:
    """A scoring of it."""

    def arguments(folder: Path) -> tuple[str, ...]:
        make(folder / "clip.mp4")
        return ("videos=clip.mp4", "out=out")

    return arguments


def beside(folder: Path, name: str = "clip") -> None:
    """A good clip with its masks and its caption beside it."""
    (folder / f"{name}.mp4").write_bytes(material.video())
    (folder / f"{name}.mask.npz").write_bytes(material.mask_npz())
    (folder / f"{name}.txt").write_text("[a square] wanders")


def with_files(*names: str) -> Callable[[Path], None]:
    """A good clip and such files, empty ones; a name that ends in `/` is a folder."""

    def build(folder: Path) -> None:
        beside(folder)
        for name in names:
            if name.endswith("/"):
                (folder / name).mkdir(parents=True)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(b"")

    return build


def sequence(spoil: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """A good sequence in DAVIS' layout; `spoil` gets the folders of frames and masks."""

    def build(folder: Path) -> None:
        davis_clip(folder, "clip")
        (folder / "captions.txt").write_text("clip: [a square] wanders\n")
        spoil(folder / "JPEGImages" / "480p" / "clip", folder / "Annotations" / "480p" / "clip")

    return build


def renumbered(folder: Path, by: int) -> None:
    """Give pictures other numbers."""
    for path in sorted(folder.iterdir(), reverse=by > 0):
        path.rename(path.with_stem(f"{int(path.stem) + by:05d}"))


def without(folder: Path, *numbers: int) -> None:
    """Take pictures out of a folder."""
    for path in folder.iterdir():
        if int(path.stem) in numbers:
            path.unlink()


def both_without(frames: Path, masks: Path) -> None:
    """The same gap in frames and masks."""
    without(frames, 5)
    without(masks, 5)


def linked(folder: Path) -> None:
    """A good clip through links."""
    (folder.parent / "elsewhere").mkdir()
    beside(folder.parent / "elsewhere")
    for path in (folder.parent / "elsewhere").iterdir():
        (folder / path.name).symlink_to(path)


def crowd(folder: Path) -> None:
    """A good clip among clips that are broken in every way: one bad clip stops no other."""
    beside(folder)
    for name, make in ODD.items():
        if name not in EMPTY:
            make(folder / f"{name.replace(' ', '-').replace('/', '_')}.mp4")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes(material.video()[:900])


FOLDERS: dict[str, tuple[Callable[[Path], object], Want | dict[str, Want]]] = {
    "empty": (lambda folder: None, REJECT),
    "missing": (lambda folder: folder.rmdir(), REJECT),
    "a file": (lambda folder: folder.rmdir() or folder.write_bytes(b""), REJECT),
    "a pipe": (lambda folder: folder.rmdir() or os.mkfifo(folder), REJECT),
    "a link to itself": (lambda folder: folder.rmdir() or folder.symlink_to("data"), REJECT),
    "foreign files": (with_files("readme.md", "clip.pdf", "Thumbs.db", "desktop.ini"), {"clip": GOOD}),
    "hidden files": (
        with_files(
            ".DS_Store", ".clip.mp4", "._clip.mp4", ".ipynb_checkpoints/clip-checkpoint.mp4", "__MACOSX/._clip.mp4"
        ),
        {"clip": GOOD},
    ),
    "folders without pictures": (with_files("empty/", "notes/a.txt", "deep/deeper/deepest/"), {"clip": GOOD}),
    "ten thousand foreign files": (with_files(*(f"{n}.dat" for n in range(10_000))), {"clip": GOOD}),
    "a video without caption": (
        lambda folder: beside(folder) or (folder / "b.mp4").write_bytes(material.video()),
        {"clip": GOOD, "b": REJECT},
    ),
    "a caption without video": (with_files("b.txt"), {"clip": GOOD, "b": REJECT}),
    "masks without video": (with_files("b.mask.npz"), {"clip": GOOD}),
    "two videos of one name": (
        lambda folder: beside(folder) or (folder / "clip.mkv").write_bytes(material.video("mkv")),
        REJECT,
    ),
    "names in capitals": (
        lambda folder: (
            beside(folder, "CLIP") or [path.rename(path.with_suffix(path.suffix.upper())) for path in folder.iterdir()]
        ),
        UNSURE,
    ),
    "links": (linked, {"clip": GOOD}),
    "everything at once": (
        crowd,
        {
            "clip": GOOD,
            **dict.fromkeys(
                ["empty", "cut", *(odd.replace(" ", "-").replace("/", "_") for odd in ODD if odd not in EMPTY)], REJECT
            ),
        },
    ),
    "DAVIS": (sequence(lambda frames, masks: None), {"clip": GOOD}),
    "DAVIS, the same gap in both": (sequence(both_without), {"clip": Want(FRAMES - 1)}),
    "DAVIS, a mask missing": (sequence(lambda frames, masks: without(masks, 5)), REJECT),
    "DAVIS, a frame missing": (sequence(lambda frames, masks: without(frames, 5)), REJECT),
    "DAVIS, a frame and another mask missing": (
        sequence(lambda frames, masks: without(frames, 4) or without(masks, 7)),
        REJECT,
    ),
    "DAVIS, masks numbered from 1": (sequence(lambda frames, masks: renumbered(masks, 1)), REJECT),
    "DAVIS, no masks": (sequence(lambda frames, masks: shutil.rmtree(masks)), REJECT),
    "DAVIS, no frames": (sequence(lambda frames, masks: without(frames, *range(FRAMES))), REJECT),
    "DAVIS, empty": (lambda folder: (folder / "JPEGImages").mkdir(), REJECT),
    "DAVIS, JPEGImages is a file": (lambda folder: (folder / "JPEGImages").write_bytes(b""), REJECT),
    "DAVIS, two sizes": (
        lambda folder: [(folder / "JPEGImages" / size / "clip").mkdir(parents=True) for size in ("720p", "1080p")],
        REJECT,
    ),
}
