"""The program, as it is typed."""

from __future__ import annotations

import json
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from maskvid.entry import quote_values, run
from maskvid.prepare import main
from tests.footage.films import write_film


def typed(monkeypatch, *arguments: str) -> None:
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["prepare", *arguments])
    run(main)


@pytest.fixture
def asked(tmp_path):
    write_film(tmp_path / "raw" / "a [1].mp4")
    return [
        f"videos={tmp_path}/raw", f"out={tmp_path}/out", "subject=the horse", "foreground=embedded", "num_frames=12",
        "fps=6", "height=64", "width=96",
    ]  # fmt: skip


def test_a_run_says_what_it_can_do_what_was_made_and_where(asked, tmp_path, monkeypatch, capsys):
    with pytest.warns(UserWarning, match="animals that this project rendered, and knows nothing else"):
        typed(monkeypatch, *asked, "caption=[the horse] gallops")
    shown = capsys.readouterr()
    assert "a [1].mp4" in shown.out
    assert "accepted: 2 of 2 windows" in shown.out
    assert f"page: {tmp_path}/out/index.html" in shown.out
    [first, _] = (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()
    assert json.loads(first)["text"] == "[the horse] gallops"


def test_a_dry_run_lists_shots_and_windows(asked, tmp_path, monkeypatch, capsys):
    typed(monkeypatch, *asked, "num_frames=9", "dry_run=true")
    shown = capsys.readouterr().out
    assert "-001-001: from 0.00 s" in shown
    assert "-002-001: from 2.00 s" in shown
    assert "left over: a [1].mp4: shot 1: 0.5 s at its end" in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["videos=/nowhere"], "videos=/nowhere"),
        (["out=/proc/none"], "out=/proc/none"),
        (["num_frames=200"], "no shot of any clip is as long as such a window"),
        (["fps=0"], "fps=0"),
        (["num_frames=1"], "num_frames=1"),
        (["box=[0,0,1,1]"], "box="),
        (["foreground=grabcut"], "foreground=grabcut cuts out what a box shows"),
        (["points=[1,2]"], "points"),
        (["box=5"], "box"),
        (["subject=[a"], "unbalanced"),
        (["+sound=1"], "sound"),
        (["max_foreground=0.01"], "no window was accepted"),
    ],
)
def test_mistakes_are_told_in_a_sentence_with_status_1(asked, monkeypatch, capsys, more, message):
    given = {entry.partition("=")[0] for entry in more}
    with pytest.raises(SystemExit) as ended:
        typed(monkeypatch, *[entry for entry in asked if entry.partition("=")[0] not in given], *more)
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert "error:" in shown
    assert message in " ".join(shown.split())
    assert "Traceback" not in shown


def test_words_are_taken_as_they_are_typed():
    assert quote_values(["subject=the horse", "caption=[the horse] gallops, fast"]) == [
        'subject="the horse"', 'caption="[the horse] gallops, fast"'
    ]  # fmt: skip
