"""Masks: arrays of every type and shape, archives of every kind of damage, run lengths, videos and pictures."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from experiments.robustness import material
from experiments.robustness.bad_videos import JUNK, flipped
from experiments.robustness.case import MARKER, REJECT, Case, Want
from experiments.robustness.material import FRAMES, HEIGHT, SHARE, WIDTH
from experiments.robustness.programs import masks_of, one_clip

KIND = "masks"
GOOD = Want(FRAMES)
UNSURE = Want(FRAMES, rejected=True)
SQUARE = material.masks() > 0

TYPES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
    "longdouble",
    ">f4",
    ">i2",
    "complex64",
    "U4",
    "S4",
    "datetime64[s]",
    "object",
    "i4,f4",
)


class Planted:
    """Leaves a marker where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What unpickling runs."""
        return (open, (MARKER, "w"))


def meaning(kind: str, top: int) -> bool:
    """Whether numbers of a type say of each pixel how much of it is foreground."""
    return np.dtype(kind).kind in "biuf" and (top < 256 or kind == "uint16")


def array(kind: str, top: int) -> np.ndarray:
    """The masks as numbers of a type, or as what is no number."""
    if kind == "i4,f4":
        return np.zeros(SQUARE.shape, "i4,f4")
    if kind == "object":
        content = (SQUARE * top).astype(object)
        content[0, 0, 0] = Planted()
        return content
    return (SQUARE * top).astype(kind)


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    for kind in TYPES:
        tops = [top for top in (1, 255, 65535) if kind != "bool" or top == 1]
        for top in tops:
            if np.dtype(kind).kind in "iu" and top > np.iinfo(kind).max or (kind == "float16" and top > 60000):
                continue
            right = SHARE if meaning(kind, top) else None
            for suffix, save in (("npz", lambda a: material.npz(masks=a)), ("npy", material.npy)):
                if suffix == "npy" and top == 1 and kind != "bool":
                    continue
                content = lambda s=save, k=kind, t=top: s(array(k, t))  # noqa: E731
                what = f"{suffix} of {kind}, 0 and {top}"
                if right is None and suffix == "npz":
                    yield array_case(what, content, REJECT)
                else:
                    yield masks_of(run, KIND, what, f"m.{suffix}", written(content), right)
    for name, (content, share) in VALUES.items():
        yield masks_of(run, KIND, f"npz: {name}", "m.npz", written(content), share)
    for name, rate in FPS.items():
        content = lambda r=rate: material.npz(masks=material.masks(), fps=r)  # noqa: E731
        yield masks_of(run, KIND, f"npz: fps {name}", "m.npz", written(content), None)
    for name, (content, want) in SHAPES.items():
        yield array_case(f"shape: {name}", lambda c=content: material.npz(masks=c()), want)
    for name, (content, want) in ARCHIVES.items():
        yield array_case(f"archive: {name}", content, want)
    for name, content in JUNK.items():
        for suffix in ("npz", "npy", "json"):
            if (name, suffix) != ("an archive", "npz"):
                yield array_case(f"{suffix}: {name}", lambda c=content: c, REJECT, suffix)
    for suffix, whole in (("npz", material.mask_npz()), ("npy", material.npy(material.masks()))):
        for place in (0.001, 0.02, 0.2, 0.5, 0.8, 0.95, 0.999):
            yield array_case(
                f"{suffix}: cut at {place:.1%}", lambda w=whole, p=place: w[: int(len(w) * p)], REJECT, suffix
            )
        for seed in range(4):
            yield array_case(f"{suffix}: flipped, seed {seed}", lambda w=whole, n=seed: flipped(w, n), UNSURE, suffix)
    for name, (content, want) in RUNS.items():
        yield array_case(
            f"run lengths: {name}",
            lambda c=content: c if isinstance(c, bytes) else json.dumps(c).encode(),
            want,
            "json",
        )
    for name, (content, want) in VIDEOS.items():
        yield array_case(f"video: {name}", content, want, "mp4")
    for suffix in material.CODECS:
        yield array_case(f"video: {suffix}", lambda s=suffix: material.mask_video(s), GOOD, suffix)


def written(content: Callable[[], bytes]) -> Callable[[Path], None]:
    """What writes the content to a path."""
    return lambda path: path.write_bytes(content()) and None


def array_case(name: str, content: Callable[[], bytes], want: Want, suffix: str = "npz") -> Case:
    """A clip whose masks are the content given."""
    return one_clip(
        KIND, name, lambda folder: (folder / f"mask.{suffix}").write_bytes(content()), want, mask=f"mask.{suffix}"
    )


def spoiled(value: float, kind: str = "float32") -> bytes:
    """Masks of 0 and 1 in which one pixel is another value."""
    stack = SQUARE.astype(kind)
    stack[1, 9, 9] = value
    return material.npz(masks=stack)


VALUES: dict[str, tuple[Callable[[], bytes], float | None]] = {
    "a NaN": (lambda: spoiled(np.nan), None),
    "infinity": (lambda: spoiled(np.inf), None),
    "-infinity": (lambda: spoiled(-np.inf), None),
    "-1": (lambda: spoiled(-1), None),
    "256": (lambda: spoiled(256), None),
    "1e30": (lambda: spoiled(1e30), None),
    "-1 in int16": (lambda: spoiled(-1, "int16"), None),
    "256 in int32": (lambda: spoiled(256, "int32"), None),
    "nothing but NaN": (lambda: material.npz(masks=np.full(SQUARE.shape, np.nan)), None),
    "nothing but 0": (lambda: material.npz(masks=np.zeros(SQUARE.shape, np.uint8)), None),
    "nothing but 255": (lambda: material.npz(masks=np.full(SQUARE.shape, 255, np.uint8)), None),
    "inverted": (lambda: material.npz(masks=255 - material.masks()), None),
    "half grey everywhere": (lambda: material.npz(masks=np.full(SQUARE.shape, 0.5)), None),
    "soft edges": (lambda: material.npz(masks=SQUARE * 0.75), SHARE),
}

FPS = {
    "0": 0.0,
    "-8": -8.0,
    "NaN": np.nan,
    "infinite": np.inf,
    "a text": "8",
    "an array": np.ones(3),
    "an object": np.array([Planted()]),
}
"""Frame rates that are none."""


def stack(*shape: int) -> np.ndarray:
    """Zeros of a shape with a square of foreground where there is room."""
    content = np.zeros(shape, np.uint8)
    content[..., : max(1, shape[-1] // 4)] = 255
    return content


SHAPES: dict[str, tuple[Callable[[], np.ndarray], Want]] = {
    "(f, h, w, 1)": (lambda: material.masks()[..., None], GOOD),
    "(f, 1, h, w)": (lambda: material.masks()[:, None], GOOD),
    "(f, 2, h, w)": (lambda: np.stack([material.masks(), material.masks() * 0], 1), GOOD),
    "(f, h, w, 3)": (lambda: material.masks()[..., None].repeat(3, -1), UNSURE),
    "(f, h, w, 4)": (lambda: material.masks()[..., None].repeat(4, -1), UNSURE),
    "(h, w)": (lambda: material.masks()[0], REJECT),
    "(w,)": (lambda: stack(WIDTH), REJECT),
    "()": (lambda: np.uint8(255), REJECT),
    "(0, h, w)": (lambda: stack(0, HEIGHT, WIDTH), REJECT),
    "(f, 0, w)": (lambda: stack(FRAMES, 0, WIDTH), REJECT),
    "(f, h, 0)": (lambda: np.zeros((FRAMES, HEIGHT, 0)), REJECT),
    "(1, f, h, w)": (lambda: material.masks()[None], REJECT),
    "(1, 1, f, h, w)": (lambda: material.masks()[None, None], REJECT),
    "(h, w, f)": (lambda: np.ascontiguousarray(material.masks().transpose(1, 2, 0)), REJECT),
    "(f, w, h)": (lambda: np.ascontiguousarray(material.masks().transpose(0, 2, 1)), REJECT),
    "32 dimensions": (lambda: stack(*[1] * 32), REJECT),
    "Fortran order": (lambda: np.asfortranarray(material.masks()), UNSURE),
    "one too few": (lambda: material.masks()[:-1], REJECT),
    "one too many": (lambda: material.masks(FRAMES + 1), REJECT),
    "one": (lambda: material.masks(1), REJECT),
    "twice as many": (lambda: material.masks(2 * FRAMES), REJECT),
    "twice the size": (lambda: material.masks(FRAMES, 2 * HEIGHT, 2 * WIDTH), GOOD),
    "half the size": (lambda: material.masks(FRAMES, HEIGHT // 2, WIDTH // 2), GOOD),
    "other proportions": (lambda: material.masks(FRAMES, HEIGHT, 2 * WIDTH), REJECT),
    "a row more": (lambda: material.masks(FRAMES, HEIGHT + 1, WIDTH), UNSURE),
}


def archive(**members: bytes) -> bytes:
    """A zip file of such members, uncompressed."""
    return zipped(members)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return target.getvalue()


def claiming(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    """An npy file whose header claims a shape that its few bytes do not have."""
    target = io.BytesIO()
    npy_format.write_array_header_1_0(target, {"shape": shape, "fortran_order": False, "descr": kind})
    return target.getvalue() + bytes(64)


def headed(text: str) -> bytes:
    """An npy file with such a header."""
    padded = text + " " * (64 - (10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode() + material.masks().tobytes()


def encrypted() -> bytes:
    """A zip file that says that its members are encrypted."""
    content = bytearray(zipped({"masks.npy": material.npy(material.masks())}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def packed_by(method: int) -> bytes:
    """A zip file that says that its members are packed by an unknown method."""
    content = bytearray(zipped({"masks.npy": material.npy(material.masks())}))
    content[8] = method
    content[content.index(b"PK\x01\x02") + 10] = method
    return bytes(content)


def bomb() -> bytes:
    """Ten gigabytes of zeros in ten megabytes: told from its header, and never unpacked as a whole."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        out.open("masks.npy", "w", force_zip64=True) as member,
    ):
        npy_format.write_array_header_1_0(
            member, {"shape": (FRAMES, 5000, 5000), "fortran_order": False, "descr": "|u1"}
        )  # type: ignore[arg-type]
        for _ in range(FRAMES):
            member.write(bytes(25_000_000))
    return target.getvalue()


