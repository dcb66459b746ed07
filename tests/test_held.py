"""What was tried on odd machines and files, and held: kept so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maskvid.data.checked import check_sets
from maskvid.settings import Requirements
from tests.data.tiny import write_triple

NEEDS = Requirements(height=16, width=24, num_frames=4, fps=4)


def captions(folder: Path) -> list[str]:
    report = check_sets({"train": [folder]}, NEEDS)
    assert report.rejected["train"] == []
    return [clip.triple.prompts[0].text for clip in report.accepted["train"]]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\n\r\n"], ids=["LF", "CRLF", "blank lines"])
def test_line_ends_and_byte_order_marks(tmp_path, start, end):
    write_triple(tmp_path, "a")
    (tmp_path / "metadata.jsonl").write_bytes(
        start + '{"file_name": "a.mp4", "mask": "a.npz", "text": "[un été] passe"}'.encode() + end
    )
    assert captions(tmp_path) == ["un été passe"]


def test_links_to_clips_are_clips(tmp_path):
    write_triple(tmp_path / "there", "a")
    (tmp_path / "here").mkdir()
    for path in (tmp_path / "there").iterdir():
        (tmp_path / "here" / path.name).symlink_to(path)
    assert len(captions(tmp_path / "here")) == 1


def test_a_machine_without_a_home_or_a_language(tmp_path):
    write_triple(tmp_path / "clips", "été")
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    listed = subprocess.run(
        [sys.executable, "-m", "maskvid.train", "+experiment=horse", f"data.train={tmp_path}/clips",
         "data.validation=null", "data.dry_run=true", "data.num_frames=2", f"hydra.run.dir={tmp_path}/run"],
        env={**kept, "LC_ALL": "C", "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}, capture_output=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
    assert b"accepted" in listed.stdout
