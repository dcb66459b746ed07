"""The judge of the robustness study: what is wrong is found, and what is right passes."""

from pathlib import Path

import numpy as np
import pytest

from experiments.robustness.case import (
    EXECUTED,
    HALF,
    HANG,
    LISTED,
    MARKER,
    MEMORY,
    MISREAD,
    REFUSED,
    REJECT,
    SILENT,
    TRACEBACK,
    Want,
    common_fault,
    files_in,
    listing,
    refusal,
)
from experiments.robustness.forks import Launch, Outcome
from maskvid.data.checked import CheckedClip, Rejected, Report
from maskvid.data.triples import Triple
from maskvid.masks.stack import MaskStack


def outcome(folder=Path("."), status=0, output="", errors="", **more) -> Outcome:
    usual = {"hung": False, "struck": False, "seconds": 1.0, "peak_mb": 900.0}
    return Outcome(Launch("train", (), folder), status=status, output=output, errors=errors, **(usual | more))


def table() -> str:
    """A dry run's own, of one clip with two frames and one that is rejected for two reasons."""
    masks = MaskStack()
    for _ in range(2):
        masks.append(np.zeros((4, 4), np.uint8))
    good = CheckedClip(Triple("a", Path("a.mp4"), None, "a square wanders"), masks, np.arange(2) / 8)
    bad = Rejected(Triple("b", Path("b.mp4"), None, ""), ("no caption", "no mask"))
    return str(Report({"train": [good]}, {"train": [bad]}))


@pytest.mark.parametrize(
    ("wanted", "status", "verdict"),
    [
        ({"a": Want(2, caption="a square wanders"), "b": REJECT}, 1, LISTED),
        ({"a": Want(2), "b": REJECT}, 0, SILENT),  # the status does not say so
        ({"a": Want(3), "b": REJECT}, 1, MISREAD),
        ({"a": Want(2, caption="another"), "b": REJECT}, 1, MISREAD),
        ({"a": REJECT, "b": REJECT}, 1, SILENT),
        ({"a": Want(2), "b": Want(2)}, 1, MISREAD),
        ({"a": Want(2), "b": Want(2, rejected=True)}, 1, LISTED),
        ({"a": Want(2)}, 1, SILENT),  # b is taken for a clip
        ({"a": Want(2), "b": REJECT, "c": REJECT}, 1, SILENT),  # c is left out
    ],
)
def test_a_dry_run_is_judged_clip_by_clip(wanted, status, verdict):
    assert listing(outcome(status=status, output=table()), wanted, "data").name == verdict


def test_a_refusal_must_be_a_sentence_that_names_its_object():
    said = "error: masks=m.npz: no such file."
    assert refusal(outcome(status=1, errors=said), "m.npz").name == REFUSED
    assert refusal(outcome(status=1, errors=said), "other").name == MISREAD
    assert refusal(outcome(status=1), "").name == MISREAD
    assert refusal(outcome(status=2, errors=said), "m.npz").name == MISREAD
    assert refusal(outcome(errors=said), "m.npz").name == SILENT
    assert listing(outcome(status=1, errors=said), {"*": Want(2)}, "m.npz").name == MISREAD
    assert listing(outcome(status=1, errors=said), {"*": REJECT}, "m.npz").name == REFUSED


def test_what_is_wrong_whatever_was_asked(tmp_path):
    before = files_in(tmp_path)
    assert common_fault(outcome(tmp_path), before) is None
    for verdict, more in (
        (TRACEBACK, {"errors": "Traceback (most recent call last):"}),
        (TRACEBACK, {"status": -11}),
        (HANG, {"status": -9, "hung": True}),
        (MEMORY, {"peak_mb": 2049.0}),
    ):
        found = common_fault(outcome(tmp_path, **more), before)
        assert found is not None
        assert found.name == verdict
    assert common_fault(outcome(tmp_path, status=-9, struck=True), before) is None
    (tmp_path / MARKER).touch()
    assert common_fault(outcome(tmp_path), before).name == EXECUTED  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", b"half"),
        ("a.json", b"{"),
        ("a.npz", b"PK"),
        ("a.png", b"\x89PNG"),
        ("a.csv", b"a,b"),
        (".a/b.txt", b"\n"),
    ],
)
def test_half_files_are_found_and_those_of_before_are_not(tmp_path, name, content):
    before = files_in(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    found = common_fault(outcome(tmp_path), before)
    assert found is not None
    assert found.name == HALF
    assert common_fault(outcome(tmp_path), files_in(tmp_path)) is None
    (tmp_path / "b.json").write_text("{}")
    assert common_fault(outcome(tmp_path), files_in(tmp_path)) is None
