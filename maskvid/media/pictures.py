"""Pictures and folders of them, as a viewer shows them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from maskvid.errors import UserError, said
from maskvid.media.png import check_png
from maskvid.media.regular import refuse_special

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

BACKGROUND = (255, 255, 255)
"""What shows through where a picture is transparent: a browser's page."""


def images_in(folder: Path) -> list[Path]:
    """The pictures of a frame folder in numeric order: `frame2` comes before `frame10`. Hidden files are none."""

    def order(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]

    found = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in found if not path.name.startswith(".")), key=order)


def frame_number(path: Path) -> int | None:
    """The last number in a picture's name, which counts the frames; None where it has none."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; what goes wrong within the block is the picture's fault.

    Raises:
        UserError: It is no picture, a broken one, or one of more pixels than `PIL.Image.MAX_IMAGE_PIXELS`: an 8K film
            has a third of that, and a small file may claim any size.
    """
    refuse_special(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                yield picture
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(
            f"unreadable picture {path}: it has more than {Image.MAX_IMAGE_PIXELS} pixels; make it smaller."
        ) from error
    # PIL raises SyntaxError for a broken PNG, ValueError for text that is too long, others for broken parts
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
        raise UserError(f"unreadable picture {path}: {said(error)}") from error


def pages(path: Path) -> Iterator[Image.Image]:
    """All pictures of a file, turned as its EXIF orientation says: one, or those of an animation or a multi-page TIFF.

    Raises:
        UserError: See `opened`.
    """
    with opened(path) as picture:
        if picture.format == "PNG":
            check_png(path)
        for page in ImageSequence.Iterator(picture):
            page.load()
            yield ImageOps.exif_transpose(page)


def page(path: Path) -> Image.Image:
    """The one picture of a file, turned as its EXIF orientation says.

    Raises:
        UserError: See `opened`; or it moves, and would stand still here.
    """
    found = pages(path)
    first = next(found)
    if next(found, None) is not None:
        raise UserError(f"{path} moves: it holds several pictures, where one is asked for; take them apart.")
    return first


def read_frame(path: Path) -> np.ndarray:
    """A picture as it is shown, uint8 (h, w, 3): turned, 16 bits brought to 8, white where it is transparent.

    Raises:
        UserError: See `page`; or it holds no colours, but measurements.
    """
    image = page(path)
    if image.mode == "F":
        raise UserError(f"{path} holds floating-point numbers, whose white nobody knows; save it as a PNG.")
    if image.mode.startswith("I"):
        grey = np.rint(sixteen_bits(image, path) / 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def sixteen_bits(image: Image.Image, path: Path) -> np.ndarray:
    """Numbers of a grey picture of more than eight bits, uint16 (h, w).

    Raises:
        UserError: They need more than sixteen.
    """
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UserError(f"{path} has values from {values.min()} to {values.max()}; 0 to 65535 are read.")
    return values.astype(np.uint16)
