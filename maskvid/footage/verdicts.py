"""What a person says of the windows, and the listing of those that are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.footage.records import VERDICTS, Record
from maskvid.footage.wording import marked
from maskvid.json_reading import read_mapping
from maskvid.preparation import Preparation
from maskvid.prompt import parse_prompt

ACCEPT, REJECT = "accept", "reject"


@dataclass(frozen=True)
class Said:
    """What a person says of a window; None leaves it to the checks and to the captioner.

    Attributes:
        verdict: `accept` or `reject`.
        caption: With the subject in brackets.
    """

    verdict: str | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What becomes of a window.

    Attributes:
        record: The window.
        accepted: Whether it is listed.
        reasons: Why not, or what a person overruled.
        by_person: Whether a person decided it.
        caption: With the subject in brackets.
        remark: What is to be known of the caption.
        own_caption: Whether it is a person's.
    """

    record: Record
    accepted: bool
    reasons: tuple[str, ...]
    by_person: bool
    caption: str
    remark: str = ""
    own_caption: bool = False


def read_verdicts(out: Path) -> dict[str, Said]:
    """Read `verdicts.json`, which the page writes: `{"name": {"verdict": "reject", "caption": "[the horse] trots"}}`.

    Raises:
        UserError: It is no such file, or a caption marks no subject, or several; the message names the window.
    """
    path = out / VERDICTS
    if not path.exists():
        return {}
    found = {}
    for name, entry in read_mapping(path, largest=2**26).items():
        if not isinstance(entry, dict) or not set(entry) <= {"verdict", "caption"}:
            raise UserError(f'{path}: {name}: expected {{"verdict": "accept" or "reject", "caption": "..."}}.')
        verdict, caption = entry.get("verdict"), entry.get("caption")
        if verdict not in (None, ACCEPT, REJECT):
            raise UserError(f"{path}: {name}: verdict={verdict!r:.60}; write accept or reject.")
        if caption is not None:
            if not isinstance(caption, str) or not caption.strip():
                raise UserError(f"{path}: {name}: caption={caption!r:.60} is no text.")
            parse_prompt(caption, name=f"{path}: {name}: caption")
        found[name] = Said(verdict, caption)
    return found


def judge(records: Sequence[Record], said: Mapping[str, Said], wanted: Preparation) -> list[Verdict]:
    """Decide on each window: a person's word wins over the checks."""
    return [_judged(record, said.get(record.name, Said()), wanted) for record in records]


def _judged(record: Record, said: Said, wanted: Preparation) -> Verdict:
    caption, remark = caption_of(record, wanted)
    reasons, accepted = tuple(record.reasons), not record.reasons
    if not record.found:
        reasons, accepted = (record.missing,), False
        if said.verdict == ACCEPT:
            reasons = (*reasons, "it cannot be accepted: there are no masks")
    elif said.verdict is not None:
        accepted = said.verdict == ACCEPT
    decided = record.found and said.verdict is not None
    if said.caption is None:
        return Verdict(record, accepted, reasons, decided, caption, remark)
    return Verdict(record, accepted, reasons, decided, parse_prompt(said.caption).marked, own_caption=True)


def caption_of(record: Record, wanted: Preparation) -> tuple[str, str]:
    """The caption of a window, and what is to be known of it."""
    if wanted.caption is not None:
        own = None if "[" in wanted.caption else wanted.subject  # brackets win: they may say more than is looked for
        return parse_prompt(wanted.caption, own, name="caption").marked, ""
    assert wanted.subject is not None
    if not record.words:
        return f"[{parse_prompt(wanted.subject, name='subject').text}]", ""
    caption, held = marked(record.words, wanted.subject)
    return caption, "" if held else "the captioner's words do not name the subject, so that it was put before them"


def write_listing(out: Path, verdicts: Sequence[Verdict]) -> int:
    """Write `metadata.jsonl` with the accepted windows, as `maskvid.data.triples` reads it.

    Returns:
        Their number.
    """
    rows = [
        {
            "id": verdict.record.name,
            "file_name": f"videos/{verdict.record.name}.mp4",
            "mask": f"masks/{verdict.record.name}.npz",
            "text": verdict.caption,
            "clip": verdict.record.clip,
            "start": round(verdict.record.start, 3),
        }
        for verdict in verdicts
        if verdict.accepted
    ]
    with atomic_write(out / "metadata.jsonl") as path:
        path.write_text("".join(json_text(row, indent=None) for row in rows))
    return len(rows)
