"""A drawing as a page for the browser: its keys are moved there, and saved as the same file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from maskvid.files import atomic_write, json_text
from maskvid.masks.draw.drawing import Drawing
from maskvid.masks.draw.form import Form
from maskvid.masks.draw.notation import as_written
from maskvid.masks.draw.raster import object_forms

_PAGE = Path(__file__).with_name("browser.html")
_MARK = "/*DATA*/"
_SLACK = 0.004
"""Heights by which an outline may differ from its form."""


def write_page(path: str | Path, drawing: Drawing) -> Path:
    """Write a page that stands alone: nothing is fetched, and nothing leaves it.

    Args:
        path: Of the HTML file.
        drawing: What it shows. Its outlines are those that the shapes have now in each frame.
    """
    path = Path(path)
    outlines = [[_outline(form) for form in forms] for forms in object_forms(drawing)]
    # what stands in a drawing is data of a stranger: no `</script>` in it ends the script
    data = json_text({"drawing": as_written(drawing), "outlines": outlines}, indent=None).replace("<", "\\u003c")
    with atomic_write(path) as temporary:
        temporary.write_text(_PAGE.read_text(encoding="utf-8").replace(_MARK, data.strip()), encoding="utf-8")
    return path


def _outline(form: Form) -> list[list[list[float]]]:
    """Polygons around a form, their points in heights from its anchor."""
    found, _ = cv2.findContours((form.distance > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    simple = [cv2.approxPolyDP(one, _SLACK * form.unit, closed=True)[:, 0] for one in found]
    return [np.round((one - form.anchor) / form.unit, 3).tolist() for one in simple if len(one) > 2]