WHOLE = material.npy(material.masks())
ARCHIVES: dict[str, tuple[Callable[[], bytes], Want]] = {
    "a member of another name": (lambda: zipped({"foreground.npy": WHOLE}), GOOD),
    "two members, one named masks": (lambda: zipped({"a.npy": material.npy(np.zeros(3)), "masks.npy": WHOLE}), GOOD),
    "packed by bzip2": (lambda: zipped({"masks.npy": WHOLE}, zipfile.ZIP_BZIP2), GOOD),
    "packed by lzma": (lambda: zipped({"masks.npy": WHOLE}, zipfile.ZIP_LZMA), GOOD),
    "no member": (lambda: zipped({}), REJECT),
    "a text": (lambda: zipped({"masks.txt": b"0 1 0"}), REJECT),
    "no array in masks.npy": (lambda: zipped({"masks.npy": b"0 1 0"}), REJECT),
    "an empty masks.npy": (lambda: zipped({"masks.npy": b""}), REJECT),
    "a path out of the archive": (lambda: zipped({"../../masks.npy": WHOLE}), UNSURE),
    "encrypted": (encrypted, REJECT),
    "packed by an unknown method": (lambda: packed_by(99), REJECT),
    "a pickle for an array": (lambda: zipped({"masks.npy": pickle.dumps(Planted())}), REJECT),
    "a pickle for an archive": (lambda: pickle.dumps(Planted()), REJECT),
    "a pickle within an array": (lambda: material.npz(masks=np.array([Planted()], object)), REJECT),
    "an npy file called npz": (lambda: WHOLE, UNSURE),
    "a header of code": (lambda: zipped({"masks.npy": headed(f"open({MARKER!r}, 'w')")}), REJECT),
    "a header of brackets": (lambda: zipped({"masks.npy": headed("{" * 60000)}), REJECT),
    "a header without shape": (
        lambda: zipped({"masks.npy": headed("{'descr': '|u1', 'fortran_order': False}")}),
        REJECT,
    ),
    "a negative shape": (
        lambda: zipped({"masks.npy": headed("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 32, 48)}")}),
        REJECT,
    ),
    "a shape of reals": (
        lambda: zipped({"masks.npy": headed("{'descr': '|u1', 'fortran_order': False, 'shape': (12.0, 32, 48)}")}),
        REJECT,
    ),
    "a shape of truths": (
        lambda: zipped({"masks.npy": headed("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 32, 48)}")}),
        REJECT,
    ),
    "no bytes a pixel": (
        lambda: zipped({"masks.npy": headed("{'descr': '|V0', 'fortran_order': False, 'shape': (12, 32, 48)}")}),
        REJECT,
    ),
    "a terabyte claimed": (lambda: zipped({"masks.npy": claiming((FRAMES, 2**20, 2**20))}), REJECT),
    "2^62 frames claimed": (lambda: zipped({"masks.npy": claiming((2**62, 32, 48))}), REJECT),
    "10^30 frames claimed": (lambda: zipped({"masks.npy": claiming((10**30, 32, 48))}), REJECT),
    "more frames claimed than are there": (lambda: zipped({"masks.npy": claiming((FRAMES, HEIGHT, WIDTH))}), REJECT),
    "300 megabytes of nothing": (bomb, REJECT),
    "fps alone": (lambda: material.npz(fps=8.0), REJECT),
    "fps 8, as the video": (lambda: material.npz(masks=material.masks(), fps=8.0), GOOD),
}


