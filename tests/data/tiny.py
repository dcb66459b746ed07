"""Tiny synthetic triples and a deterministic encoder for the tests of this room."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from maskvid.prompt import Prompt

HEIGHT, WIDTH, FRAMES = 32, 48, 10


def make_frames(count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH, shift: int = 0) -> np.ndarray:
    """A bright square that wanders to the right over a smooth ground, uint8 (f, h, w, 3)."""
    rows, columns = np.mgrid[:height, :width]
    frames = np.stack([rows * 3, columns * 2, rows + columns + shift], axis=-1)[None].repeat(count, axis=0)
    frames[make_masks(count, height, width) > 0] = (230, 220, 210)
    return frames.astype(np.uint8)


def make_masks(count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The square's masks, uint8 (f, h, w)."""
    masks = np.zeros((count, height, width), np.uint8)
    for index in range(count):
        masks[index, height // 4 : height // 2, 4 + 2 * index : 16 + 2 * index] = 255
    return masks


def write_mp4(path: Path, frames: np.ndarray, fps: float = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if frames.ndim == 3:
        frames = frames[..., None].repeat(3, axis=-1)
    iio.imwrite(path, frames, fps=fps, codec="libx264", macro_block_size=1, output_params=["-crf", "12"])
    return path


def write_pictures(folder: Path, frames: np.ndarray, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index}{suffix}")  # not padded: order must be numeric
    return folder


def write_triple(folder: Path, name: str = "clip", **row: Any) -> Path:
    """Add one good triple to a metadata.jsonl folder; keywords override or add to its row (None removes a key)."""
    shift = 7 * sum(map(ord, name)) % 60
    write_mp4(folder / f"{name}.mp4", make_frames(shift=shift))
    np.savez_compressed(folder / f"{name}.npz", masks=make_masks(), fps=8.0)
    full = {"file_name": f"{name}.mp4", "mask": f"{name}.npz", "text": f"[a square] wanders, {name}", **row}
    with (folder / "metadata.jsonl").open("a") as handle:
        handle.write(json.dumps({key: value for key, value in full.items() if value is not None}) + "\n")
    return folder


class AverageEncoder:
    """Averages frames over 4x4 cells and hashes words; counts its calls so that a cache hit can be seen."""

    def __init__(self, fingerprint: str = "average-1") -> None:
        self.fingerprint = fingerprint
        self.dtype = torch.float32
        self.frames_encoded = 0
        self.prompts_encoded = 0

    def encoded_shapes(self, height: int, width: int) -> dict[str, tuple[int, ...]]:
        return {"latents": (3, height // 4, width // 4), "text": (8, 6), "subject": (8,), "pooled": (6,)}

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        assert frames.min() >= -1
        assert frames.max() <= 1
        self.frames_encoded += len(frames)
        return F.avg_pool2d(frames, 4)

    def encode_text(self, prompts: list[Prompt]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        self.prompts_encoded += len(prompts)
        text = torch.zeros(len(prompts), 8, 6)
        mask = torch.zeros(len(prompts), 8)
        for row, prompt in enumerate(prompts):
            first, last = prompt.subject or (0, len(prompt.text))
            for place, word in enumerate(list(re.finditer(r"\S+", prompt.text))[:8]):
                text[row, place] = sum(map(ord, word[0])) % 97 + 1
                mask[row, place] = first <= word.start() < last
            if not prompt.text:
                mask[row] = 1
        return text, mask, text.mean(1)

    def warn_of_unknown(self, prompts) -> None:
        pass

    def prompt_faults(self, prompt: Prompt) -> list[str]:
        """Eight words are all that it takes."""
        before = len(prompt.text[: (prompt.subject or (0, 0))[1]].split())
        return [f"the subject {prompt.words!r} lies beyond 8 words"] if before > 8 else []
