"""Triples on disk: a video, the mask of its foreground, and a caption with its subject marked."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from maskvid.errors import UserError
from maskvid.media.container import VIDEO_SUFFIXES
from maskvid.media.pictures import images_in
from maskvid.prompt import Prompt, Span, parse_prompt

ASSETS = "assets://"
"""Prefix of folders that ship inside the package, e.g. `assets://horse/train`."""

_MASK_SUFFIXES = (*sorted(VIDEO_SUFFIXES), ".npz")
_MASK_FOLDERS = ("masks", "mask")
_KNOWN_KEYS = {"id", "file_name", "mask", "mask_file_name", "text", "caption", "subject", "fps"}


@dataclass(frozen=True)
class Triple:
    """One training or validation clip as it lies on disk, not yet checked.

    Attributes:
        id: Name, unique within its data set.
        video: Video file or frame folder.
        mask: Video file, PNG folder or npz; None where none was found.
        caption: The prompt, without brackets; empty where none was found.
        subject: Characters of the caption that name the foreground, or None: then the whole prompt is the subject.
        fps: Frames a second as the metadata give them, or None: then the video's own count.
        attributes: Whatever else the metadata say about the clip.
        faults: What was wrong already in the listing, in words.
    """

    id: str
    video: Path
    mask: Path | None
    caption: str
    subject: Span | None = None
    fps: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def prompt(self) -> Prompt:
        """Caption and subject together."""
        return Prompt(self.caption, self.subject)


def resolve_folder(folder: str | Path) -> Path:
    """Turn `assets://horse/train` into the folder inside the package; leave any other path as it is."""
    text = str(folder)
    if text.startswith(ASSETS):
        return Path(str(resources.files("maskvid").joinpath("assets", *text.removeprefix(ASSETS).split("/"))))
    return Path(text).expanduser()


def read_triples(folder: str | Path) -> list[Triple]:
    """List the triples of a folder in any of the three layouts.

    - `metadata.jsonl` (HF VideoFolder style): one object per line with `file_name`, `mask` (or `mask_file_name`),
      `text` (or `caption`), optionally `subject`, `fps` and `id`; other keys become attributes.
    - Side by side: `name.mp4` (or a frame folder `name/`), `name.txt`, and the mask as `name.mask.mp4`, `name_mask.mp4`
      (also .npz, or a folder without suffix), `masks/name.mp4`, `masks/name.npz` or `masks/name/`.
    - DAVIS: `JPEGImages/[480p/]seq/*.jpg`, `Annotations/[480p/]seq/*.png`, captions in `captions.json`
      (`{"seq": "text"}`), `captions.txt` (`seq: text` per line) or `seq.txt`.

    Brackets in a caption mark the subject: `"[a brown horse] gallops"`. A `subject` beside the caption names its words,
    which must then stand in it once.

    Args:
        folder: A folder, or one in the package as `assets://...`.

    Returns:
        Triples in a fixed order. Those that cannot be used carry their faults; nothing is left out.

    Raises:
        UserError: The folder is missing, has none of the layouts, or its metadata cannot be parsed.
    """
    root = resolve_folder(folder)
    if not root.is_dir():
        raise UserError(f"data folder {folder} does not exist (looked at {root.absolute()})")
    if (root / "metadata.jsonl").is_file():
        triples = _read_metadata(root)
    elif (root / "JPEGImages").is_dir():
        triples = _read_davis(root)
    else:
        triples = _read_sidecars(root)
    if not triples:
        raise UserError(
            f"data folder {folder} holds no clips: expected metadata.jsonl, videos with .txt captions, or the DAVIS "
            "folders JPEGImages and Annotations"
        )
    return _unique(triples)


def _read_metadata(root: Path) -> list[Triple]:
    triples = []
    listing = root / "metadata.jsonl"
    for number, line in enumerate(_read_text(listing).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{listing}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
            raise UserError(f'{listing}, line {number}: expected an object with "file_name", "mask" and "text"')
        mask, fps = row.get("mask") or row.get("mask_file_name"), row.get("fps")
        is_number = isinstance(fps, (int, float)) and not isinstance(fps, bool)
        rate = float(fps) if fps is not None and is_number and 0 < fps < math.inf else None
        triples.append(
            _captioned(
                str(row.get("text") or row.get("caption") or ""),
                str(row["subject"]) if row.get("subject") else None,
                id=str(row.get("id") or Path(row["file_name"]).with_suffix("").as_posix().replace("/", "_")),
                video=root / row["file_name"],
                mask=root / str(mask) if mask else None,
                fps=rate,
                faults=() if fps == rate else (f"fps={fps!r} is no positive number of frames a second",),
                attributes={key: value for key, value in row.items() if key not in _KNOWN_KEYS},
            )
        )
    return triples


def _read_sidecars(root: Path) -> list[Triple]:
    entries = sorted(root.iterdir())
    names: dict[str, Path] = {}
    faults: dict[str, list[str]] = {}
    for entry in entries:
        if entry.is_dir():
            usable = entry.name not in _MASK_FOLDERS and bool(images_in(entry))
            name = entry.name
        else:
            usable, name = entry.suffix.lower() in VIDEO_SUFFIXES, entry.stem
        if not usable or name.endswith((".mask", "_mask")):
            continue
        if name in names:
            faults.setdefault(name, []).append(f"two videos of one name: {names[name].name} and {entry.name}")
        else:
            names[name] = entry
    for entry in entries:
        if entry.suffix.lower() == ".txt" and entry.stem not in names and names:
            names[entry.stem] = root / f"{entry.stem}.mp4"  # a caption without its video: reported by the check
    return [
        _captioned(
            _read_text(root / f"{name}.txt") if (root / f"{name}.txt").is_file() else "",
            id=name,
            video=names[name],
            mask=_mask_beside(root, name),
            faults=tuple(faults.get(name, ())),
        )
        for name in sorted(names)
    ]


def _mask_beside(root: Path, name: str) -> Path | None:
    stems = [root / f"{name}.mask", root / f"{name}_mask", *(root / folder / name for folder in _MASK_FOLDERS)]
    for stem in stems:
        for candidate in [stem, *(stem.with_name(stem.name + suffix) for suffix in _MASK_SUFFIXES)]:
            if candidate.exists():
                return candidate
    return None


def _read_davis(root: Path) -> list[Triple]:
    frames = _resolution_folder(root / "JPEGImages")
    annotations = root / "Annotations" / frames.relative_to(root / "JPEGImages")
    captions = _davis_captions(root)
    triples = []
    for sequence in sorted(path for path in frames.iterdir() if path.is_dir()):
        mask = annotations / sequence.name
        sidecar = root / f"{sequence.name}.txt"
        row = captions.pop(sequence.name, _read_text(sidecar) if sidecar.is_file() else "")
        text, subject = (row.get("text", ""), row.get("subject")) if isinstance(row, dict) else (row, None)
        triples.append(
            _captioned(
                str(text),
                str(subject) if subject else None,
                id=sequence.name,
                video=sequence,
                mask=mask if mask.is_dir() else None,
            )
        )
    for name in captions:
        triples.append(Triple(name, frames / name, None, str(captions[name])))  # reported as a missing video
    return triples


def _resolution_folder(folder: Path) -> Path:
    """DAVIS puts a folder per resolution between; take 480p, or the only one."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    if any(images_in(path) for path in inner):
        return folder
    if folder / "480p" in inner:
        return folder / "480p"
    if len(inner) == 1:
        return inner[0]
    raise UserError(f"{folder} holds the resolutions {[path.name for path in inner]}; leave one, or name one 480p")


