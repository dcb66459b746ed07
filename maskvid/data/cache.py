"""Latents and text embeddings, encoded once and kept on disk under a key of everything they depend on."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file

from maskvid.checksum import checksum
from maskvid.data.checked import CheckedClip
from maskvid.data.zooms import Zoom, zoomed_frames
from maskvid.errors import UserError
from maskvid.files import atomic_write, expanded
from maskvid.media.decode import DECODE_VERSION, frames_to_float, stream_frames
from maskvid.media.frames import frame_count
from maskvid.media.pictures import images_in
from maskvid.prompt import Prompt
from maskvid.tensor_file import read_tensors

CACHE_VERSION = 2
"""Raise it when what an entry holds changes."""

_FRAMES_PER_CALL = 8  # bounds the memory of the VAE; an entry does not depend on it beyond float rounding


class Encoder(Protocol):
    """What the data needs of a backbone.

    Attributes:
        fingerprint: Changes whenever the encoded numbers would, but for rounding: weights, configurations, tokenizer.
        dtype: Numbers that it computes in.
    """

    fingerprint: str
    dtype: torch.dtype

    def encoded_shapes(self, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of `latents` (c, h, w) of pictures of this size, `text` (n, d), `subject` (n), maybe `pooled` (p)."""
        ...

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode float32 (f, 3, H, W) in [-1, 1] on the CPU to scaled latents (f, c, h, w), the same every time."""
        ...

    def encode_text(self, prompts: list[Prompt]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return text (b, n, d), subject mask (b, n) in {0, 1} and pooled text (b, p) or None."""
        ...

    def prompt_faults(self, prompt: Prompt) -> list[str]:
        """Say what is wrong with a prompt, in words; `encode_text` refuses it then."""
        ...

    def warn_of_unknown(self, prompts: Iterable[Prompt]) -> None:
        """Name the words of prompts that were never seen in training, where that is known."""
        ...


