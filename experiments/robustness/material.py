"""Good inputs, from which bad ones are made: a clip of twelve frames and its masks in every form that is read."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

HEIGHT, WIDTH, FRAMES, RATE = 32, 48, 12, 8
CAPTION = "a square wanders"

CODECS = {
    "mp4": ("mp4", "libx264", "yuv420p"),
    "mkv": ("matroska", "libx264", "yuv420p"),
    "webm": ("webm", "libvpx", "yuv420p"),
    "avi": ("avi", "mpeg4", "yuv420p"),
    "gif": ("gif", "gif", "rgb8"),
    "mov": ("mov", "mpeg4", "yuv420p"),
    "ts": ("mpegts", "libx264", "yuv420p"),
}
"""Suffix: container, codec and pixels; those that are damaged in every way."""

MORE_CODECS = {
    "m4v": ("mp4", "mpeg4", "yuv420p"),
    "m2ts": ("mpegts", "libx264", "yuv420p"),
    "mts": ("mpegts", "libx264", "yuv420p"),
    "wmv": ("asf", "wmv2", "yuv420p"),
}
"""Those that are read whole."""


def frames(count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A bright square that wanders over a smooth ground, uint8 (f, h, w, 3)."""
    rows, columns = np.mgrid[:height, :width]
    ground = np.stack([rows * 3 % 200, columns * 2 % 200, (rows + columns) % 200], axis=-1)
    pictures = ground[None].repeat(count, axis=0).astype(np.uint8)
    pictures[masks(count, height, width) > 0] = (230, 220, 210)
    return pictures


def masks(count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The square's masks, uint8 (f, h, w): a sixteenth of each picture."""
    stack = np.zeros((count, height, width), np.uint8)
    for index in range(count):
        left = width // 12 + index * (width // 2) // max(count, 1)
        stack[index, height // 4 : height // 2, left : left + width // 4] = 255
    return stack


SHARE = float((masks() > 0).mean())


def encode(pictures: np.ndarray, container: str, codec: str, pixels: str, rate: Any = RATE) -> bytes:
    """A video file of frames (f, h, w, 3) or masks (f, h, w)."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], pixels
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"crf": "10"}
        elif codec != "gif":
            stream.bit_rate = 2_000_000
        for picture in pictures:
            rgb = picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=-1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")))
        file.mux(stream.encode())
    return target.getvalue()


@cache
def video(suffix: str = "mp4", count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    """The clip as a file."""
    return encode(frames(count, height, width), *(CODECS | MORE_CODECS)[suffix])


@cache
def mask_video(suffix: str = "mp4", count: int = FRAMES) -> bytes:
    """The masks as a file."""
    return encode(masks(count), *(CODECS | MORE_CODECS)[suffix])


def npz(**arrays: Any) -> bytes:
    """An npz file."""
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def npy(array: np.ndarray) -> bytes:
    """An npy file."""
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


@cache
def mask_npz() -> bytes:
    """The masks as npz, without a frame rate: one for each frame."""
    return npz(masks=masks())


def metadata(folder: Path, *rows: dict[str, Any] | bytes) -> None:
    """Write `metadata.jsonl`; bytes are a line as it stands."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "metadata.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def row(**fields: Any) -> dict[str, Any]:
    """The good clip's line of metadata, with some fields changed."""
    return {"file_name": "clip.mp4", "mask": "clip.npz", "text": "[a square] wanders", "id": "clip", **fields}


def good_clip(folder: Path, name: str = "clip") -> None:
    """Video and masks of a good clip, without its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.mp4").write_bytes(video())
    (folder / f"{name}.npz").write_bytes(mask_npz())
