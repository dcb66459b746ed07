"""Videos as people look at them: mp4 and gif files, strips of frames with the requested mask drawn on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from maskvid.errors import UserError
from maskvid.files import atomic_write

VIEWABLE = 256  # pixels: a video whose short side is smaller is enlarged by a whole factor
MARGIN = 4  # pixels between the frames of a strip
FASTEST_GIF = 50  # frames a second: it counts in hundredths, and players show a frame of less than two for ten

_OWN_PALETTES = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"


@dataclass
class Sample:
    """One video made in validation; `MaskVidModule.validation_step` returns a list of them.

    Attributes:
        set_name: Validation set the clip belongs to; metrics are averaged within it.
        clip_id: Name of the clip, unique within its set.
        prompt: Caption the video was made from.
        frames: float (f, 3, h, w) in [-1, 1], on the CPU; frame 0 was given to the model.
        masks: float (f, 1, h, w) in [0, 1], requested foreground, white (1) is foreground.
        reference: float (f, 3, h, w) in [-1, 1], the real clip the masks were taken from, or None.
        fps: Frames per second to play it at.
        seed: Seed it was sampled with.
    """

    set_name: str
    clip_id: str
    prompt: str
    frames: torch.Tensor
    masks: torch.Tensor
    reference: torch.Tensor | None = None
    fps: float = 8.0
    seed: int = 0


def video_name(clip_id: str, seed: int | str | None = None) -> str:
    """Name of a clip's sampled video; the seed is named where there are several. See `maskvid.files.file_name`."""
    return clip_id if seed is None else f"{clip_id}-seed{seed}"


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Turn float (f, 3, h, w) in [-1, 1] into uint8 (f, h, w, 3); values outside the range are clipped.

    Raises:
        UserError: The tensor is not a single video of RGB frames.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or frames.shape[0] == 0:
        raise UserError(f"frames has shape {tuple(frames.shape)}; give one video as (f, 3, h, w) with f >= 1")
    pixels = frames.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round()
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def viewable_scale(height: int, width: int) -> int:
    """Smallest whole factor by which the short side reaches `VIEWABLE` pixels."""
    return max(1, -(-VIEWABLE // min(height, width)))


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge uint8 or float (h, w[, c]) by a whole factor, bicubic: smooth edges without a blocky grid."""
    if scale < 1:
        raise UserError(f"scale is {scale}; give a whole factor >= 1")
    if scale == 1:
        return image
    height, width = image.shape[:2]
    return cv2.resize(image, (width * scale, height * scale), interpolation=cv2.INTER_CUBIC)


def write_video(
    path: str | Path,
    frames: torch.Tensor | Iterable[torch.Tensor],
    fps: float,
    *,
    scale: int | None = None,
    crf: int = 14,
) -> Path:
    """Write a video as .mp4 (H.264, yuv420p, which every player and browser reads) or .gif, whole or not at all.

    Args:
        path: Where to write; the suffix, .mp4 or .gif, chooses the format.
        frames: float (f, 3, h, w) in [-1, 1], or pieces of that shape in order: a video of any length is written in
            constant memory.
        fps: Frames per second.
        scale: Whole factor to enlarge by; None enlarges small videos until they can be looked at. An odd side is
            padded by one repeated pixel, because yuv420p halves the colour planes.
        crf: H.264 quality, 0 (lossless) to 51.

    Returns:
        `path`.

    Raises:
        UserError: Unknown suffix, a rate that the format does not have, or frames that are not one RGB video.
    """
    path = Path(path)
    if path.suffix not in (".mp4", ".gif"):
        raise UserError(f"cannot write a video to {path}: its suffix must be .mp4 or .gif")
    if fps <= 0:
        raise UserError(f"fps is {fps}; give a positive number of frames per second")
    if path.suffix == ".gif" and fps > FASTEST_GIF:
        raise UserError(f"fps is {fps}; a .gif shows at most {FASTEST_GIF} frames a second, an .mp4 any number")
    pixels = _enlarged([frames] if isinstance(frames, torch.Tensor) else frames, scale)
    with atomic_write(path) as temporary:
        if path.suffix == ".gif":
            options = ["-filter_complex", _OWN_PALETTES, "-loop", "0"]
            _write(temporary, pixels, fps, codec="gif", pix_fmt_out="pal8", output_params=options)
        else:
            options = ["-crf", str(crf), "-movflags", "+faststart"]
            _write(temporary, _even(pixels), fps, codec="libx264", pix_fmt_out="yuv420p", output_params=options)
    return path


def _enlarged(pieces: Iterable[torch.Tensor], scale: int | None) -> Iterator[np.ndarray]:
    for piece in pieces:
        for frame in to_uint8(piece):
            yield enlarge(frame, viewable_scale(*frame.shape[:2]) if scale is None else scale)


def _even(pixels: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in pixels:
        yield np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _write(path: Path, pixels: Iterator[np.ndarray], fps: float, **options: Any) -> None:
    first = next(pixels)
    height, width = first.shape[:2]
    # the padding above is all that H.264 needs; the library's default block size would stretch the picture
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, quality=None, macro_block_size=1, **options
    )
    writer.send(None)
    try:
        for frame in itertools.chain([first], pixels):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def write_sidecars(path: Path, prompt: str, masks: torch.Tensor, fps: float) -> None:
    """Write the prompt and the masks of a generated video beside it, as training data lie: `a.txt` and `a.mask.npz`.

    Args:
        path: Of the video.
        prompt: With the subject in brackets.
        masks: float (f, 1, h, w) in [0, 1], at the size the model worked at.
        fps: Frames a second, kept beside the masks.
    """
    with atomic_write(path.with_suffix(".mask.npz")) as temporary, temporary.open("wb") as handle:
        pixels = masks[:, 0].mul(255).round().to(torch.uint8).cpu().numpy()
        np.savez_compressed(handle, masks=pixels, fps=np.float64(fps))
    with atomic_write(path.with_suffix(".txt")) as temporary:
        temporary.write_text(prompt + "\n")


def write_png(path: str | Path, image: np.ndarray) -> Path:
    """Write uint8 (h, w, 3) or (h, w) as PNG, whole or not at all."""
    path = Path(path)
    with atomic_write(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")
    return path


def outline(image: np.ndarray, mask: np.ndarray, *, scale: int = 1) -> np.ndarray:
    """Enlarge a frame and draw the edge of a mask on it as a thin light line with a dark rim.

    The line is drawn after enlarging, so that it hides little of a small frame; the rim keeps it visible on any
    ground.

    Args:
        image: uint8 (h, w, 3).
        mask: float (h, w) in [0, 1]; the line runs along its 0.5 level.
        scale: Whole factor to enlarge by.

    Returns:
        uint8 (h * scale, w * scale, 3).
    """
    canvas = np.ascontiguousarray(enlarge(image, scale)).copy()
    region = (enlarge(mask.astype(np.float32), scale) >= 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, (20, 20, 20), 3)
    cv2.drawContours(canvas, contours, -1, (255, 240, 60), 1)
    return canvas


def overlay(frames: torch.Tensor, masks: torch.Tensor, *, scale: int | None = None) -> torch.Tensor:
    """A video with the requested masks outlined on it.

    Args:
        frames: float (f, 3, h, w) in [-1, 1].
        masks: float (f, 1, h, w) in [0, 1].
        scale: Whole factor to enlarge by; None enlarges small videos until they can be looked at.

    Returns:
        float (f, 3, h * scale, w * scale) in [-1, 1].
    """
    scale = viewable_scale(*frames.shape[-2:]) if scale is None else scale
    drawn = [outline(f, m, scale=scale) for f, m in zip(to_uint8(frames), masks[:, 0].cpu().numpy(), strict=True)]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1


def strip(
    frames: torch.Tensor,
    masks: torch.Tensor | None = None,
    *,
    columns: int | None = 8,
    scale: int | None = None,
) -> np.ndarray:
    """Lay frames of one video side by side, with the requested mask outlined where masks are given.

    Args:
        frames: float (f, 3, h, w) in [-1, 1].
        masks: float (f, 1, h, w) in [0, 1], or None.
        columns: Number of frames shown, evenly spaced from the first to the last; None shows all.
        scale: Whole factor to enlarge by; None enlarges small frames until they can be looked at.

    Returns:
        uint8 (h * scale, columns * (w * scale + margin) - margin, 3).
    """
    pixels = to_uint8(frames)
    count, height, width = pixels.shape[:3]
    if masks is not None and tuple(masks.shape) != (count, 1, height, width):
        raise UserError(f"masks has shape {tuple(masks.shape)}; the frames need {(count, 1, height, width)}")
    scale = viewable_scale(height, width) if scale is None else scale
    shown = range(count) if columns is None or columns >= count else spaced(count, columns)
    cells: list[np.ndarray] = []
    for index in shown:
        if cells:
            cells.append(np.full((height * scale, MARGIN, 3), 255, np.uint8))
        if masks is None:
            cells.append(enlarge(pixels[index], scale))
        else:
            cells.append(outline(pixels[index], masks[index, 0].detach().float().cpu().numpy(), scale=scale))
    return np.concatenate(cells, axis=1)


def spaced(count: int, columns: int) -> list[int]:
    """Indices of `columns` of `count` frames, evenly spaced, first and last included."""
    if columns < 1:
        raise UserError(f"columns is {columns}; show at least one frame")
    return [int(index) for index in np.linspace(0, count - 1, columns).round()]


def contact_sheet(rows: Sequence[tuple[str, np.ndarray]], *, text_height: int = 16) -> np.ndarray:
    """Stack labelled images, each under its label, left-aligned on white.

    Args:
        rows: (label, uint8 (h, w, 3)) from top to bottom.
        text_height: Height of the letters in pixels.

    Returns:
        uint8 (H, W, 3), as wide as the widest row or label.
    """
    if not rows:
        raise UserError("rows is empty; a contact sheet needs at least one labelled image")
    font = ImageFont.load_default(size=text_height)
    band = text_height + 2 * MARGIN
    widths = [max(image.shape[1], int(font.getlength(label)) + 2 * MARGIN) for label, image in rows]
    sheet = Image.new("RGB", (max(widths), sum(image.shape[0] + band for _, image in rows)), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for label, image in rows:
        pen.text((MARGIN, top + MARGIN // 2), label, fill=(30, 30, 30), font=font)
        sheet.paste(Image.fromarray(image), (0, top + band))
        top += band + image.shape[0]
    return np.asarray(sheet).copy()


def sample_sheet(sample: Sample, *, columns: int | None = 8, scale: int | None = None) -> np.ndarray:
    """Show what was asked for above what was made: real clip (or the bare mask), then the generated frames.

    The requested mask is outlined on both rows.

    Returns:
        uint8 (H, W, 3), with the prompt as a heading.
    """
    if sample.reference is None:
        asked = strip(sample.masks.expand(-1, 3, -1, -1) * 2 - 1, columns=columns, scale=scale)
        label = "requested mask"
    else:
        asked = strip(sample.reference, sample.masks, columns=columns, scale=scale)
        label = "real clip, requested mask outlined"
    made = strip(sample.frames, sample.masks, columns=columns, scale=scale)
    return contact_sheet([(label, asked), (f"generated: {sample.prompt}", made)])
