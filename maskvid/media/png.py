"""Whether a PNG holds all its pixels: Pillow takes black for those that are not there."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from maskvid.errors import UserError

SIGNATURE = 8  # bytes
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the number of a PNG's colour type."""
PIECE = 2**20


def check_png(path: Path) -> None:
    """Refuse a PNG whose pixels end before its last row; what else is broken, Pillow finds. Interlaced ones pass.

    Raises:
        UserError: Names the file, the rows that are there and those that it claims.
    """
    with path.open("rb") as handle:
        handle.seek(SIGNATURE + 8)
        header = handle.read(13)
        if len(header) < 13:
            return
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        if interlaced or colour not in CHANNELS:
            return
        row = 1 + (width * CHANNELS[colour] * depth + 7) // 8
        rows = _inflated(handle, row * height) // row
    if rows < height:
        raise UserError(f"unreadable picture {path}: {rows} of its {height} rows are there; save or copy it again.")


def _inflated(handle: BinaryIO, enough: int) -> int:
    """Bytes that the data of a PNG unpack to, counted up to what is enough."""
    handle.seek(SIGNATURE)
    unpack, total = zlib.decompressobj(), 0
    while total < enough and len(head := handle.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind != b"IDAT":
            handle.seek(length + 4, 1)
            continue
        content = handle.read(length)
        handle.seek(4, 1)
        while total < enough:
            try:
                pixels = unpack.decompress(content, PIECE)
            except zlib.error:
                return enough  # Pillow says so
            if not pixels:
                break
            total, content = total + len(pixels), unpack.unconsumed_tail
    return total
