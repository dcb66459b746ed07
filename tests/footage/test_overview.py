"""The page: what a person changes on it, and what a stranger cannot."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from maskvid.footage.making import Clip
from maskvid.footage.overview import write_overview
from maskvid.footage.records import Record
from maskvid.footage.spans import Plan
from maskvid.footage.verdicts import Said, judge
from maskvid.preparation import Preparation

FIGURES = {
    "area": 0.001, "jump": 0.1, "flicker": 0.0, "growth": 1.0, "pieces": 1.0, "border": 1.0, "nothing": 0.0,
    "filled": 0.0, "specks": 0.0,
}  # fmt: skip
EVIL = "</script><script>alert(1)</script>\"' onload=x [a] {{ 7 * 7 }}"
WANTED = Preparation(subject="the horse", foreground="embedded")


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(tmp_path, records, said=None) -> tuple[str, Elements]:
    verdicts = judge(records, said or {}, WANTED)
    clips = [Clip(EVIL, "evil", 64, 96, Plan((), 1, (f"shot 1: {EVIL}",), 2.0))]
    write_overview(tmp_path, WANTED, clips, verdicts, [f"x: {EVIL}"])
    text = (tmp_path / "index.html").read_text()
    return text, Elements(text)


def record(name="a-001-001", **more) -> Record:
    return Record(**{"name": name, "clip": "a.mp4", "shot": 1, "number": 1, "start": 0.0, "found": True,
                     "figures": FIGURES, **more})  # fmt: skip


def test_what_strangers_chose_is_text(tmp_path):
    records = [record(clip=EVIL, reasons=[EVIL], words=EVIL), record("b-001-001", found=False, missing=EVIL)]
    text, elements = page(tmp_path, records)
    assert len(elements.of("script")) == 1
    assert not any("onload" in attributes for _, attributes in elements.found)
    assert "{{ 7 * 7 }}" in text
    assert all(not (source or "").startswith(("http", "//")) for _, a in elements.found for source in [a.get("src")])


def test_only_our_own_script_may_run(tmp_path):
    text, elements = page(tmp_path, [record()])
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert script is not None
    checksum = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    [policy] = [meta["content"] for meta in elements.of("meta") if "http-equiv" in meta]
    assert policy is not None
    assert f"script-src 'sha256-{checksum}'" in policy
    assert "default-src 'none'" in policy


def test_each_window_shows_its_figures_its_verdict_and_its_caption(tmp_path):
    records = [
        record(), record("b-001-001", reasons=["the foreground is tiny"]), record("c-001-001"), record("d-001-001"),
        record("e-001-001", found=False, missing="nothing there"),
    ]  # fmt: skip
    said = {"c-001-001": Said("reject"), "d-001-001": Said(None, "[a horse] trots")}
    text, elements = page(tmp_path, records, said)
    articles = elements.of("article")
    assert [(a["data-name"], a["class"]) for a in articles] == [
        ("a-001-001", "accept"), ("b-001-001", "reject"), ("c-001-001", "reject"), ("d-001-001", "accept"),
        ("e-001-001", "reject"),
    ]  # fmt: skip
    windows = [select for select in elements.of("select") if "data-checks" in select]
    assert [(s["data-checks"], "data-person" in s) for s in windows] == [
        ("accept", False), ("reject", False), ("accept", True), ("accept", False)
    ]  # fmt: skip
    captions = [entry for entry in elements.of("input") if entry.get("type") == "text"]
    assert [entry["value"] for entry in captions] == ["[the horse]"] * 3 + ["[a horse] trots"]
    assert ["data-person" in entry for entry in captions] == [False, False, False, True]
    assert text.count('class="bad"') == 4  # the area of each window that has figures
    assert "nothing there" in text
    assert len(elements.of("video")) == 4


def test_the_caption_of_a_captioner_that_sees_something_else_is_remarked(tmp_path):
    text, _ = page(tmp_path, [record(words="a dog in a field"), record("b-001-001", words="a brown horse")])
    assert 'value="[the horse], a dog in a field"' in text
    assert 'value="[a brown horse]"' in text
    assert text.count("do not name the subject") == 1
