"""Triples on disk: a video, the mask of its foreground, and a caption with its subject marked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from maskvid.errors import UserError, said
from maskvid.files import expanded
from maskvid.media.arrays import ARRAY_SUFFIXES
from maskvid.media.container import VIDEO_SUFFIXES
from maskvid.media.pictures import images_in
from maskvid.media.regular import is_folder, refuse_special
from maskvid.media.rle import RLE_SUFFIX
from maskvid.prompt import Prompt, Span, parse_prompt

ASSETS = "assets://"
"""Prefix of folders that ship inside the package, e.g. `assets://horse/train`."""

LARGEST_TEXT = 2**26
"""Bytes of a listing or a caption file."""

_MASK_SUFFIXES = (*sorted(VIDEO_SUFFIXES), *sorted(ARRAY_SUFFIXES), RLE_SUFFIX)
_MASK_FOLDERS = ("masks", "mask")
_KNOWN_KEYS = {"id", "file_name", "mask", "mask_file_name", "text", "caption", "subject", "object", "fps"}


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
        others: Further captions of the clip; each window of training draws one.
        objects: Numbers of the objects in the mask that are the foreground; None is all.
        attributes: Whatever else the metadata say about the clip.
        faults: What was wrong already in the listing, in words.
        broken: Whether the listing says so little that there is nothing to open.
    """

    id: str
    video: Path
    mask: Path | None
    caption: str
    subject: Span | None = None
    fps: float | None = None
    others: tuple[Prompt, ...] = ()
    objects: tuple[int, ...] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    broken: bool = False

    @property
    def prompt(self) -> Prompt:
        """Caption and subject together."""
        return Prompt(self.caption, self.subject)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All captions, the first first."""
        return (self.prompt, *self.others)


def resolve_folder(folder: str | Path) -> Path:
    """Turn `assets://horse/train` into the folder inside the package; leave any other path as it is."""
    text = str(folder)
    if text.startswith(ASSETS):
        return Path(str(resources.files("maskvid").joinpath("assets", *text.removeprefix(ASSETS).split("/"))))
    return expanded(text)


def read_triples(folder: str | Path) -> list[Triple]:
    """List the triples of a folder in any of the three layouts.

    - `metadata.jsonl` (HF VideoFolder style): one object per line with `file_name`, `mask` (or `mask_file_name`),
      `text` (or `caption`; a list of texts are several captions, of which each training window draws one), optionally
      `subject`, `fps`, `id` and `object` (the number of the object in the mask that is the foreground, or a list of
      numbers); other keys become attributes.
    - Side by side: `name.mp4` (or a frame folder `name/`), `name.txt`, and the mask as `name.mask.mp4`, `name_mask.mp4`
      (also .npz, .npy, .json, or a folder without suffix), `masks/name.mp4`, `masks/name.npz` or `masks/name/`.
    - DAVIS: `JPEGImages/[480p/]seq/*.jpg`, `Annotations/[480p/]seq/*.png`, captions in `captions.json`
      (`{"seq": "text"}`), `captions.txt` (`seq: text` per line) or `seq.txt`.

    Brackets in a caption mark the subject: `"[a brown horse] gallops"`. A `subject` beside the caption names its words,
    which must then stand in it once. Suffixes may be in capitals; hidden files and folders are no data.

    Args:
        folder: A folder, or one in the package as `assets://...`.

    Returns:
        Triples in a fixed order. Those that cannot be used carry their faults; nothing is left out.

    Raises:
        UserError: The folder is missing or has none of the layouts.
    """
    root = resolve_folder(folder)
    try:
        if not is_folder(root.absolute()):
            raise UserError(f"{root.absolute()} is no folder.")
        listed = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if _is_data(entry)}
    except (OSError, UserError) as error:
        raise UserError(f"data folder {folder}: {said(error)}") from error
    if "metadata.jsonl" in listed and not listed["metadata.jsonl"].is_dir():
        triples = _read_metadata(listed["metadata.jsonl"])
    elif (root / "JPEGImages").is_dir():
        triples = _read_davis(root)
    else:
        triples = _read_sidecars(root, listed)
    if not triples:
        raise UserError(
            f"data folder {folder} holds no clips: expected metadata.jsonl, videos with .txt captions, or the DAVIS "
            "folders JPEGImages and Annotations"
        )
    return _unique(triples)


def _is_data(path: Path) -> bool:
    """Whether a file or folder is the user's, and not what systems and notebooks leave beside them."""
    return not path.name.startswith(".") and path.name != "__MACOSX"


