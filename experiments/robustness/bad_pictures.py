"""Pictures: frames of a clip, masks, and first frames of every mode, turned, cut, flipped, renamed and enormous."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.robustness import material
from experiments.robustness.bad_videos import JUNK, flipped
from experiments.robustness.case import REJECT, Case, Want
from experiments.robustness.material import FRAMES, SHARE
from experiments.robustness.programs import first_frame, masks_of, one_clip

KIND = "pictures"
GOOD = Want(FRAMES)
UNSURE = Want(FRAMES, rejected=True)
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP"}
PLACES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
ORIENTATION = 0x0112


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """A picture as a file."""
    target = io.BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()


def frame(index: int = 0) -> Image.Image:
    """One of the clip's."""
    return Image.fromarray(material.frames()[index])


def mask(index: int = 0) -> np.ndarray:
    """One of the clip's, uint8 (h, w)."""
    return material.masks()[index]


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colours: int = 2) -> bytes:
    """A PNG file that claims a size, with such chunks behind its head."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    """A BMP file that claims a size."""
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 154, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)
    )


def patched(content: bytes, place: int, value: bytes) -> bytes:
    """A file with other bytes in one place."""
    return content[:place] + value + content[place + len(value) :]


PIXELS = chunk(b"IDAT", zlib.compress(bytes(32 * (1 + 48 * 3))))
MODES: dict[str, Callable[[], bytes]] = {
    "RGBA": lambda: saved(frame().convert("RGBA")),
    "L": lambda: saved(frame().convert("L")),
    "LA": lambda: saved(frame().convert("LA")),
    "1": lambda: saved(frame().convert("1")),
    "P": lambda: saved(frame().quantize(64)),
    "16 bits": lambda: saved(Image.fromarray(np.asarray(frame().convert("L")).astype(np.uint16) * 257)),
    "CMYK": lambda: saved(frame().convert("CMYK"), "JPEG"),
    "transparent palette": lambda: saved(frame().quantize(64), transparency=3),
    "interlaced": lambda: saved(frame(), "JPEG", progressive=True),
    "a JPEG called PNG": lambda: saved(frame(), "JPEG"),
    "a broken colour profile": lambda: saved(frame(), icc_profile=b"no profile"),
    "broken EXIF": lambda: saved(frame(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
}
"""Pictures that show what they show, whatever they were saved as."""

HOPELESS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a billion pixels claimed by a PNG": ("png", lambda: png(40000, 40000, PIXELS)),
    "2^62 pixels claimed by a PNG": ("png", lambda: png(2**31 - 1, 2**31 - 1, PIXELS)),
    "no pixels in a PNG": ("png", lambda: png(0, 0, PIXELS)),
    "too few pixels in a PNG": ("png", lambda: png(48, 64, PIXELS)),
    "no data in a PNG": ("png", lambda: png(48, 32)),
    "an unknown depth in a PNG": ("png", lambda: png(48, 32, PIXELS, depth=77)),
    "a text that unpacks to 100 megabytes": (
        "png",
        lambda: png(48, 32, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), PIXELS),
    ),
    "a billion pixels claimed by a BMP": ("bmp", lambda: bmp(40000, 40000)),
    "a negative size in a BMP": ("bmp", lambda: bmp(-48, -32)),
    "a billion pixels claimed by a JPEG": (
        "jpg",
        lambda: (lambda c: patched(c, c.index(b"\xff\xc0") + 5, b"\xff\xdc\xff\xdc"))(saved(frame(), "JPEG")),
    ),
    "a billion pixels claimed by a TIFF": (
        "tif",
        lambda: (
            saved(frame(), "TIFF")
            .replace(struct.pack("<HHII", 256, 4, 1, 48), struct.pack("<HHII", 256, 4, 1, 10**6))
            .replace(struct.pack("<HHIHH", 256, 3, 1, 48, 0), struct.pack("<HHII", 256, 4, 1, 10**6))
        ),
    ),
    "reals in a TIFF": ("tif", lambda: saved(Image.fromarray(np.float32(mask())), "TIFF")),
    "a moving picture among the frames": (
        "webp",
        lambda: saved(frame(), "WEBP", save_all=True, append_images=[frame(5)]),
    ),
    "a smaller one": ("png", lambda: saved(frame().resize((24, 16)))),
    "one turned by its EXIF": ("jpg", lambda: turned(frame(), 6)),
}


def turned(picture: Image.Image, orientation: int, form: str = "JPEG") -> bytes:
    """A picture with an orientation in its EXIF."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(picture, form, exif=exif)


