"""Inputs that are right and large: each must be read within two gigabytes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format
from PIL import Image

from experiments.robustness import material
from experiments.robustness.bad_masks import runs
from experiments.robustness.case import Case, Want
from experiments.robustness.material import FRAMES, SHARE
from experiments.robustness.programs import asked, clips, first_frame, first_of, generating, masks_of

KIND = "large"
CROPPED = 960 * 540 / (3240 * 2160)
"""Foreground of 16:9 masks, cropped to 3:2."""


def stack(path: Path, count: int, height: int, width: int, kind: str) -> None:
    """Write masks frame by frame: this process must stay small, for its forks begin with its pages."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        out.open("masks.npy", "w", force_zip64=True) as member,
    ):
        npy_format.write_array_header_1_0(
            member, {"shape": (count, height, width), "fortran_order": False, "descr": kind}
        )  # type: ignore[arg-type]
        picture = (material.masks(1, height, width)[0] // 255).astype(kind).tobytes()
        for _ in range(count):
            member.write(picture)


def picture(width: int, height: int, form: str) -> bytes:
    """A picture of one colour with a square."""
    target = io.BytesIO()
    image = Image.new("RGB", (width, height), (90, 120, 60))
    image.paste((230, 220, 210), (width // 12, height // 4, width // 3, height // 2))
    image.save(target, form)
    return target.getvalue()


def many(folder: Path, count: int) -> None:
    """So many clips, which are links to one."""
    material.good_clip(folder.parent)
    rows = []
    for index in range(count):
        for suffix in ("mp4", "npz"):
            (folder / f"{index}.{suffix}").symlink_to(folder.parent / f"clip.{suffix}")
        rows.append(material.row(file_name=f"{index}.mp4", mask=f"{index}.npz", id=str(index)))
    material.metadata(folder, *rows)


def long(count: int) -> Callable[[Path], None]:
    """A clip of so many frames."""

    def build(folder: Path) -> None:
        (folder / "clip.mp4").write_bytes(
            material.encode(material.frames(1).repeat(count, 0), "mp4", "mpeg4", "yuv420p")
        )
        stack(folder / "clip.npz", count, 32, 48, "|u1")
        material.metadata(folder, material.row())

    return build


def film(folder: Path) -> None:
    """Twelve frames of 4K, with masks of 4K."""
    picture = np.zeros((1, 2160, 3840, 3), np.uint8)
    picture[:, 540:1080, 320:1280] = 220
    frames = np.broadcast_to(picture, (FRAMES, 2160, 3840, 3))
    (folder / "clip.mp4").write_bytes(material.encode(frames, "mp4", "mpeg4", "yuv420p"))
    stack(folder / "clip.npz", FRAMES, 2160, 3840, "|u1")
    material.metadata(folder, material.row())


def pictures(folder: Path) -> None:
    """Twelve frames of 8K, each a file, with masks of a sixteenth of the size."""
    (folder / "clip").mkdir()
    content = picture(7680, 4320, "JPEG")
    for index in range(FRAMES):
        (folder / "clip" / f"{index:03d}.jpg").write_bytes(content)
    stack(folder / "clip.npz", FRAMES, 270, 480, "|u1")
    material.metadata(folder, material.row(file_name="clip"))


def lengths(path: Path) -> None:
    """Run lengths of four thousand masks."""
    entry = json.dumps({"size": [480, 720], "counts": runs(material.masks(1, 480, 720)[0])})
    path.write_text(f"[{','.join([entry] * 4000)}]")


def long_video(run: Path) -> Case:
    """A video of 64 windows."""

    def arguments(folder: Path) -> tuple[str, ...]:
        stack(folder / "m.npz", 128, 32, 48, "|u1")
        return (*generating(run, "out"), first_of(run), "masks=m.npz", "num_frames=128")

    return asked(KIND, "a video of 128 frames, three at a time", "generate", arguments, ("num_frames",), SHARE)


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    for name, size in {
        "12 masks of 4K": (12, 2160, 3840, "|u1"),
        "12 masks of 4K in float64": (12, 2160, 3840, "<f8"),
        "12,000 masks": (12_000, 64, 96, "|u1"),
        "12,000 masks in float32": (12_000, 64, 96, "<f4"),
    }.items():
        share = CROPPED if size[1] == 2160 else SHARE
        yield masks_of(run, KIND, name, "m.npz", lambda path, s=size: stack(path, *s), share)
    yield masks_of(run, KIND, "4,000 masks as run lengths", "m.json", lengths)
    for form in ("PNG", "JPEG", "TIFF"):
        yield first_frame(
            run,
            KIND,
            f"a first frame of 8K, {form}",
            f"first.{form.lower()}",
            lambda f=form: picture(7680, 4320, f),
            right=True,
        )
    yield clips(
        KIND, "1,000 clips", lambda folder: many(folder, 1000), {str(n): Want(FRAMES) for n in range(1000)}, seconds=200
    )
    yield clips(KIND, "a clip of 12,000 frames", long(12_000), Want(12_000))
    yield clips(KIND, "a clip of 4K, masks of 4K", film, Want(FRAMES))
    yield clips(KIND, "a clip of 8K, pictures", pictures, Want(FRAMES))
    yield long_video(run)
