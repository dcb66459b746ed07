"""Drawings: keys out of order, shapes that are none, hostile SVG and YAML, and good ones with a byte changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.robustness.case import ACCEPTED, MARKER, MISREAD, Case, Play, Verdict, refusal
from experiments.robustness.forks import Launch

KIND = "drawings"
BALL: dict[str, Any] = {"shape": "ellipse", "keys": [{"at": 0, "x": 0.2, "scale": 0.3}, {"at": 2, "x": 0.8}]}
GOOD: dict[str, Any] = {"frames": 3, "fps": 4, "size": [32, 48], "objects": [BALL]}
SVG = '<svg xmlns="http://www.w3.org/2000/svg">{}</svg>'
NUMBERS = ("nan", "1e999", "-1e999", "1e308", '"0.5"', "true", "[]", "{}", "null", "1" + "0" * 400, "1" + "0" * 5000)
FIELDS = ("frames", "fps", "size", "objects")
KEYS = ("at", "x", "y", "scale", "rotation", "flip", "visible", "gait", "shape", "ease")

SHAPES: dict[str, Any] = {
    "two points": {"kind": "polygon", "points": [[0, 0], [1, 1]]},
    "a line": {"kind": "polygon", "points": [[0, 0], [1, 1], [2, 2]]},
    "one point, thrice": {"kind": "polygon", "points": [[1, 1]] * 3},
    "a million points": {"kind": "polygon", "points": [[0, 0]] * 10**5},
    "huge numbers": {"kind": "polygon", "points": [[0, 0], [1e308, -1e308], [1e308, 1e308]]},
    "no kind": {"points": [[0, 0], [1, 0], [1, 1]]},
    "an animal that is none": "unicorn",
    "a path that is none": "../../etc/passwd",
    "a gait that is none": "horse/teleport",
    "a device": {"kind": "picture", "file": "/dev/zero"},
    "a folder": {"kind": "svg", "file": "."},
    "a missing picture": {"kind": "picture", "file": "none.png"},
    "a missing silhouette": {"kind": "silhouette", "file": "none.mp4"},
    "a path of SVG cut off": {"kind": "svg", "path": "M 0 0 C 1"},
    "letters": {"kind": "svg", "path": "hello"},
    "a path without end": {"kind": "svg", "path": "M0 0" + "L1 1" * 10**5},
    "nothing drawn": {"kind": "svg", "path": "M0 0"},
}
SVGS: dict[str, str] = {
    "entities": '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + SVG.format('<path d="&b;"/>'),
    "an external entity": '<!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + SVG.format("<text>&a;</text>"),
    "empty": SVG.format(""),
    "cut": '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0',
    "no SVG": "GIF89a",
    "a script": SVG.format("<script>alert(1)</script>"),
    "a remote picture": SVG.format('<image href="http://127.0.0.1:9/x.png" width="9" height="9"/>'),
    "itself, again and again": SVG.format('<g id="a"><use href="#a"/></g>'),
    "deep": SVG.format("<g>" * 20000 + "</g>" * 20000),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for field in FIELDS:
        for number in NUMBERS:
            yield _case(f"{field}: {number[:20]}", json.dumps({**GOOD, field: "HERE"}).replace('"HERE"', number))
    for field in KEYS:
        for number in NUMBERS[:8]:
            drawing = {**GOOD, "objects": [{"shape": "horse", "keys": [{"at": 0}, {"at": 2, field: "HERE"}]}]}
            yield _case(f"key {field}: {number[:20]}", json.dumps(drawing).replace('"HERE"', number))
    for name, shape in SHAPES.items():
        yield _case(f"shape: {name}", json.dumps({**GOOD, "objects": [BALL, {"shape": shape}]}))
    for name, text in SVGS.items():
        drawing = {**GOOD, "objects": [{"shape": {"kind": "svg", "file": "one.svg"}}]}
        yield _case(f"svg: {name}", json.dumps(drawing), svg=text)
    for name, text in {
        "keys out of order": json.dumps({**GOOD, "objects": [{"shape": "ellipse", "keys": [{"at": 2}, {"at": 1}]}]}),
        "outside the picture": json.dumps({**GOOD, "objects": [{"shape": "ellipse", "keys": [{"at": 0, "x": 4}]}]}),
        "an alias bomb": "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]),
        "a call": f"objects: !!python/object/apply:builtins.open [{MARKER}, w]",
        "deep": "[" * 10**5,
        "empty": "",
        "no mapping": "- 1",
        "noise": "\x00\x01\x02",
        "large": "#" * 2**21,
        "unknown keys": json.dumps({**GOOD, "_target_": "os.system"}),
    }.items():
        yield _case(name, text)
    good, rng = json.dumps(GOOD).encode(), np.random.default_rng(7)
    for number in range(40):
        broken = bytearray(good)
        place, letter = rng.integers(len(good)), rng.integers(32, 127)  # what an editor lets one type
        broken[int(place)] = int(letter)
        yield _case(f"a byte changed, {number}", bytes(broken), unsure=True)


def _case(name: str, content: str | bytes, *, svg: str | None = None, unsure: bool = False) -> Case:
    means_something = unsure or name in ("key flip: true", "key visible: true") or name.endswith(": null")
    raw = content.encode() if isinstance(content, str) else content
    return Case(KIND, name, partial(_drawn, raw, svg, means_something))


def _drawn(content: bytes, svg: str | None, unsure: bool, folder: Path) -> Play:
    """Draw it: a sentence says what is wrong, or the masks are there."""
    (folder / "one.yaml").write_bytes(content)
    if svg is not None:
        (folder / "one.svg").write_text(svg)
    outcome = yield Launch("draw", ("drawing=one.yaml", "out=drawn"), folder)
    if outcome.status == 0 and unsure:
        found = folder / "drawn" / "one.npz"
        return Verdict(ACCEPTED) if found.is_file() else Verdict(MISREAD, "nothing was written")
    return refusal(outcome, "one.yaml", "one.svg", "objects[", "svg.path", "path.svg")