def grey(values: np.ndarray, mode: str | None = None) -> bytes:
    """A grey picture, or one of numbers."""
    return saved(Image.fromarray(values) if mode is None else Image.fromarray(values).convert(mode))


def indexed(palette: list[int], numbers: np.ndarray) -> bytes:
    """A picture of numbers and their colours."""
    picture = Image.fromarray(numbers, mode="P")
    picture.putpalette(palette + [0] * (3 * (int(numbers.max()) + 1) - len(palette)))  # else bits of numbers are lost
    return saved(picture)


def cut_out(opaque: np.ndarray) -> bytes:
    """A picture that is transparent but for the foreground."""
    return saved(Image.fromarray(np.dstack([np.asarray(frame()), opaque])))


SQUARE = mask() // 255
MASKS: dict[str, tuple[str, Callable[[], bytes], float | None]] = {
    "0 and 255": ("png", lambda: grey(mask()), SHARE),
    "0 and 1": ("png", lambda: grey(SQUARE), SHARE),
    "one bit": ("png", lambda: grey(mask(), "1"), SHARE),
    "RGB": ("png", lambda: grey(mask(), "RGB"), SHARE),
    "opaque RGBA": ("png", lambda: grey(mask(), "RGBA"), SHARE),
    "cut out": ("png", lambda: cut_out(mask()), SHARE),
    "numbers": ("png", lambda: indexed([0, 0, 0, 200, 0, 0], SQUARE), SHARE),
    "numbers and void": (
        "png",
        lambda: indexed([0, 0, 0, 200, 0, 0], np.where(mask(6) > 0, 255, SQUARE).astype(np.uint8)),
        SHARE,
    ),
    "white first": ("png", lambda: indexed([255, 255, 255, 0, 0, 0], 1 - SQUARE), SHARE),
    "16 bits, 0 and 65535": ("png", lambda: grey(np.uint16(SQUARE) * 65535), SHARE),
    "16 bits, 0 and 255": ("png", lambda: grey(np.uint16(mask())), SHARE),
    "16 bits, 0 and 1": ("png", lambda: grey(np.uint16(SQUARE)), SHARE),
    "JPEG": ("jpg", lambda: saved(Image.fromarray(mask()), "JPEG", quality=95), SHARE),
    "lossy WebP": ("webp", lambda: saved(Image.fromarray(mask()), "WEBP", quality=95), SHARE),
    "TIFF": ("tif", lambda: saved(Image.fromarray(mask()), "TIFF"), SHARE),
    "TIFF of reals": ("tif", lambda: saved(Image.fromarray(np.float32(SQUARE)), "TIFF"), SHARE),
    "TIFF of NaN": ("tif", lambda: saved(Image.fromarray(np.full((32, 48), np.nan, np.float32)), "TIFF"), None),
    "TIFF of 32 bits": ("tif", lambda: saved(Image.fromarray(np.int32(SQUARE) * 10**6), "TIFF"), None),
    "white": ("png", lambda: grey(mask() * 0 + 255), None),
    "black": ("png", lambda: grey(mask() * 0), None),
    "inverted": ("png", lambda: grey(255 - mask()), None),
    "brightness and alpha that differ": (
        "png",
        lambda: saved(Image.fromarray(np.dstack([mask()] * 3 + [255 - mask()]))),
        None,
    ),
    "a billion pixels": ("png", lambda: png(40000, 40000, PIXELS), None),
    "empty": ("png", lambda: b"", None),
    "cut": ("png", lambda: grey(mask())[:60], None),
    "a JPEG cut": ("jpg", lambda: (lambda c: c[: len(c) * 3 // 4])(saved(Image.fromarray(mask()), "JPEG")), None),
}
"""A mask for all frames."""


def frames_case(name: str, spoil: Callable[[Path], None], want: Want, suffix: str = "png") -> Case:
    """A clip of pictures of which `spoil` gets the folder."""

    def build(folder: Path) -> None:
        (folder / "clip").mkdir()
        for index in range(FRAMES):
            (folder / "clip" / f"{index:03d}.{suffix}").write_bytes(saved(frame(index), FORMATS[suffix]))
        spoil(folder / "clip")

    return one_clip(KIND, name, build, want, file_name="clip", fps=8)


def replaced(name: str, content: Callable[[], bytes], want: Want, suffix: str = "png") -> Case:
    """A clip of pictures of which the fourth is another."""
    return frames_case(name, lambda folder: (folder / f"003.{suffix}").write_bytes(content()) and None, want, suffix)


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    for suffix, form in FORMATS.items():
        yield frames_case(f"frames: {suffix}", lambda folder: None, GOOD, suffix)
        for place in PLACES:
            yield replaced(
                f"frame: {suffix} cut at {place:.0%}",
                lambda f=form, p=place: cut(f, p),
                UNSURE if whole(cut(form, place)) else REJECT,
                suffix,
            )
        for seed in range(3):
            yield replaced(
                f"frame: {suffix} flipped, seed {seed}",
                lambda f=form, n=seed: flipped(saved(frame(3), f), n),
                UNSURE,
                suffix,
            )
        for name in ("nothing", "text", "noise"):
            yield replaced(f"frame: {suffix}, {name}", lambda n=name: JUNK[n], REJECT, suffix)
    for name, content in MODES.items():
        yield replaced(f"frame: {name}", content, GOOD)
    for name, (suffix, content) in HOPELESS.items():
        yield replaced(f"frame: {name}", content, REJECT, suffix)
    for orientation in range(1, 9):
        want = GOOD if orientation < 5 else REJECT  # the masks lie
        yield frames_case(
            f"frames: orientation {orientation}", lambda folder, o=orientation: all_turned(folder, o), want, "jpg"
        )
    for name, (suffix, content, share) in MASKS.items():
        yield masks_of(
            run, KIND, f"mask: {name}", f"m.{suffix}", lambda path, c=content: path.write_bytes(c()) and None, share
        )
    for name, content in (MODES | {f"orientation {n}": lambda n=n: turned(frame(), n) for n in (3, 6)}).items():
        yield first_frame(run, KIND, f"first frame: {name}", "first.png", content, right=True)
    for name, (suffix, content) in HOPELESS.items():
        if name not in ("a smaller one", "one turned by its EXIF"):
            yield first_frame(run, KIND, f"first frame: {name}", f"first.{suffix}", content, right=False)
    for name, junk in JUNK.items():
        if name != "a picture":
            yield first_frame(run, KIND, f"first frame: {name}", "first.jpg", lambda j=junk: j, right=False)


def cut(form: str, place: float) -> bytes:
    """The first part of a picture."""
    whole = saved(frame(3), form)
    return whole[: int(len(whole) * place)]


def whole(content: bytes) -> bool:
    """Whether every pixel of a cut picture is still there: a PNG may lose its end alone."""
    try:
        return bool((np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) == material.frames()[3]).all())
    except (OSError, SyntaxError):
        return False


def all_turned(folder: Path, orientation: int) -> None:
    """Give all pictures of a folder one orientation."""
    for index, path in enumerate(sorted(folder.iterdir())):
        path.write_bytes(turned(frame(index), orientation))
