"""Masks without any clip: shapes and walking silhouettes, moved by keyframes and paths, from one small file.

`drawing.py` says what the file holds, `notation.py` reads and writes it, `raster.py` turns it into masks, and
`sentence.py` makes one of a sentence.
"""

from maskvid.masks.draw.drawing import Drawing
from maskvid.masks.draw.notation import read_drawing, write_drawing
from maskvid.masks.draw.raster import draw_masks, draw_objects
from maskvid.masks.draw.sentence import drawing_of

__all__ = ["Drawing", "draw_masks", "draw_objects", "drawing_of", "read_drawing", "write_drawing"]