def _lines(text: str) -> list[str]:
    """Lines as every editor sees them; `str.splitlines` would also cut at U+2028 and the like, which JSON may hold."""
    return re.split(r"\r\n|\n|\r", text)


def _read_metadata(listing: Path) -> list[Triple]:
    text, fault = _read_text(listing)
    if fault:
        raise UserError(fault)
    lines = enumerate(_lines(text), start=1)
    return [_read_row(line, listing.parent, f"{listing}, line {n}", f"line-{n}") for n, line in lines if line.strip()]


def _read_row(line: str, root: Path, place: str, name: str) -> Triple:
    """The triple of a line; of one that says too little, what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _broken(name, root, f"{place}: not JSON: {str(error) or 'nested too deeply'}")
    file = row.get("file_name") if isinstance(row, dict) else None
    if not isinstance(file, str) or not file or _unprintable(file):
        return _broken(name, root, f'{place}: expected an object with "file_name", "mask" and "text"')
    faults: list[str] = []

    def text_of(*keys: str) -> str:
        key = next((key for key in keys if row.get(key) not in (None, "")), keys[0])
        value = row.get(key)
        if value is None or (isinstance(value, str) and not _unprintable(value)):
            return value or ""
        faults.append(f"{key}={value!r:.80} is no text")
        return ""

    several = next((row[key] for key in ("text", "caption") if isinstance(row.get(key), list)), None)
    if several is not None and (not several or not all(isinstance(one, str) for one in several)):
        faults.append("text: expected a text, or a list of texts")
        several = [""]
    texts = several if several is not None else [text_of("text", "caption")]
    mask, fps, number = text_of("mask", "mask_file_name"), row.get("fps"), row.get("object")
    is_number = isinstance(fps, (int, float)) and not isinstance(fps, bool)
    rate = float(fps) if is_number and 0 < fps < 1e9 else None
    if fps is not None and rate is None:
        faults.append(f"fps={fps!r:.80} is no positive number of frames a second")
    objects = None if number is None else tuple(number) if isinstance(number, list) else (number,)
    if objects is not None and not (objects and all(type(one) is int and 0 < one < 2**16 for one in objects)):
        faults.append(f"object={number!r:.80} is no number of an object, from 1 on, nor a list of such")
        objects = None
    known = row.get("id") if isinstance(row.get("id"), int) else text_of("id")
    return _captioned(
        texts,
        text_of("subject") or None,
        id=str(known or Path(file).with_suffix("").as_posix().replace("/", "_")),
        video=root / file,
        mask=root / mask if mask else None,
        fps=rate,
        objects=objects,
        faults=tuple(faults),
        attributes={key: value for key, value in row.items() if key not in _KNOWN_KEYS},
    )


def _read_sidecars(root: Path, listed: dict[str, Path]) -> list[Triple]:
    names: dict[str, Path] = {}
    faults: dict[str, list[str]] = {}
    for entry in listed.values():
        if entry.is_dir():
            usable = entry.name not in _MASK_FOLDERS and bool(images_in(entry))
            name = entry.name
        else:
            usable, name = entry.suffix.lower() in VIDEO_SUFFIXES, entry.stem
        if not usable or name.lower().endswith((".mask", "_mask")):
            continue
        if name in names:
            faults.setdefault(name, []).append(f"two videos of one name: {names[name].name} and {entry.name}")
        else:
            names[name] = entry
    captions = {entry.stem: entry for entry in listed.values() if entry.suffix.lower() == ".txt"}
    if names:  # a caption without its video: reported by the check
        names = {stem: entry.with_suffix("") for stem, entry in captions.items()} | names
    triples = []
    for name in sorted(names):
        text, fault = _read_text(captions[name]) if name in captions else ("", None)
        if name in captions and not names[name].exists():
            wanted = f"a folder {name}, or {name} with one of {', '.join(sorted(VIDEO_SUFFIXES))}"
            triples.append(_broken(name, names[name], f"no video beside {captions[name].name}: expected {wanted}"))
            continue
        found = (*faults.get(name, ()), *([fault] if fault else ()))
        mask = _mask_beside(root, listed, name)
        triples.append(_captioned([text], id=name, video=names[name], mask=mask, faults=found))
    return triples


def _mask_beside(root: Path, listed: dict[str, Path], name: str) -> Path | None:
    places = [(listed, f"{name}{end}") for end in (".mask", "_mask")]
    for folder in _MASK_FOLDERS:
        if (root / folder).is_dir():
            within = {entry.name.lower(): entry for entry in sorted((root / folder).iterdir()) if _is_data(entry)}
            places.append((within, name))
    for entries, stem in places:
        for suffix in ("", *_MASK_SUFFIXES):
            if (entry := entries.get(f"{stem}{suffix}".lower())) is not None:
                return entry
    return None


def _read_davis(root: Path) -> list[Triple]:
    frames = _resolution_folder(root / "JPEGImages")
    annotations = root / "Annotations" / frames.relative_to(root / "JPEGImages")
    captions = _davis_captions(root)
    triples = []
    for sequence in sorted(path for path in frames.iterdir() if path.is_dir() and _is_data(path)):
        mask = annotations / sequence.name
        sidecar = root / f"{sequence.name}.txt"
        text, fault = _read_text(sidecar) if sidecar.is_file() else ("", None)
        row = captions.pop(sequence.name, text)
        text, subject = (row.get("text", ""), row.get("subject")) if isinstance(row, dict) else (row, None)
        faults = [fault] if fault else []
        if not isinstance(text, str) or not isinstance(subject, str | None):
            faults.append(f"its caption {row!r:.80} is no text")
            text, subject = "", None
        triples.append(
            _captioned(
                [text],
                subject or None,
                id=sequence.name,
                video=sequence,
                mask=mask if mask.is_dir() else None,
                faults=tuple(faults),
            )
        )
    for name in captions:
        triples.append(_broken(str(name), frames, f"a caption names the sequence {name!r}, which is not in {frames}"))
    return triples


def _resolution_folder(folder: Path) -> Path:
    """DAVIS puts a folder per resolution between; take 480p, or the only one."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and _is_data(path))
    if any(images_in(path) for path in inner):
        return folder
    if folder / "480p" in inner:
        return folder / "480p"
    if len(inner) == 1:
        return inner[0]
    raise UserError(f"{folder} holds the resolutions {[path.name for path in inner]}; leave one, or name one 480p")


