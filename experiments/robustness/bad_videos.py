"""Videos: cut, flipped, empty, renamed, lying about themselves, without pictures, and good ones of every container."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np

from experiments.robustness import material
from experiments.robustness.case import REJECT, Case, Want
from experiments.robustness.material import CODECS, FRAMES, MORE_CODECS
from experiments.robustness.programs import one_clip

KIND = "videos"
PLACES = (0.02, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97, 0.995)
BOXES = ("ftyp", "mvhd", "tkhd", "mdhd", "hdlr", "stsd", "avcC", "stts", "stsz", "stsc", "stco", "elst")
"""Of an mp4 file: sizes, times and places of its frames are in them."""

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + bytes([8] * 64)
JUNK = {
    "nothing": b"",
    "text": b"this is no video\n" * 50,
    "a web page": b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n" * 20,
    "a picture": JPEG,
    "an archive": material.npz(masks=material.masks()),
    "noise": random.Random(0).randbytes(4096),
    "zeros": bytes(4096),
}


def damaged(suffix: str) -> Want:
    """It may be rejected; what is accepted must be all of it."""
    return Want(frames=FRAMES, rejected=True)


def file(kind: str, name: str, suffix: str, content: Callable[[], bytes], want: Want) -> Case:
    """A clip whose video is the content given."""
    return one_clip(
        kind, name, lambda folder: (folder / f"clip.{suffix}").write_bytes(content()), want, file_name=f"clip.{suffix}"
    )


def cases() -> Iterator[Case]:
    """All of them."""
    for suffix in (*CODECS, *MORE_CODECS):
        yield file(KIND, f"{suffix}: whole", suffix, lambda s=suffix: material.video(s), Want(FRAMES))
    for suffix in CODECS:
        for place in PLACES:
            yield file(
                KIND, f"{suffix}: cut at {place:.1%}", suffix, lambda s=suffix, p=place: cut(s, p), damaged(suffix)
            )
        for seed in range(5):
            yield file(
                KIND,
                f"{suffix}: flipped, seed {seed}",
                suffix,
                lambda s=suffix, n=seed: flipped(material.video(s), n),
                damaged(suffix),
            )
        for name, junk in JUNK.items():
            yield file(KIND, f"{suffix}: {name}", suffix, lambda j=junk: j, REJECT)
        yield file(KIND, f"{suffix}: its head alone", suffix, lambda s=suffix: material.video(s)[:40], REJECT)
        yield file(KIND, f"{suffix}: one frame", suffix, lambda s=suffix: material.video(s, 1), REJECT)
    for suffix, container, codec in (
        ("mp4", "mp4", "aac"),
        ("avi", "avi", "pcm_s16le"),
        ("mkv", "matroska", "pcm_s16le"),
        ("ts", "mpegts", "aac"),
    ):
        yield file(KIND, f"{suffix}: sound alone", suffix, lambda c=container, k=codec: sound(c, k), REJECT)
    for box in BOXES:
        for name, filling in (("zero", 0), ("huge", 0xFF)):
            yield file(KIND, f"mp4: {box} {name}", "mp4", lambda b=box, f=filling: spoiled(b, f), damaged("mp4"))
    for name, content in LYING.items():
        suffix = name.partition(":")[0]
        yield file(KIND, name, suffix, content, damaged(suffix))


def cut(suffix: str, place: float) -> bytes:
    """The first part of a video."""
    whole = material.video(suffix)
    return whole[: int(len(whole) * place)]


def flipped(whole: bytes, seed: int) -> bytes:
    """A file in which some twenty bytes are others."""
    draw = random.Random(seed)
    content = bytearray(whole)
    for _ in range(20):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def sound(container: str, codec: str) -> bytes:
    """A second of sound."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as out:
        stream = out.add_stream(codec, rate=44100)
        kind = "s16" if codec == "pcm_s16le" else "fltp"
        samples = np.zeros((1, 1024), np.int16 if kind == "s16" else np.float32)
        for index in range(40):
            frame = av.AudioFrame.from_ndarray(samples, kind, "mono")
            frame.sample_rate, frame.pts = 44100, index * 1024
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return target.getvalue()


def spoiled(box: str, filling: int) -> bytes:
    """An mp4 file, one box of which holds zeros or ones behind its version and flags."""
    content = bytearray(material.video())
    place = content.find(box.encode())
    if place < 0:
        return bytes(content)
    size = struct.unpack(">I", content[place - 4 : place])[0]
    start, end = place + 8, min(place - 4 + size, len(content))
    content[start:end] = bytes([filling]) * (end - start)
    return bytes(content)


def patched(suffix: str, sign: bytes, offset: int, value: bytes) -> bytes:
    """A video with other bytes behind a sign."""
    content = bytearray(material.video(suffix))
    place = content.index(sign) + offset
    content[place : place + len(value)] = value
    return bytes(content)


def stamped(stamps: list[int]) -> bytes:
    """Frames shown at the times given, in milliseconds."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as out:
        stream = out.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = material.WIDTH, material.HEIGHT, "yuv420p"
        for picture, stamp in zip(material.frames(), stamps, strict=True):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                packet.time_base, packet.pts, packet.dts = Fraction(1, 1000), stamp, stamp
                out.mux(packet)
    return target.getvalue()


LYING: dict[str, Callable[[], bytes]] = {
    "mp4: 65535 pixels wide": lambda: patched("mp4", b"avc1", 28, b"\xff\xff\xff\xff"),
    "mp4: of an unknown codec": lambda: patched("mp4", b"avc1", 0, b"zzzz"),
    "avi: 2147483647 pixels wide": lambda: patched("avi", b"strf", 12, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
    "avi: of an unknown codec": lambda: patched("avi", b"strf", 24, b"zzzz"),
    "avi: no seconds a frame": lambda: patched("avi", b"strh", 28, bytes(8)),
    "gif: 65535 pixels wide": lambda: patched("gif", b"GIF89a", 6, b"\xff\xff\xff\xff"),
    "mov: no time scale": lambda: patched("mov", b"mdhd", 16, bytes(4)),
    "mkv: all frames at once": lambda: stamped([0] * FRAMES),
    "mkv: a year between two frames": lambda: stamped([0, 125, *(31_536_000_000 + 125 * n for n in range(10))]),
    "mkv: a thousand frames a second": lambda: stamped(list(range(FRAMES))),
}