def content_hash(path: Path) -> str:
    """sha256 of a file's bytes, or of the names and bytes of a frame folder's pictures."""
    digest = hashlib.sha256()
    for file in images_in(path) if path.is_dir() else [path]:
        digest.update(f"{file.name if path.is_dir() else ''}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def cache_key(**parts: str | int | bool | None) -> str:
    """sha256 over named parts and the version of the entries."""
    text = json.dumps({"cache_version": CACHE_VERSION, **parts}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class TensorCache:
    """A folder of safetensors files, each with its key and the checksum of its tensors inside.

    A file that is truncated, altered, under a wrong name or of another shape is never used: it is encoded anew with a
    warning. A checksum tells damage, not intent: whoever can write into the folder can put other numbers there, but
    nothing else.
    """

    def __init__(self, folder: str | Path) -> None:
        """Use this folder; it is made when the first entry is written."""
        self.folder = expanded(folder)

    def path(self, key: str) -> Path:
        """Where the entry of this key lies."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def get(self, key: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor] | None:
        """The entry of this key, or None if there is none that is whole.

        Args:
            key: See `cache_key`.
            shapes: What it must hold, float32.
        """
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            tensors, metadata = read_tensors(path, shapes, dtype=torch.float32)
        except UserError as error:
            warnings.warn(f"damaged cache entry {path} ({error}); encoding it anew", stacklevel=2)
            return None
        if metadata.get("key") != key or metadata.get("checksum") != checksum(tensors):
            warnings.warn(f"damaged cache entry {path} (checksum differs); encoding it anew", stacklevel=2)
            return None
        return tensors

    def put(self, key: str, tensors: dict[str, torch.Tensor]) -> None:
        """Write an entry whole or not at all.

        Raises:
            UserError: The folder cannot be written, e.g. the disk is full.
        """
        try:
            with atomic_write(self.path(key)) as temporary:
                save_file(tensors, temporary, metadata={"key": key, "checksum": checksum(tensors)})
        except UserError as error:
            raise UserError(f"data.cache_dir={self.folder}: {error} Entries written so far are kept.") from error


class EncodedData:
    """Latents and text embeddings out of the cache, encoded where the cache has none."""

    def __init__(self, encoder: Encoder, cache: TensorCache, *, height: int, width: int) -> None:
        """Encode with this encoder at this picture size in pixels."""
        self.encoder = encoder
        self.cache = cache
        self.height = height
        self.width = width
        self._content = lru_cache(content_hash)  # a clip has several entries

    def latents(self, video: Path, *, flip: bool = False) -> torch.Tensor:
        """Latents of every frame of a clip; windows are cut from them.

        The key holds the content of the video, not of its mask, which latents do not depend on.

        Args:
            video: Video file or frame folder that has passed the check.
            flip: Mirror the frames left to right before encoding.

        Returns:
            float32 (f, c, h, w), scaled.
        """
        key = self._key("latents", video, flip)
        shape = self.encoder.encoded_shapes(self.height, self.width)["latents"]
        entry = self.cache.get(key, {"latents": (frame_count(video), *shape)})
        if entry is None:
            frames = stream_frames(video, self.height, self.width)
            entry = {"latents": self._encode(frame_count(video), frames, flip)}
            self.cache.put(key, entry)
        return entry["latents"]

    def _key(self, kind: str, video: Path, flip: bool, **more: str | int) -> str:
        return cache_key(
            kind=kind,
            video=self._content(video),
            height=self.height,
            width=self.width,
            flip=flip,
            dtype=str(self.encoder.dtype),
            decode_version=DECODE_VERSION,
            backbone=self.encoder.fingerprint,
            **more,
        )

    def _encode(self, count: int, frames: Iterator[np.ndarray], flip: bool) -> torch.Tensor:
        latents: torch.Tensor | None = None
        for start in range(0, count, _FRAMES_PER_CALL):
            pixels = np.stack(list(islice(frames, _FRAMES_PER_CALL)))
            part = _stored(self.encoder.encode_frames(frames_to_float(pixels[:, :, ::-1].copy() if flip else pixels)))
            # room is made once: small parts kept between large frames that go would leave holes of many gigabytes
            latents = torch.empty(count, *part.shape[1:]) if latents is None else latents
            latents[start : start + len(part)] = part
        assert latents is not None, "a clip that has passed the check has frames"
        return latents

    def text(self, prompt: Prompt) -> dict[str, torch.Tensor]:
        """Embedding of one prompt.

        Returns:
            `text` (n, d), `subject` (n) and, where the backbone has one, `pooled` (p); all float32.
        """
        key = cache_key(
            kind="text", prompt=prompt.marked, dtype=str(self.encoder.dtype), backbone=self.encoder.fingerprint
        )
        shapes = self.encoder.encoded_shapes(self.height, self.width)
        entry = self.cache.get(key, {name: shape for name, shape in shapes.items() if name != "latents"})
        if entry is None:
            text, mask, pooled = self.encoder.encode_text([prompt])
            entry = {"text": _stored(text[0]), "subject": _stored(mask[0])}
            if pooled is not None:
                entry["pooled"] = _stored(pooled[0])
            self.cache.put(key, entry)
        return entry

    def zoomed(self, clip: CheckedClip, zoom: Zoom, *, flip: bool = False) -> torch.Tensor:
        """Latents float32 (f, c, h, w), scaled, of a part of a clip shown larger; otherwise as `latents`."""
        key = self._key("zoom", clip.triple.video, flip, **asdict(zoom) | {"frames": str(zoom.frames)})
        shape = self.encoder.encoded_shapes(self.height, self.width)["latents"]
        entry = self.cache.get(key, {"latents": (len(zoom.frames), *shape)})
        if entry is None:
            entry = {
                "latents": self._encode(
                    len(zoom.frames), iter(zoomed_frames(clip, zoom, self.height, self.width)), flip
                )
            }
            self.cache.put(key, entry)
        return entry["latents"]


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()
