"""What an offline W&B run stored, read back from its file."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from wandb.proto import wandb_internal_pb2

from maskvid.train import train
from tests.runs import configure


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """The protocol-buffer records of a `.wandb` file, which is a LevelDB log behind a header of seven bytes."""
    data, position, parts = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:  # a block's last bytes are padding
            position += left
            continue
        (length,), kind = struct.unpack("<H", data[position + 4 : position + 6]), data[position + 6]
        if position + 7 + length > len(data):
            return  # W&B is still writing it
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            try:
                record.ParseFromString(parts)
            except DecodeError:
                return  # half of it is not on the disk yet
            parts = b""
            yield record


@pytest.fixture(scope="module")
def stored(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    monkeypatch = pytest.MonkeyPatch()
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    kept = [override for override in overrides if override not in ("callbacks.metrics=null", "logger=csv")]
    try:
        train(configure(kept, f"run_dir={folder}", "trainer.max_steps=2", "trainer.limit_val_batches=1"))
    finally:
        monkeypatch.undo()
    [file] = folder.glob("wandb/offline-run-*/*.wandb")
    deadline = time.monotonic() + 60
    while True:  # W&B's own process writes the last lines after `finish` has returned
        found = list(records(file))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return folder, found
        assert time.monotonic() < deadline, "the run was never finished"
        time.sleep(0.2)


def test_a_resumed_run_continues_in_the_same_wandb_run(stored, overrides):
    folder, found = stored
    [first] = {record.run.run_id for record in found if record.WhichOneof("record_type") == "run"}
    kept = [override for override in overrides if override != "logger=csv"]
    more = ["logger=wandb", "trainer.max_steps=3", "data.validation=null", "ckpt_path=last"]
    train(configure(kept, f"run_dir={folder}", *more))
    assert {path.stem for path in folder.glob("wandb/offline-run-*/*.wandb")} == {f"run-{first}"}
    assert len(list(folder.glob("wandb/offline-run-*"))) == 2
    other = folder.parent / "other"
    train(configure(kept, f"run_dir={other}", *more[:-1]))
    assert not list(other.glob(f"wandb/offline-run-*/run-{first}.wandb"))


def history(stored) -> dict[str, list]:
    rows: dict[str, list] = {}
    for record in stored[1]:
        for item in record.history.item:
            rows.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
    return rows


def test_losses_and_metrics_are_in_the_run(stored):
    rows = history(stored)
    assert len(rows["train/loss"]) == 2
    table = json.loads((stored[0] / "metrics.json").read_text())
    assert table
    for key, value in table.items():
        assert rows[key][-1] == pytest.approx(value, nan_ok=True), key


def test_videos_and_strips_are_in_the_run(stored):
    rows = history(stored)
    files = min(stored[0].glob("wandb/offline-run-*/files"))  # the first of them: a resumed one may stand beside it
    videos = [[video["path"] for video in rows[key][-1]] for key in rows if key.endswith("/video/videos")]
    outlined = [video["path"] for key in rows if key.endswith("/outlined/videos") for video in rows[key][-1]]
    assert len(outlined) == 3
    assert all((files / name).is_file() for name in outlined)
    sheets = [rows[key][-1] for key in rows if key.endswith("/frames/filenames")]
    assert len(videos) == len(sheets) == 3
    assert all((files / name).is_file() for names in videos + sheets for name in names)


def test_the_configuration_is_in_the_run(stored):
    config = {
        (update.key or "/".join(update.nested_key)): json.loads(update.value_json)
        for record in stored[1]
        for update in [*record.run.config.update, *record.config.update]
    }
    assert config["method"]["name"] == "maskvid"
    assert config["seed"] == 1
