"""The folder that is prepared: what is finished in it, by which settings, and what is written of a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from maskvid.errors import UserError
from maskvid.files import atomic_write, check_output, clear_temporaries, json_text
from maskvid.footage.sources import SETTINGS, Source
from maskvid.json_reading import read_mapping
from maskvid.media.arrays import find_stack, pictures

FOLDERS = ("windows", "clips", "videos", "masks", "strips", "overlays")
FILES = (SETTINGS, "metadata.jsonl", "index.html")
VERDICTS = "verdicts.json"


@dataclass(frozen=True)
class Record:
    """A finished window.

    Attributes:
        name: Of its files.
        clip: Label of the clip it was cut from.
        shot: Number of the shot.
        number: Of the window within the shot.
        start: Seconds at which it begins in the clip.
        found: Whether there is a foreground, and so a video and masks.
        missing: Why there is none.
        figures: Of `maskvid.footage.checks.CHECKS`.
        reasons: What speaks against it.
        words: A captioner's, or None.
    """

    name: str
    clip: str
    shot: int
    number: int
    start: float
    found: bool
    missing: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    words: str | None = None


class Workplace:
    """The folder `out`.

    Args:
        out: Need not exist.
        settings: Whatever changes what is written.
        overwrite: Whether what was made with other settings goes.

    Raises:
        UserError: It holds something else, or was made with other settings.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
        check_output(out)
        self.out = out
        self.settings = dict(settings)
        marker = out / SETTINGS
        if not marker.exists():
            if out.is_dir() and any(entry.name != VERDICTS for entry in out.iterdir()):
                raise UserError(f"out={out}: it holds something that was not prepared; give another folder.")
            return
        before = read_mapping(marker)
        if before == self.settings:
            clear_temporaries(out)
            return
        if not any((out / "windows").glob("*.json")):  # nothing is lost: a model could not be had, or it was stopped
            self._remove()
            return
        if not overwrite:
            other = sorted(key for key in {*before, *settings} if before.get(key) != self.settings.get(key))
            told = ", ".join(f"{key}={before.get(key)!s:.60} (now {self.settings.get(key)!s:.60})" for key in other)
            raise UserError(
                f"out={out}: it was prepared with {told}; give another folder, or make it anew by overwrite=true."
            )
        self.clear()

    def begin(self) -> None:
        """Write down by which settings the folder is made.

        Raises:
            UserError: Nothing can be written there.
        """
        try:
            if not (self.out / SETTINGS).exists():
                self._write(self.out / SETTINGS, self.settings)
        except UserError as error:
            raise UserError(f"out={self.out}: {error}") from error

    def clear(self) -> None:
        """Take away what was made here, and nothing else; a person's verdicts are of other windows, and kept aside."""
        self._remove()
        if (self.out / VERDICTS).exists():
            (self.out / VERDICTS).replace(self.out / "verdicts-before.json")

    def _remove(self) -> None:
        for name in FOLDERS:
            shutil.rmtree(self.out / name, ignore_errors=True)
        for name in FILES:
            (self.out / name).unlink(missing_ok=True)

    def known_clip(self, source: Source) -> dict[str, Any] | None:
        """What was written of a clip; None where it is new.

        Raises:
            UserError: The clip has changed since.
        """
        path = self.out / "clips" / f"{source.name}.json"
        if not path.exists():
            return None
        known = read_mapping(path, largest=2**26)
        if known.get("state") != source.state:
            raise UserError(
                f"{source.label}: it has changed since its windows were made; make them anew by overwrite=true."
            )
        return known

    def clips(self) -> Iterator[dict[str, Any]]:
        """What was written of every clip, by name."""
        for path in sorted((self.out / "clips").glob("*.json")):
            yield read_mapping(path, largest=2**26)

    def keep_clip(self, source: Source, known: dict[str, Any]) -> None:
        """Write down what was found out of a clip."""
        self._write(self.out / "clips" / f"{source.name}.json", {"state": source.state, **known})

    def record(self, name: str) -> Record | None:
        """The record of a window; None where it is not finished.

        Raises:
            UserError: It is no record.
        """
        path = self.out / "windows" / f"{name}.json"
        if not path.exists():
            return None
        content = read_mapping(path)
        try:
            return Record(**{entry.name: content[entry.name] for entry in fields(Record)})
        except KeyError as error:
            raise UserError(f"{path}: it lacks {error}; delete it, and its window is made again.") from error

    def keep(self, record: Record) -> None:
        """Write a record, behind everything else of its window: from now on it is finished."""
        self._write(self.out / "windows" / f"{record.name}.json", asdict(record))

    def last_mask(self, record: Record) -> np.ndarray | None:
        """Bool (h, w), the foreground in the last frame of a finished window; None where there is none."""
        if not record.found:
            return None
        last = None
        for last in pictures(find_stack(self.out / "masks" / f"{record.name}.npz")):  # noqa: B007
            pass
        return None if last is None else last >= 128

    def _write(self, path: Path, content: Any) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(json_text(content))
