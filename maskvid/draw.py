"""`python -m maskvid.draw motion.yaml`: masks without any clip, from a drawing or from a sentence."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("draw")  # before the imports below, which take seconds

import re
from functools import reduce
from operator import or_
from pathlib import Path

import hydra
import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from maskvid.config import CONF, register
from maskvid.data.triples import Triple, read_triples
from maskvid.entry import check_config, entry_point, print_warning, refuse_given, run
from maskvid.errors import UserError
from maskvid.files import check_output, file_name, unused
from maskvid.masks.draw import Drawing, draw_objects, drawing_of, read_drawing, write_drawing
from maskvid.masks.draw.browser import write_page
from maskvid.masks.draw.remarks import Seen, remarks, seen_in
from maskvid.masks.faults import mask_faults
from maskvid.masks.read import count_masks, iter_masks, mask_times
from maskvid.masks.write import FILES, write_masks
from maskvid.media.frames import frame_count
from maskvid.media.layers import coloured, layer_sheet
from maskvid.media.times import frame_times, rate_of
from maskvid.media.writing import write_png, write_video
from maskvid.settings import FOLDER_FPS

register()
COLUMNS = 8  # frames of a strip


def draw(config: DictConfig) -> list[Path]:
    """Draw masks, a preview of them and a page to move their keys on, and say what will go wrong with them.

    Returns:
        Paths of the masks, the strip, the preview and the page; of a sentence, of its drawing too.

    Raises:
        UserError: The drawing cannot be read, or nothing is to be seen of it.
    """
    check_config(config, "draw DRAWING, or text='a horse enters left, gallops to the middle, stops'.")
    drawing, name = _asked(config)
    out = Path(config.out)
    check_output(out)
    layers = list(draw_objects(drawing))
    masks = [objects.max(axis=0) for objects in layers]
    if not np.any(masks):
        raise UserError(f"{config.drawing or 'text'}: nothing of it is in the picture; x and y are shares from 0 to 1.")
    for remark in [*remarks(masks, drawing.fps, _tuned(config)), *mask_faults(masks)]:
        print_warning(remark)
    beside = ["{}.png", "{}.preview.mp4", "{}.html", *(["{}.json"] if config.text is not None else [])]
    files = [FILES[config.format], *beside]
    name = unused(out, name, files, overwrite=config.overwrite)
    paths = [out / file.format(name) for file in files]
    write_masks(paths[0], layers, drawing.fps, config.format)
    write_png(paths[1], layer_sheet(layers, columns=COLUMNS))
    write_video(paths[2], coloured(layers), drawing.fps)
    write_page(paths[3], drawing)
    if config.text is not None:
        write_drawing(paths[4], drawing)
    return paths


def _asked(config: DictConfig) -> tuple[Drawing, str]:
    """The drawing, and what to call it."""
    if (config.drawing is None) == (config.text is None):
        raise UserError("give a drawing (draw motion.yaml), or text='a horse gallops across'; one of them.")
    size = config.height, config.width
    if config.text is not None:
        words = re.sub(r"[\W_]+", "-", config.text.lower())[:60].strip("-")
        height, width = (size[0] or 320), (size[1] or 480)
        return drawing_of(config.text, frames=config.frames, fps=config.fps, size=(height, width)), file_name(words)
    refuse_given(config, ["frames", "fps"], "with a drawing, which says both")
    drawing = read_drawing(config.drawing)
    size = (size[0] or drawing.size[0], size[1] or drawing.size[1])
    return drawing.model_copy(update={"size": size}), file_name(Path(config.drawing).stem)


def _tuned(config: DictConfig) -> Seen | None:
    """What the masks of the clips that are named for it are like."""
    if config.like is None:
        return None
    try:
        found = [_seen(triple) for triple in read_triples(config.like) if triple.mask is not None]
    except UserError as error:
        raise UserError(f"like={config.like}: {error}") from error
    return reduce(or_, found) if found else None


def _seen(triple: Triple) -> Seen:
    assert triple.mask is not None
    times = mask_times(triple.mask, count_masks(triple.mask))
    if times is None:  # pictures do not say their rate, and belong to the frames of their clip
        times = frame_times(triple.video, frame_count(triple.video), fps=triple.fps)
    return seen_in(iter_masks(triple.mask), FOLDER_FPS if times is None else rate_of(times))


@hydra.main(version_base="1.3", config_path=CONF, config_name="draw")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    console = Console(soft_wrap=True, highlight=False)
    for kind, path in zip(("masks", "strip", "preview", "page", "drawing"), draw(config), strict=False):
        console.print(f"{kind}: {path.resolve()}")


if __name__ == "__main__":
    run(main, bare="drawing")