def runs(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, background first."""
    flat = np.concatenate([[0], mask.T.reshape(-1) > 0, [0]]).astype(int)
    edges = np.flatnonzero(np.diff(flat))
    return np.diff([0, *edges, mask.size]).tolist()


def entries(counts: Any = None, size: Any = (HEIGHT, WIDTH)) -> list[dict[str, Any]]:
    """An entry for each frame; all with the counts and the size given."""
    return [{"size": size, "counts": runs(mask) if counts is None else counts} for mask in material.masks()]


RUNS: dict[str, tuple[Any, Want]] = {
    "good": (entries(), GOOD),
    "several objects": ([[entry, entry] for entry in entries()], GOOD),
    "too few": (entries([5, 6]), REJECT),
    "too many": (entries([5, 10**9]), REJECT),
    "negative": (entries([-5, 1541]), REJECT),
    "huge numbers": (entries([10**400]), REJECT),
    "reals": (entries([768.0, 768.0]), REJECT),
    "truths": (entries([True, 1535]), REJECT),
    "texts": (entries(["768", "768"]), REJECT),
    "null": (entries({}), REJECT),
    "letters that are no counts": (entries("!!!!"), REJECT),
    "letters that do not end": (entries("o" * 100_000), REJECT),
    "letters of another alphabet": (entries("ж日本"), REJECT),
    "no size": ([{"counts": [1536]}] * FRAMES, REJECT),
    "size 0": (entries([0], (0, 0)), REJECT),
    "a negative size": (entries([1536], (-32, -48)), REJECT),
    "a huge size": (entries([2**62], (2**31, 2**31)), REJECT),
    "another size": (entries(None, (WIDTH, HEIGHT)), REJECT),
    "an object": ({"size": [32, 48], "counts": [1536]}, REJECT),
    "no entries": ([], REJECT),
    "numbers": ([1, 2, 3], REJECT),
    "deeper than 10^5": (b"[" * 100_000, REJECT),
    "an integer of 10^5 digits": (b"[" + b"9" * 100_000 + b"]", REJECT),
    "NaN": (b"NaN", REJECT),
    "UTF-16": (json.dumps(entries()).encode("utf-16"), UNSURE),
    "with a byte order mark": (b"\xef\xbb\xbf" + json.dumps(entries()).encode(), UNSURE),
    "one picture too few": (entries()[1:], REJECT),
}

VIDEOS: dict[str, tuple[Callable[[], bytes], Want]] = {
    "inverted": (lambda: material.encode(255 - material.masks(), "mp4", "libx264", "yuv420p"), REJECT),
    "black": (lambda: material.encode(material.masks() * 0, "mp4", "libx264", "yuv420p"), REJECT),
    "white": (lambda: material.encode(material.masks() * 0 + 255, "mp4", "libx264", "yuv420p"), REJECT),
    "the clip itself": (material.video, Want(FRAMES, rejected=True)),
    "a frame too few": (lambda: material.mask_video("mp4", FRAMES - 1), REJECT),
    "twice the size": (lambda: material.encode(material.masks(FRAMES, 64, 96), "mp4", "libx264", "yuv420p"), GOOD),
    "other proportions": (lambda: material.encode(material.masks(FRAMES, 64, 48), "mp4", "libx264", "yuv420p"), REJECT),
    "cut": (lambda: material.mask_video()[:1000], REJECT),
}
