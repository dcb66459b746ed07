"""Pictures and folders of them."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from maskvid.errors import UserError, first_line

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def images_in(folder: Path) -> list[Path]:
    """The pictures of a frame folder in numeric order, so that `frame2` comes before `frame10`."""

    def order(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]

    return sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=order)


def read_image(path: Path) -> Image.Image:
    """Open a picture and decode it.

    Raises:
        UserError: It is no picture, or a broken one.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG
        raise UserError(f"unreadable picture {path}: {first_line(error)}") from error