def _davis_captions(root: Path) -> dict[str, Any]:
    listing = root / "captions.json"
    if listing.is_file():
        try:
            captions = json.loads(_read_text(listing))
        except json.JSONDecodeError as error:
            raise UserError(f"{listing}: not JSON: {error}") from error
        if not isinstance(captions, dict):
            raise UserError(f'{listing}: expected an object {{"sequence": "caption"}}')
        return captions
    listing = root / "captions.txt"
    if not listing.is_file():
        return {}
    lines = [re.match(r"\s*([^\s:]+)[\s:]+(.*\S)", line) for line in _read_text(listing).splitlines()]
    return {found[1]: found[2] for found in lines if found}


def _captioned(text: str, subject: str | None = None, **known: Any) -> Triple:
    """A triple with its caption and subject read; what is wrong with them is one of its faults."""
    try:
        prompt = parse_prompt(text, subject if text.strip() else None, name="caption")
    except UserError as error:
        prompt = Prompt(" ".join(text.split()))
        known["faults"] = (*known.get("faults", ()), str(error))
    return Triple(caption=prompt.text, subject=prompt.subject, **known)


def _unique(triples: list[Triple]) -> list[Triple]:
    """Ids name noise seeds and files, so a second use of one is numbered."""
    seen: Counter[str] = Counter()
    result = []
    for triple in triples:
        seen[triple.id] += 1
        count = seen[triple.id]
        result.append(triple if count == 1 else replace(triple, id=f"{triple.id}#{count}"))
    return result


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from error
