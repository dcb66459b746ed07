"""Masks without any clip: shapes and walking silhouettes, moved by keyframes and paths, from one small file.

`drawing.py` says what the file holds; `raster.py` turns it into masks; `sentence.py` writes one from a sentence.
"""

from maskvid.masks.draw.drawing import Drawing, read_drawing, write_drawing
from maskvid.masks.draw.raster import draw_masks, draw_objects

__all__ = ["Drawing", "draw_masks", "draw_objects", "read_drawing", "write_drawing"]
