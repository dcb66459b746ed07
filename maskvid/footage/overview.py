"""The page on which a person looks at every window, and changes what the checks said of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup

from maskvid.files import atomic_write
from maskvid.footage.checks import CHECKS
from maskvid.footage.finders import ABOUT
from maskvid.footage.verdicts import Verdict
from maskvid.preparation import Preparation

if TYPE_CHECKING:
    from maskvid.footage.making import Clip


def write_overview(
    out: Path, wanted: Preparation, clips: Sequence[Clip], verdicts: Sequence[Verdict], not_read: Sequence[str]
) -> None:
    """Write `index.html`; it shows the files beside it, and fetches nothing.

    Whatever a stranger chose (names of clips, captions, what a library said) is escaped, and the one script that may
    run is ours, by its checksum.

    Args:
        out: Folder of the triples.
        wanted: How they were made.
        clips: Raw clips, with what is left over of each.
        verdicts: On every window.
        not_read: Lines on what could not be read.
    """
    room = resources.files("maskvid.footage")
    script = room.joinpath("overview.js").read_text()
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = Environment(autoescape=True).from_string(room.joinpath("overview.html").read_text())
    text = template.render(
        wanted=wanted,
        about=ABOUT[wanted.foreground],
        clips=clips,
        verdicts=verdicts,
        accepted=sum(verdict.accepted for verdict in verdicts),
        not_read=not_read,
        checks=CHECKS,
        script=Markup(script),  # noqa: S704  # ours
        checksum=checksum,
    )
    with atomic_write(out / "index.html") as path:
        path.write_text(text)
