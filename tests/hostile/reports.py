"""Runs of others that a report is made of."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.grounds import Build, Grounds, Hostile, code, edit_json, write_pickle

ROW = {"set": "horse", "clip": "clip", "seed": "1", "prompt": "a horse", "frames": "8", "mask_iou": "0.5"}


def write_job(folder: Path, rows: list[dict[str, str]], overrides: Any = ("method=maskvid",)) -> None:
    """A job as a sweep leaves it."""
    folder.mkdir(parents=True)
    with (folder / "metrics_per_clip.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "finished.json").write_text(json.dumps({"overrides": list(overrides), "metrics": {}}))


def job(change: Callable[[Path, Path], Any], *, refused: bool = True, plots: bool = False) -> Build:
    """A folder with one job that was changed: `change` is given the job's folder and the marker."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / "sweep" / "0", place / "marker"
        write_job(bad, [ROW])
        change(bad, marker)
        argv = ["maskvid.report", f"runs={bad.parent}", f"plots={str(plots).lower()}"]
        return Hostile(name, argv, marker, refused, words="runs=")

    return build


def named(**values: str) -> Callable[[Path, Path], None]:
    """Other words in the table of scores."""

    def change(bad: Path, marker: Path) -> None:
        rows = [{**ROW, **values}, ROW]
        for path in bad.iterdir():
            path.unlink()
        bad.rmdir()
        write_job(bad, rows, [f"method={values.get('set', '')}"])
        write_job(bad.with_name("1"), rows)

    return change


def table(text: str | bytes) -> Callable[[Path, Path], Any]:
    """Another text for the table of scores."""
    content = text if isinstance(text, bytes) else text.encode()
    return lambda bad, marker: (bad / "metrics_per_clip.csv").write_bytes(content)


def finished(text: str) -> Callable[[Path, Path], Any]:
    """Another text for what a sweep keeps of a job."""
    return lambda bad, marker: (bad / "finished.json").write_text(text)


def yaml(text: str) -> Callable[[Path, Path], None]:
    """Another text for the overrides that Hydra keeps; MARKER in it is Python that leaves the marker."""

    def change(bad: Path, marker: Path) -> None:
        (bad / "finished.json").unlink()
        (bad / ".hydra").mkdir()
        (bad / ".hydra" / "overrides.yaml").write_text(text.replace("MARKER", code(marker).strip()))

    return change


def video(link: Callable[[Path, Path], Any], **values: str) -> Callable[[Path, Path], None]:
    """A video that is not the job's own: `link` is given its place and a file outside."""

    def change(bad: Path, marker: Path) -> None:
        named(**values)(bad, marker)
        secret = bad.parent.parent / "secret.mp4"
        secret.write_bytes(b"\0\0\0\x18ftypisom" + b"SECRET" * 100)
        place = bad / "samples" / "step-000001" / "horse" / "clip.mp4"
        place.parent.mkdir(parents=True)
        link(place, secret)

    return change


def folder_link(place: Path, secret: Path) -> None:
    """The folder of the samples lies elsewhere."""
    place.parent.rmdir()
    (secret.parent / "elsewhere").mkdir()
    (secret.parent / "elsewhere" / "clip.mp4").write_bytes(secret.read_bytes())
    place.parent.symlink_to(secret.parent / "elsewhere")


def csv_pipe(bad: Path, marker: Path) -> None:
    """A pipe in place of the table."""
    (bad / "metrics_per_clip.csv").unlink()
    os.mkfifo(bad / "metrics_per_clip.csv")


HEADER = "set,clip,seed,prompt,frames,mask_iou\n"
BOMB = "- &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

REPORTS: dict[str, Build] = {
    "markup": job(named(set="<script>alert(1)</script>", prompt="'\"><img src=x onerror=alert(1)>"), refused=False),
    "formulas": job(named(set="=cmd|' /C calc'!A0", clip="@SUM(1)", prompt="+1+1"), refused=False, plots=True),
    "cells_and_lines": job(named(set="a | b\n# c", prompt="![x](http://evil)\x1b[2J"), refused=False),
    "mathematics": job(named(set="$\\frac{1}$ _x ${oc.env:HOME}"), refused=False, plots=True),
    "paths": job(video(lambda place, secret: None, set="../../secret", clip="../../../secret"), refused=False),
    "long_names": job(named(set="x" * 5000, clip="y" * 5000), refused=False, plots=True),
    "video_link": job(video(lambda place, secret: place.symlink_to(secret)), refused=False),
    "video_folder_link": job(video(folder_link), refused=False),
    "video_pipe": job(video(lambda place, secret: os.mkfifo(place)), refused=False),
    "video_of_text": job(video(lambda place, secret: place.write_text("SECRET" * 100)), refused=False),
    "infinite": job(named(mask_iou="1e999"), refused=False, plots=True),
    "not_a_number": job(table(HEADER + "horse,a,1,p,8,0.5\nhorse,b,1,p,8,__import__\n")),
    "no_columns": job(table("a,b\n1,2\n")),
    "fewer_cells": job(table(HEADER + "horse,a\n")),
    "more_cells": job(table(HEADER + "horse,a,1,p,8,0.5,7,8\n")),
    "nul": job(table(HEADER + "horse,\0,1,p,8,0.5\0\n"), refused=False),
    "bytes": job(table(bytes(range(256)))),
    "nothing": job(table("")),
    "million_rows": job(table(HEADER + "".join(f"horse,{i},1,p,8,0.5\n" for i in range(10**6)))),
    "one_long_cell": job(table(HEADER + "horse," + "x" * 2**20 + ",1,p,8,0.5\n")),
    "pickled": job(lambda bad, marker: write_pickle(bad / "metrics_per_clip.csv", marker)),
    "pipe": job(csv_pipe),
    "finished_list": job(finished("[1, 2]")),
    "finished_numbers": job(finished('{"overrides": [1, {"a": 2}]}')),
    "finished_deep": job(finished("[" * 200_000)),
    "finished_huge_integer": job(finished(f'{{"overrides": {"9" * 10_000}}}')),
    "finished_surrogates": job(finished('{"overrides": ["a=\\ud800"]}')),
    "failed_without_reason": job(lambda bad, marker: (bad / "failed.json").write_text("{}")),
    "failed_number": job(lambda bad, marker: edit_json(bad / "failed.json", lambda _: {"overrides": [], "error": 5})),
    "yaml_python": job(yaml('- !!python/object/apply:builtins.exec ["MARKER"]\n')),
    "yaml_python_mapping": job(yaml('a: !!python/object/apply:os.system ["touch MARKER"]\n')),
    "yaml_interpolation": job(yaml("- method=${oc.env:HOME}\n"), refused=False),
    "yaml_bomb": job(yaml(BOMB)),
    "yaml_merges": job(yaml("a: &a {x: 1}\nb: &b {<<: [*a, *a, *a]}\n")),
    "yaml_deep": job(yaml("[" * 100_000)),
    "yaml_bytes": job(
        lambda bad, marker: (yaml("")(bad, marker), (bad / ".hydra" / "overrides.yaml").write_bytes(b"\xff\0"))
    ),
}
