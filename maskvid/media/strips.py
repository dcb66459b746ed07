"""Videos as strips of frames and contact sheets, the requested mask drawn on them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from maskvid.clip import Sample
from maskvid.errors import UserError
from maskvid.media.writing import enlarge, to_uint8, viewable_scale

MARGIN = 4  # pixels between the frames of a strip


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
    shown = range(count) if columns is None else spaced(count, columns)
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
    """Indices of at most `columns` of `count` frames, evenly spaced, first and last included."""
    if columns < 1:
        raise UserError(f"columns is {columns}; show at least one frame")
    if columns >= count:
        return list(range(count))
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


MISSED, SPILLED = (222, 45, 38), (49, 110, 230)
"""Colours of what was asked for and is not there, and of what is there and was not asked for."""


def compared(frames: torch.Tensor, masks: torch.Tensor, detected: torch.Tensor) -> torch.Tensor:
    """Frames, paler, with what their masks ask for and is missing in red, and what spilled over them in blue.

    Args:
        frames: float (f, 3, h, w) in [-1, 1].
        masks: float (f, 1, h, w) in [0, 1], what was asked for.
        detected: float (f, 1, h, w) in [0, 1], where the foreground was found. Both are cut at >= 0.5.

    Returns:
        float (f, 3, h, w) in [-1, 1].
    """
    result = frames.float().cpu() * 0.5 + 0.4
    asked, found = masks.cpu() >= 0.5, detected.cpu() >= 0.5
    for where, colour in ((asked & ~found, MISSED), (found & ~asked, SPILLED)):
        result = torch.where(where, torch.tensor(colour).view(1, 3, 1, 1) / 127.5 - 1, result)
    return result


def sample_sheet(
    sample: Sample, *, columns: int | None = 8, scale: int | None = None, detected: torch.Tensor | None = None,
    heading: str = "",
) -> np.ndarray:  # fmt: skip
    """Show what was asked for above what was made: real clip (or the bare mask), then the generated frames.

    The requested mask is outlined on both rows.

    Args:
        sample: What is shown.
        columns: Number of frames; None shows all.
        scale: Whole factor to enlarge by; None enlarges small frames until they can be looked at.
        detected: Foreground (f, 1, h, w) that was found in the frames, for a third row, see `compared`.
        heading: Of that row.

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
    rows = [(label, asked), (f"generated: {sample.prompt}", made)]
    if detected is not None:
        difference = strip(compared(sample.frames, sample.masks, detected), columns=columns, scale=scale)
        rows.append((f"{heading} (red: missed, blue: spilled)", difference))
    return contact_sheet(rows)
