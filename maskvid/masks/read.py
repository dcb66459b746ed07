"""Masks out of videos, pictures, arrays and run lengths: white is foreground, whatever they were saved as."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from maskvid.errors import UserError
from maskvid.json_reading import read_bounded, read_json
from maskvid.media.arrays import ARRAY_SUFFIXES, find_stack, pictures
from maskvid.media.container import decoded, open_video
from maskvid.media.frames import frame_count
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in, page, pages, sixteen_bits
from maskvid.media.regular import is_folder
from maskvid.media.rle import LARGEST, RLE_SUFFIX, read_runs
from maskvid.media.times import frame_times

if TYPE_CHECKING:
    from maskvid.masks.draw import Drawing

VOID = 255
"""Number of an indexed picture that says "not annotated" (PASCAL VOC, YouTube-VOS): no foreground."""

# A lossy codec leaves a haze of a few levels around pure black and pure white; without clipping it would count as a
# little foreground everywhere.
_CODEC_HAZE = 12

_BY_SUM = np.clip(np.rint((np.arange(766) / 3 - _CODEC_HAZE) * 255 / (255 - 2 * _CODEC_HAZE)), 0, 255).astype(np.uint8)
"""Foreground by the sum of red, green and blue."""


def iter_masks(path: Path, *, objects: Collection[int] | None = None) -> Iterator[np.ndarray]:
    """Yield the masks of a video, a picture folder, a picture, an npz or npy file, a drawing or COCO's run lengths.

    One at a time. A drawing (`maskvid.masks.draw`) is a `.yaml` file, or a `.json` file that holds `objects`. Videos
    and grey pictures are read by their brightness. Indexed pictures whose colours are black and white as well; others
    (DAVIS) hold object numbers: every number above 0 is foreground, but for 255, which means "not annotated". Of
    pictures with an alpha channel that varies, that channel is the mask. Whatever has 1 as its largest value is taken
    as 0/1. An npz array is the one named `masks`, or else the first that is not `fps`; (f, k, h, w) are k objects.

    Args:
        path: Of the masks.
        objects: Numbers of the objects that are the foreground, from 1 on, where there are several; None is all.

    Yields:
        uint8 (h, w), 255 is foreground, at native size.

    Raises:
        UserError: Missing or unreadable source, values outside the range, or pictures of different sizes.
    """
    folder, suffix = is_folder(path), path.suffix.lower()
    if not folder and (drawing := drawing_in(path)) is not None:
        from maskvid.masks.draw import draw_objects

        for layers in draw_objects(drawing):
            yield _joined(layers, objects, path)
    elif folder or suffix in IMAGE_SUFFIXES:
        yield from _picture_masks(path, objects, folder=folder)
    elif suffix in ARRAY_SUFFIXES:
        yield from _array_masks(path, objects)
    elif suffix == RLE_SUFFIX:
        yield from (_joined(runs, objects, path) * np.uint8(255) for runs in read_runs(path))
    else:
        _refuse_objects(objects, path)
        for frame in decoded(open_video(path)):
            yield _brightness(frame)


def _brightness(frame: np.ndarray) -> np.ndarray:
    """Foreground of a frame (h, w, 3), row by row: indices take eight bytes a pixel, and frames may be large."""
    mask = np.empty(frame.shape[:2], np.uint8)
    for row, colours in zip(mask, frame, strict=True):
        row[:] = _BY_SUM[colours.sum(axis=1, dtype=np.uint16)]
    return mask


def _picture_masks(path: Path, objects: Collection[int] | None, *, folder: bool) -> Iterator[np.ndarray]:
    files = images_in(path) if folder else [path]
    if not files:
        raise UserError(f"no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}) in folder {path}")

    def values() -> Iterator[np.ndarray]:
        for file in files:
            for image in [page(file)] if folder else pages(file):
                yield _values(image, objects, file)

    # 0/1 pictures: judged over the whole sequence, since a single frame may hold no foreground at all
    top = _top(values())
    size: tuple[int, ...] | None = None
    for index, mask in enumerate(values()):
        size = size or mask.shape
        if mask.shape != size:
            raise UserError(
                f"{files[min(index, len(files) - 1)]} is {mask.shape[1]}x{mask.shape[0]} but the first mask of its "
                f"folder is {size[1]}x{size[0]}; every mask of a clip must have one size"
            )
        yield _to_uint8(mask, top, path)


def _values(image: Image.Image, objects: Collection[int] | None, path: Path) -> np.ndarray:
    """What a picture says of each pixel, (h, w): brightness, opacity, or 255 where an object stands."""
    if image.mode == "P" and not image.has_transparency_data:
        numbers = np.asarray(image)
        used = np.unique(numbers)
        palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        colours = {tuple(palette[number]) if number < len(palette) else () for number in used}
        if objects is not None or not colours <= {(0, 0, 0), (255, 255, 255)}:
            chosen = (numbers > 0) & (numbers != VOID) if objects is None else np.isin(numbers, list(objects))
            return np.where(chosen, 255, 0).astype(np.uint8)
    _refuse_objects(objects, path)
    if image.mode == "F":
        return np.asarray(image)
    if image.mode.startswith("I"):
        return sixteen_bits(image, path)
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        alpha, grey = np.asarray(whole.getchannel("A")), np.asarray(whole.convert("L"))
        if alpha.min() != alpha.max() or not alpha.any():
            if alpha.any() and set(np.unique(grey)) == {0, 255} and ((grey > 127) != (alpha > 127)).any():
                raise UserError(
                    f"{path} has two masks that differ, its brightness and its alpha channel; save the one meant."
                )
            return alpha
        return grey
    return np.asarray(image.convert("L"))


def _array_masks(path: Path, objects: Collection[int] | None) -> Iterator[np.ndarray]:
    stack = find_stack(path)
    several = len(stack.shape) == 4 and not stack.trailing and stack.shape[1] > 1
    if not several:
        _refuse_objects(objects, path)
    top = _top(pictures(stack))
    for picture in pictures(stack):
        yield _to_uint8(_joined(picture, objects if several else None, path), top, path)


def _joined(picture: np.ndarray, objects: Collection[int] | None, path: Path) -> np.ndarray:
    """The objects (k, h, w) that are the foreground, as one mask (h, w); a mask (h, w) as it is."""
    if picture.ndim == 2:
        return picture
    if objects is not None:
        lacking = sorted(number for number in objects if not 1 <= number <= len(picture))
        if lacking:
            raise UserError(f"{path} holds objects 1 to {len(picture)}; it has no object {lacking[0]}.")
        picture = picture[[number - 1 for number in objects]]
    return picture.max(axis=0)


def _top(pictures: Iterator[np.ndarray]) -> float:
    """The largest value of a sequence, looked for until it says how the values are meant: 0 to 1, to 255, to 65535."""
    top = 0.0
    for picture in pictures:
        top = max(top, float(picture.max()))
        if top > (255 if picture.dtype == np.uint16 else 1):
            break
    return top


def _to_uint8(mask: np.ndarray, top: float, path: Path) -> np.ndarray:
    """A mask with 255 for foreground, of a sequence whose largest value is known."""
    if mask.dtype == np.uint8 and top > 1:
        return mask
    scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 1 / 257  # 16 bits to 8
    values = mask.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    allowed = 65535 if mask.dtype == np.uint16 else 255
    if not (low >= 0 and high <= allowed):  # also true for NaN
        raise UserError(f"{path} has values from {low:g} to {high:g}; expected 0 to 1, or 0 to {allowed}")
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)


def _refuse_objects(objects: Collection[int] | None, path: Path) -> None:
    if objects is not None:
        raise UserError(
            f"{path} holds one mask, and no numbered objects to choose from; leave `objects` out, or give indexed "
            "pictures, an array (f, k, h, w), or run lengths."
        )


def drawing_in(path: Path) -> Drawing | None:
    """The drawing that a file is, None where it is none.

    Raises:
        UserError: It is one that cannot be read.
    """
    from maskvid.masks.draw.notation import YAML_SUFFIXES, parse_drawing, read_drawing  # drawings read masks themselves

    suffix = path.suffix.lower()
    if suffix in YAML_SUFFIXES:
        return read_drawing(path)
    if suffix != RLE_SUFFIX or read_bounded(path, LARGEST).lstrip()[:1] != b"{":
        return None  # run lengths are a list, and may be long
    found = read_json(path)
    return parse_drawing(found, path) if isinstance(found, dict) and "objects" in found else None


def mask_times(path: Path, count: int, *, fps: float | None = None) -> np.ndarray | None:
    """When masks are shown, see `maskvid.media.times.frame_times`; a drawing says its frame rate."""
    drawing = None if fps is not None or is_folder(path) else drawing_in(path)
    return frame_times(path, count, fps=fps if drawing is None else drawing.fps)


def count_masks(path: Path) -> int:
    """How many masks `iter_masks` yields, without reading them where that is known.

    Raises:
        UserError: Missing or unreadable source.
    """
    suffix = path.suffix.lower()
    if not is_folder(path) and (drawing := drawing_in(path)) is not None:
        return drawing.frames
    if is_folder(path) or suffix not in {*IMAGE_SUFFIXES, *ARRAY_SUFFIXES, RLE_SUFFIX}:
        return frame_count(path)
    if suffix in ARRAY_SUFFIXES:
        return find_stack(path).shape[0]
    return sum(1 for _ in (read_runs(path) if suffix == RLE_SUFFIX else pages(path)))
