"""The page on which a drawing's keys are moved: what is in it is data, and it reads and writes the same file."""

import json
import re

import numpy as np

from maskvid.masks.draw import Drawing, read_drawing
from maskvid.masks.draw.browser import write_page
from maskvid.masks.draw.notation import as_written

TEXT = "</script><script>alert(1)</script>"


def test_the_page_holds_the_drawing_and_the_outline_of_every_frame(tmp_path):
    horse = {"shape": "horse", "name": TEXT, "keys": [{"at": 0, "x": 0.2}, {"at": 3, "x": 0.6}]}
    ring = {"shape": {"kind": "svg", "path": "M0 0h9v9h-9zM3 3h3v3h-3z"}, "occluder": True}
    drawing = Drawing(objects=[horse, ring], frames=4, fps=4)
    page = write_page(tmp_path / "page.html", drawing).read_text(encoding="utf-8")
    assert page.count("</script>") == 1  # its own: what stands in a name ends nothing
    assert "http" not in page  # nothing is fetched
    [held] = re.findall(r"let \{drawing, outlines\} = (.*);\n", page)
    data = json.loads(held)
    assert data["drawing"] == json.loads(json.dumps(as_written(drawing)))
    assert data["drawing"]["objects"][0]["name"] == TEXT
    (tmp_path / "again.json").write_text(json.dumps(data["drawing"]))
    assert read_drawing(tmp_path / "again.json") == drawing
    assert [len(frames) for frames in data["outlines"]] == [4, 4]
    assert len(data["outlines"][1][0]) == 2  # a ring has two edges
    standing = np.concatenate(data["outlines"][0][3])
    assert abs(standing[:, 1].max()) < 0.05  # an animal's anchor is the ground it stands on
    assert -1.15 < standing[:, 1].min() < -0.85
