"""What a pipeline is given: pictures of every usual kind, and a callback behind each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from maskvid.errors import UserError
from maskvid.media.decode import decode_frames, frames_to_float
from maskvid.media.resample import resize_crop

Callback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any] | None]


def picture_given(image: Any, size: tuple[int, int]) -> torch.Tensor:
    """A picture, cut to a size's aspect ratio.

    Args:
        image: A path, a PIL picture, an array (h, w, 3) of uint8, or a tensor (3, h, w) in [0, 1].
        size: (H, W) in pixels.

    Returns:
        (1, 3, H, W) in [-1, 1].

    Raises:
        UserError: It is none of these.
    """
    if isinstance(image, (str, Path)):
        return frames_to_float(decode_frames(Path(image), *size, limit=1))
    if isinstance(image, torch.Tensor) and image.ndim == 3:
        image = image.detach().float().cpu().mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise UserError(f"image: {type(image).__name__} {pixels.shape} of {pixels.dtype}; give a picture, (h, w, 3).")
    return frames_to_float(resize_crop(pixels, *size)[None])


def drawn_name(generator: torch.Generator | None) -> str:
    """A clip's name, of which all that is drawn for it is a function; None draws it anew each time."""
    device = None if generator is None else generator.device
    return str(torch.randint(2**62, (1,), generator=generator, device=device).item())


class Interrupted(Exception):
    """The steps that are left are not made."""

    def __init__(self, latents: torch.Tensor) -> None:
        super().__init__("interrupted")
        self.latents = latents


class Steps:
    """An `after_step` of `sample_video`: moves the bar, calls back, and ends where the pipeline's `interrupt` is set.

    Args:
        pipeline: Whose call it is.
        bar: Moved by each step.
        callback: Called as (pipeline, step, timestep, tensors); `latents` in what it returns are gone on with.
        names: The tensors that it is given: `latents`, or nothing.
    """

    def __init__(self, pipeline: Any, bar: Any, callback: Callback | None, names: Sequence[str]) -> None:
        self.pipeline, self.bar, self.callback, self.names = pipeline, bar, callback, names

    def __call__(self, step: int, latents: torch.Tensor) -> torch.Tensor:
        """Look at (b, f, c, h, w) behind step number `step`, counted from 1."""
        self.bar.update()
        if self.callback is not None:
            tensors = {"latents": latents} if "latents" in self.names else {}
            answer = self.callback(self.pipeline, step - 1, self.pipeline.scheduler.timesteps[step - 1], tensors) or {}
            latents = answer.get("latents", latents)
        if self.pipeline.interrupt:
            raise Interrupted(latents)
        return latents