def _davis_captions(root: Path) -> dict[str, Any]:
    listing = next((root / name for name in ("captions.json", "captions.txt") if (root / name).is_file()), None)
    if listing is None:
        return {}
    text, fault = _read_text(listing)
    if fault:
        raise UserError(fault)
    if listing.suffix == ".txt":
        lines = [re.match(r"\s*([^\s:]+)[\s:]+(.*\S)", line) for line in _lines(text)]
        return {found[1]: found[2] for found in lines if found}
    try:
        captions = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{listing}: not JSON: {str(error) or 'nested too deeply'}") from error
    if not isinstance(captions, dict):
        raise UserError(f'{listing}: expected an object {{"sequence": "caption"}}')
    return captions


def _captioned(texts: Iterable[str], subject: str | None = None, **known: Any) -> Triple:
    """A triple with its captions and subject read; what is wrong with them is one of its faults."""
    prompts = []
    for text in texts:
        try:
            prompts.append(parse_prompt(text, subject if text.strip() else None, name="caption"))
        except UserError as error:
            prompts.append(Prompt(" ".join(text.split())))
            known["faults"] = (*known.get("faults", ()), str(error))
    empty = sum(not prompt.text for prompt in prompts)
    if empty and len(prompts) > 1:
        known["faults"] = (*known.get("faults", ()), f"{empty} of its {len(prompts)} captions are empty")
    first, *others = prompts
    return Triple(caption=first.text, subject=first.subject, others=tuple(others), **known)


def _broken(name: str, place: Path, *faults: str) -> Triple:
    """What stands where no triple can be read."""
    return Triple(name, place, None, "", faults=faults, broken=True)


def _unprintable(text: str) -> bool:
    """Whether a text holds what no file name and no tokenizer takes: half a surrogate pair, or a NUL."""
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _unique(triples: list[Triple]) -> list[Triple]:
    """Ids name noise seeds and files, so a second use of one is numbered."""
    seen: Counter[str] = Counter()
    result = []
    for triple in triples:
        seen[triple.id] += 1
        count = seen[triple.id]
        result.append(triple if count == 1 else replace(triple, id=f"{triple.id}#{count}"))
    return result


def _read_text(path: Path) -> tuple[str, str | None]:
    """A file's text, and what is wrong with it."""
    try:
        refuse_special(path)
        if path.stat().st_size > LARGEST_TEXT:
            return "", f"{path} has more than {LARGEST_TEXT} bytes and is no text"
        return path.read_text(encoding="utf-8-sig").strip(), None
    except UserError as error:
        return "", str(error)
    except (OSError, UnicodeDecodeError) as error:
        return "", f"{path} cannot be read as UTF-8 text: {error}"
