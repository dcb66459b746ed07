"""The clips that a user names: one file, a folder of them, or folders of pictures, at any depth."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maskvid.errors import UserError
from maskvid.files import expanded, file_name
from maskvid.media.container import VIDEO_SUFFIXES
from maskvid.media.pictures import IMAGE_SUFFIXES, images_in
from maskvid.media.regular import is_folder

CONTAINERS = VIDEO_SUFFIXES | {
    ".3g2", ".3gp", ".asf", ".divx", ".dv", ".f4v", ".flv", ".m2v", ".mxf", ".nut", ".ogg", ".vob", ".y4m"
}  # fmt: skip
"""Names of files that are looked into in a folder; a file that is named by itself is, whatever its name."""

SETTINGS = "prepare.json"
"""A folder with this file was written by this room, and holds no raw clips."""


@dataclass(frozen=True)
class Source:
    """A raw clip.

    Attributes:
        name: Unique among the clips, and usable as a file name.
        label: Its path below the folder that was named, as a person knows it.
        path: Of the video or the folder of pictures.
    """

    name: str
    label: str
    path: Path

    @property
    def state(self) -> list[int]:
        """What changes when the clip does: bytes and time of change; of pictures their number, bytes and last change.

        Raises:
            UserError: It is gone.
        """
        try:
            seen = [path.stat() for path in (images_in(self.path) if self.path.is_dir() else [self.path])]
        except OSError as error:
            raise UserError(f"unreadable file {self.path}: {error.strerror or error}") from error
        return [len(seen), sum(one.st_size for one in seen), max((one.st_mtime_ns for one in seen), default=0)]


def find_sources(videos: str | Path) -> tuple[list[Source], list[str]]:
    """List the clips that a path names, in a fixed order, and what lies there and is none.

    Args:
        videos: A video, a folder of pictures, or a folder that holds such at any depth. Hidden files and folders are no
            data, nor is what this room wrote.

    Returns:
        The clips, and a line for each thing that is not read, with its reason.

    Raises:
        UserError: The path is missing, or holds no clip.
    """
    root = expanded(videos)
    try:
        folder = is_folder(root.absolute())
    except UserError as error:
        raise UserError(f"videos={videos}: {error}") from error
    if not folder:
        if root.suffix.lower() in IMAGE_SUFFIXES:
            raise UserError(f"videos={videos}: it is one picture; give a video, or a folder of pictures.")
        return [Source(file_name(root.stem), root.name, root)], []
    left_out: list[str] = []
    found = list(_walk(root, left_out))
    if not found:
        raise UserError(
            f"videos={videos}: no clips are in it; expected videos ({', '.join(sorted(CONTAINERS))}) or folders of "
            "pictures" + "".join(f"\n  {line}" for line in left_out[:5])
        )
    stems = Counter(_stem(root, path) for path in found)
    sources = []
    for path in found:
        inner = "." if path == root else path.relative_to(root).as_posix()
        stem = _stem(root, path)
        name = stem if stems[stem] == 1 else inner  # a.mov and a.mp4
        sources.append(Source(file_name(name), root.name if path == root else inner, path))
    return sources, left_out


def _stem(root: Path, path: Path) -> str:
    if path == root:
        return root.absolute().name or "pictures"
    inner = path.relative_to(root)
    return (inner if path.is_dir() else inner.with_suffix("")).as_posix().replace("/", "_")


def _walk(root: Path, left_out: list[str]) -> Iterator[Path]:
    """Clips below a folder, by name; what is none is added to a list."""

    def visible(name: str) -> bool:
        return not name.startswith(".") and name != "__MACOSX"

    for place, folders, files in os.walk(root):
        folder = Path(place)
        inner = folder.relative_to(root).as_posix()
        if SETTINGS in files:
            left_out.append(f"{inner}: it was written by maskvid.prepare")
            folders.clear()
            continue
        folders[:] = sorted(filter(visible, folders))
        shown = sorted(filter(visible, files))
        videos = [name for name in shown if Path(name).suffix.lower() in CONTAINERS]
        pictures = [name for name in shown if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        others = len(shown) - len(videos) - len(pictures)
        yield from (folder / name for name in videos)
        if pictures and not videos:
            yield folder
        elif pictures:
            left_out.append(f"{inner}: {len(pictures)} pictures lie beside videos; give them a folder of their own")
        if others:
            left_out.append(f"{inner}: {others} files are neither videos nor pictures")
