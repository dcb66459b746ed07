"""Videos as files: mp4 and gif, pictures, prompt and masks beside them; each whole or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from PIL import Image

from maskvid.errors import UserError
from maskvid.files import atomic_write

VIEWABLE = 256  # pixels: a video whose short side is smaller is enlarged by a whole factor
GIF_FPS = 50  # times in a gif are hundredths of a second, and players slow down what lasts one


def video_name(clip_id: str, seed: int | str | None = None) -> str:
    """Name of a clip's sampled video; the seed is named where there are several. See `maskvid.files.file_name`."""
    return clip_id if seed is None else f"{clip_id}-seed{seed}"


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Turn float (f, 3, h, w) in [-1, 1] into uint8 (f, h, w, 3); values outside the range are clipped.

    Raises:
        UserError: The tensor is not a single video of RGB frames, or holds NaN or infinite values.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or frames.shape[0] == 0:
        raise UserError(f"frames has shape {tuple(frames.shape)}; give one video as (f, 3, h, w) with f >= 1")
    if not frames.isfinite().all():
        raise UserError("the video holds values that are not finite, so that nothing is written; see how it was tuned.")
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
        frames: float (f, 3, h, w) in [-1, 1], or pieces of that shape in order: an mp4 of any length is written in
            constant memory.
        fps: Frames per second.
        scale: Whole factor to enlarge by; None enlarges small videos until they can be looked at. An odd side is
            padded by one repeated pixel, because yuv420p halves the colour planes.
        crf: H.264 quality, 0 (lossless) to 51.

    Returns:
        `path`.

    Raises:
        UserError: Unknown suffix, more frames a second than a gif has, or frames that are not one RGB video.
    """
    path = Path(path)
    if path.suffix not in (".mp4", ".gif"):
        raise UserError(f"cannot write a video to {path}: its suffix must be .mp4 or .gif")
    if fps <= 0:
        raise UserError(f"fps is {fps}; give a positive number of frames per second")
    if path.suffix == ".gif" and fps > GIF_FPS:
        raise UserError(f"fps is {fps}, and players show a .gif at {GIF_FPS} at most; write an .mp4 to {path.stem}.mp4")
    pixels = _enlarged([frames] if isinstance(frames, torch.Tensor) else frames, scale)
    with atomic_write(path) as temporary:
        if path.suffix == ".gif":
            _write_gif(temporary, pixels, fps)
        else:
            _write_mp4(temporary, pixels, fps, crf)
    return path


def _enlarged(pieces: Iterable[torch.Tensor], scale: int | None) -> Iterator[np.ndarray]:
    for piece in pieces:
        for frame in to_uint8(piece):
            yield enlarge(frame, viewable_scale(*frame.shape[:2]) if scale is None else scale)


def _write_mp4(path: Path, pixels: Iterator[np.ndarray], fps: float, crf: int) -> None:
    first = next(pixels)
    height, width = first.shape[:2]
    # an absolute path, or FFmpeg would take `pipe:1` and the like for what they are to it
    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.options = {"crf": str(crf)}
        for frame in itertools.chain([first], pixels):
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(even))))
        container.mux(stream.encode())


def _write_gif(path: Path, pixels: Iterator[np.ndarray], fps: float) -> None:
    """Each frame with the 256 colours that suit it best; none is joined with its like, so that all are read again."""
    first = next(pixels)
    height, width = first.shape[:2]
    with av.open(str(path.absolute()), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("rgb24"), time_base=Fraction(1, 1000)
        )
        split, sink = graph.add("split"), graph.add("buffersink")
        choose, use = graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1")
        for giver, output, taker, entry in (
            (source, 0, split, 0), (split, 0, choose, 0), (split, 1, use, 0), (choose, 0, use, 1), (use, 0, sink, 0)
        ):  # fmt: skip
            giver.link_to(taker, output, entry)
        graph.configure()
        for index, pixel in enumerate(itertools.chain([first], pixels)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixel), format="rgb24")
            frame.pts, frame.time_base = round(index * 1000 / fps), Fraction(1, 1000)
            graph.push(frame)
            _drain(graph, stream, container)
        graph.push(None)
        _drain(graph, stream, container)
        container.mux(stream.encode())


def _drain(graph: av.filter.Graph, stream: av.VideoStream, container: av.container.OutputContainer) -> None:
    """Write what a graph has ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        container.mux(stream.encode(frame))  # type: ignore[arg-type]  # what came in are pictures


def write_sidecars(path: Path, prompt: str, masks: torch.Tensor, fps: float) -> None:
    """Write the prompt and the masks of a generated video beside it, as training data lie: `a.txt` and `a.mask.npz`.

    Args:
        path: Of the video.
        prompt: With the subjects in brackets.
        masks: float (f, k, h, w) in [0, 1] of k subjects, at the size the model worked at.
        fps: Frames a second, kept beside the masks.
    """
    levels = masks.mul(255).round().to(torch.uint8).cpu().numpy()
    write_mask_array(path.with_suffix(".mask.npz"), levels[:, 0] if levels.shape[1] == 1 else levels, fps)
    with atomic_write(path.with_suffix(".txt")) as temporary:
        temporary.write_text(prompt + "\n")


def write_mask_array(path: Path, masks: np.ndarray, fps: float) -> Path:
    """Write uint8 masks (f, h, w), or (f, k, h, w) of k objects, with their frame rate as npz; whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, masks=masks, fps=np.float64(fps))
    return path


def write_png(path: str | Path, image: np.ndarray) -> Path:
    """Write uint8 (h, w, 3) or (h, w) as PNG, whole or not at all."""
    path = Path(path)
    with atomic_write(path) as temporary:
        # a tenth larger than by Pillow's own level, in less than half the time
        Image.fromarray(image).save(temporary, format="PNG", compress_level=4)
    return path
