"""Captions: JSON of every type in every field, damaged lists, every encoding, subjects that are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.robustness import material
from experiments.robustness.case import REJECT, Case, Want
from experiments.robustness.material import CAPTION, FRAMES
from experiments.robustness.programs import clips

KIND = "captions"
GOOD = Want(FRAMES, caption=CAPTION)
ANY = Want(FRAMES)
UNSURE = Want(FRAMES, rejected=True)

VALUES = {
    "null": "null",
    "true": "true",
    "false": "false",
    "0": "0",
    "-1": "-1",
    "1.5": "1.5",
    "1e400": "1e400",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "an empty text": '""',
    "a blank": '" "',
    "a NUL": '"a\\u0000b"',
    "half a surrogate pair": '"a\\ud800b"',
    "an empty list": "[]",
    "a list of numbers": "[1, 2]",
    "an empty object": "{}",
    "an object": '{"a": 1}',
    "an integer of 10^5 digits": "9" * 100_000,
    "10^5 brackets": "[" * 100_000 + "]" * 100_000,
    "10^6 letters": '"' + "a" * 1_000_000 + '"',
    "a path out of the folder": '"../../../etc/passwd"',
}
FIELDS = ("file_name", "mask", "text", "subject", "fps", "id", "object", "attribute")

HARMLESS = {
    ("subject", "null"),
    ("subject", "an empty text"),
    ("subject", "a blank"),
    ("fps", "null"),
    ("id", "null"),
    ("id", "an empty text"),
    ("object", "null"),
}
"""What says that there is none, which is as good as leaving it out."""

NAMES = {("id", name) for name in ("true", "false", "0", "-1", "a blank", "10^6 letters", "a path out of the folder")}
"""What may name a clip, or be refused."""


def wanted(field: str, value: str) -> Want:
    """What is right for a value in a field."""
    if (field, value) in HARMLESS:
        return ANY
    if field == "attribute":  # the user's own, and not looked at; but what is no JSON may be refused
        return UNSURE
    if (field, value) in NAMES or (field, value) == ("text", "a path out of the folder"):
        return UNSURE
    return REJECT


def listed(name: str, lines: Callable[[], bytes], want: Want | dict[str, Want], file: str = "metadata.jsonl") -> Case:
    """A good clip with such a list."""

    def build(folder: Path) -> None:
        material.good_clip(folder)
        (folder / file).write_bytes(lines())

    return clips(KIND, name, build, want, file)


def beside(name: str, content: bytes, want: Want) -> Case:
    """A good clip with such a text file."""

    def build(folder: Path) -> None:
        material.good_clip(folder)
        (folder / "clip.npz").rename(folder / "clip.mask.npz")
        (folder / "clip.txt").write_bytes(content)

    return clips(KIND, f"beside: {name}", build, want)


def davis(name: str, file: str, content: bytes, want: Want | dict[str, Want]) -> Case:
    """A clip in the layout of DAVIS with such a list of captions."""

    def build(folder: Path) -> None:
        davis_clip(folder, "clip")
        (folder / file).write_bytes(content)

    return clips(KIND, f"DAVIS: {name}", build, want, file)


def davis_clip(folder: Path, name: str) -> None:
    """Frames and masks of a sequence."""
    from experiments.robustness.bad_pictures import frame, grey, mask, saved

    for room, picture in (("JPEGImages", lambda n: saved(frame(n), "JPEG")), ("Annotations", lambda n: grey(mask(n)))):
        place = folder / room / "480p" / name
        place.mkdir(parents=True)
        for index in range(FRAMES):
            (place / f"{index:05d}.{'jpg' if room == 'JPEGImages' else 'png'}").write_bytes(picture(index))


LINE = json.dumps(material.row()).encode()
SECOND = json.dumps(material.row(id="second")).encode()
LISTS: dict[str, tuple[Callable[[], bytes], Want | dict[str, Want]]] = {
    "no line": (lambda: b"", REJECT),
    "blank lines": (lambda: b"\n \n\n" + LINE + b"\n\n", GOOD),
    "CRLF": (lambda: LINE + b"\r\n" + SECOND + b"\r\n", {"clip": GOOD, "second": GOOD}),
    "CR": (lambda: LINE + b"\r" + SECOND, {"clip": GOOD, "second": GOOD}),
    "a byte order mark": (lambda: b"\xef\xbb\xbf" + LINE, GOOD),
    "UTF-16": (lambda: LINE.decode().encode("utf-16"), UNSURE),
    "UTF-16 without a mark": (lambda: LINE.decode().encode("utf-16-le"), REJECT),
    "UTF-32": (lambda: LINE.decode().encode("utf-32"), UNSURE),
    "latin-1": (lambda: LINE.replace(b"wanders", "w\xe4nders".encode("latin-1")), REJECT),
    "a line separator in a text": (lambda: LINE.replace(b"wanders", b"wan\xe2\x80\xa8ders"), ANY),
    "a form feed between": (lambda: LINE + b"\x0c", UNSURE),
    "the same line twice": (lambda: LINE + b"\n" + LINE, {"clip": GOOD, "clip#2": GOOD}),
    "one field twice": (lambda: LINE.replace(b'"text"', b'"text": "one", "text"'), UNSURE),
    "a comma at the end": (lambda: LINE[:-1] + b",}", REJECT),
    "a comment": (lambda: b"# clips\n" + LINE, {"line-1": REJECT, "clip": GOOD}),
    "an array": (lambda: b"[" + LINE + b"]", REJECT),
    "a line cut in the middle": (lambda: SECOND + b"\n" + LINE[:50], {"second": GOOD, "line-2": REJECT}),
    "two objects in a line": (lambda: LINE + LINE, REJECT),
    "CSV": (lambda: b"file_name,mask,text\nclip.mp4,clip.npz,a square\n", {"line-1": REJECT, "line-2": REJECT}),
    "YAML": (lambda: b"file_name: clip.mp4", REJECT),
    "numbers": (lambda: b"1\n2\n", {"line-1": REJECT, "line-2": REJECT}),
    "null": (lambda: b"null", REJECT),
    "10^5 open brackets": (lambda: b"[" * 100_000, REJECT),
    "10^5 open objects": (lambda: b'{"a":' * 100_000, REJECT),
    "an integer of 10^5 digits": (lambda: b"9" * 100_000, REJECT),
    "noise": (lambda: bytes(range(256)) * 16, REJECT),
    "ten megabytes of blanks": (lambda: b" " * 10**7 + LINE, UNSURE),
    "300 megabytes": (lambda: b"x" * (3 * 10**8), REJECT),
    "a list of captions": (lambda: json.dumps(material.row(text=["[a square] wanders", "it wanders"])).encode(), GOOD),
    "captions of which one is empty": (
        lambda: json.dumps(material.row(text=["[a square] wanders", ""])).encode(),
        REJECT,
    ),
    "captions of which one is a number": (lambda: json.dumps(material.row(text=["a square", 5])).encode(), REJECT),
    "captions in captions": (lambda: json.dumps(material.row(text=[["a square"]])).encode(), REJECT),
    "fields nobody knows": (lambda: json.dumps(material.row(**{f"field {n}": n for n in range(1000)})).encode(), GOOD),
    **{
        f"no {name}": (lambda n=name: json.dumps({k: v for k, v in material.row().items() if k != n}).encode(), REJECT)
        for name in ("file_name", "mask", "text")
    },
}

TEXTS: dict[str, tuple[str, Want]] = {
    "one bracket": ("[a square wanders", REJECT),
    "a bracket closed": ("a square] wanders", REJECT),
    "brackets the wrong way round": ("]a square[ wanders", REJECT),
    "two subjects": ("[a square] and [a disk]", REJECT),
    "a subject in a subject": ("[a [white] square] wanders", REJECT),
    "an empty subject": ("[] wanders", REJECT),
    "a blank subject": ("[ ] wanders", REJECT),
    "brackets alone": ("[]", REJECT),
    "blanks": (" \t ", REJECT),
    "an ideographic blank": ("\u3000", REJECT),
    "a zero-width blank": ("\u200b", UNSURE),
    "10^6 letters": ("a" * 10**6, REJECT),
    "10^6 words": ("a " * 10**6, REJECT),
    "10^5 brackets": ("[" * 10**5, REJECT),
    "a NUL": ("[a square] wan\0ders", REJECT),
    "half a surrogate pair": ("[a square] \udcff", REJECT),
    "control characters": ("[a square] \x1b[31mwanders\x07", UNSURE),
    "rich's markup": ("[a square] wanders [/bold]", REJECT),
    "HTML": ("[a square] <script>alert(1)</script>", ANY),
    "an interpolation": ("[a square] ${oc.env:HOME}", ANY),
    "other alphabets": ("[квадрат] 正方形 مربع 🟦", ANY),
    "written from right to left": ("\u202e[a square] wanders", UNSURE),
    "combining marks": ("[a squa" + "\u0301" * 500 + "re]", UNSURE),
    "marks and no words": ("[!!!] ???", UNSURE),
    "several lines": ("[a square]\nwanders", GOOD),
}

SUBJECTS: dict[str, tuple[str, str, Want]] = {
    "absent": ("a square wanders", "a disk", REJECT),
    "within a word": ("a caterpillar wanders", "cat", REJECT),
    "twice": ("a square wanders behind a square", "a square", REJECT),
    "contradicts the brackets": ("[a square] wanders", "wanders", REJECT),
    "agrees with the brackets": ("[a square] wanders", "a square", GOOD),
    "in capitals": ("a square wanders", "A Square", GOOD),
    "a pattern": ("a square wanders", ".*", REJECT),
    "a pattern that backtracks": ("a" * 5000, "(a+)+$", REJECT),
    "with brackets": ("a square wanders", "[a square]", UNSURE),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for field in FIELDS:
        for name, value in VALUES.items():
            line = json.dumps(material.row(**{field: "HERE"})).replace('"HERE"', value)
            yield listed(f"{field}: {name}", lambda t=line: t.encode(), wanted(field, name))
    for name, (lines, want) in LISTS.items():
        yield listed(f"list: {name}", lines, want)
    for name, (text, want) in TEXTS.items():
        yield listed(f"text: {name}", lambda t=text: json.dumps(material.row(text=t)).encode(), want)
        yield beside(name, text.encode("utf-8", "surrogateescape"), want)
    for name, (text, subject, want) in SUBJECTS.items():
        yield listed(
            f"subject: {name}", lambda t=text, s=subject: json.dumps(material.row(text=t, subject=s)).encode(), want
        )
    for name, content, want in (
        ("UTF-8 with a mark", b"\xef\xbb\xbf[a square] wanders", GOOD),
        ("UTF-16", "[a square] wanders".encode("utf-16"), UNSURE),
        ("latin-1", "[a square] w\xe4nders".encode("latin-1"), REJECT),
        ("noise", bytes(range(256)) * 16, REJECT),
        ("nothing", b"", REJECT),
        ("CRLF", b"[a square] wanders\r\n", GOOD),
    ):
        yield beside(name, content, want)
    for name, content in (
        ("null", b"null"),
        ("a list", b"[]"),
        ("a number", b"5"),
        ("cut", b'{"clip": "a sq'),
        ("nothing", b""),
        ("noise", bytes(range(256))),
        ("a caption that is a number", b'{"clip": 5}'),
        ("a caption that is a list", b'{"clip": ["a"]}'),
        ("a caption that is null", b'{"clip": null}'),
        ("an object without text", b'{"clip": {}}'),
        ("a text that is a number", b'{"clip": {"text": 5}}'),
        ("a subject that is a number", b'{"clip": {"text": "a square", "subject": 5}}'),
        ("10^5 brackets", b"[" * 100_000),
        ("NaN", b"NaN"),
        ("no caption for the clip", b"{}"),
    ):
        yield davis(name, "captions.json", content, REJECT)
    yield davis("good", "captions.json", b'{"clip": "[a square] wanders"}', GOOD)
    yield davis(
        "a text and a subject", "captions.json", b'{"clip": {"text": "a square wanders", "subject": "a square"}}', GOOD
    )
    yield davis(
        "one too many",
        "captions.json",
        b'{"clip": "[a square] wanders", "other": "x"}',
        {"clip": GOOD, "other": REJECT},
    )
    yield davis("lines", "captions.txt", b"clip: [a square] wanders\n", GOOD)
    yield davis("lines without a name", "captions.txt", b"[a square] wanders\n", {"clip": REJECT, "[a": REJECT})
    yield davis("noise in lines", "captions.txt", b"\xff\xfe" * 100, REJECT)
