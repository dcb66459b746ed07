import csv
import json

import pytest
import torch

from maskvid.callbacks.ema import EMA
from maskvid.callbacks.metrics_table import COLUMNS, MetricsCallback
from maskvid.errors import UserError
from maskvid.judges.panel import MetricEncoders
from maskvid.metrics.suite import VideoMetrics
from tests.callbacks.ranks import validate_shard
from tests.callbacks.tiny import TinyModule, batches, sample, trainer
from tests.metrics.judges import TinyEncoders
from tests.metrics.ranks import run_ranks


def expected(samples) -> dict[str, float]:
    metrics = VideoMetrics(TinyEncoders())
    for entry in samples:
        metrics.update(entry.frames, entry.masks, entry.prompt, clip_id=entry.clip_id)
    return metrics.compute()


def test_logs_while_fitting_and_writes_in_the_final_validation(tmp_path, capsys):
    module = TinyModule({0: [sample(0), sample(1)], 1: [sample(2, "train")]})
    callback = MetricsCallback(encoders=TinyEncoders())
    runner = trainer(
        tmp_path, [callback, EMA()], max_steps=2, val_check_interval=2, limit_val_batches=2, num_sanity_val_steps=1
    )
    runner.fit(module, batches(2), batches())
    want = {f"heldout/{name}": value for name, value in expected([sample(0), sample(1)]).items()}
    want |= {f"train/{name}": value for name, value in expected([sample(2)]).items()}
    assert {key: float(runner.callback_metrics[key]) for key in want} == pytest.approx(want, rel=1e-5)
    assert not list(tmp_path.glob("metrics*"))

    runner.validate(module, batches(), verbose=False)
    assert json.loads((tmp_path / "metrics.json").read_text()) == pytest.approx(want, rel=1e-5)
    with (tmp_path / "metrics_per_clip.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["set"], row["clip"]) for row in rows] == [
        ("heldout", "clip-0"),
        ("heldout", "clip-1"),
        ("train", "clip-2"),
    ]
    assert tuple(rows[0]) == tuple(
        c for c in COLUMNS if c not in ("subject_consistency", "background_psnr", "reference_mask_iou", "diversity")
    )
    mean = sum(float(row["mask_iou"]) for row in rows[:2]) / 2
    assert mean == pytest.approx(want["heldout/mask_iou"], rel=1e-5)
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("heldout", "train", *(key.partition("/")[2] for key in want)))


def test_encoders_stay_out_of_checkpoints(tmp_path):
    callback = MetricsCallback(encoders=TinyEncoders())
    runner = trainer(tmp_path, [callback], max_steps=1, val_check_interval=1, limit_val_batches=1)
    module = TinyModule({0: [sample(0)]})
    runner.fit(module, batches(1), batches())
    runner.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt")
    assert set(saved["state_dict"]) == set(module.state_dict())
    assert "MetricsCallback" not in str(saved["callbacks"])


def test_a_set_name_that_would_not_split_is_refused(tmp_path):
    runner = trainer(tmp_path, [MetricsCallback(encoders=TinyEncoders())], limit_val_batches=1)
    with pytest.raises(UserError, match="'a/b'"):
        runner.validate(TinyModule({0: [sample(0, "a/b")]}), batches(), verbose=False)


def test_two_ranks_with_uneven_shards_write_what_one_would(tmp_path):
    # rank 1 has no clip of the set `train`: it must join its reductions all the same
    run_ranks(validate_shard, 2, str(tmp_path), str(tmp_path))
    want = {f"heldout/{name}": value for name, value in expected([sample(0), sample(1), sample(2)]).items()}
    want |= {f"train/{name}": value for name, value in expected([sample(3)]).items()}
    assert json.loads((tmp_path / "metrics.json").read_text()) == pytest.approx(want, rel=1e-5)
    assert len((tmp_path / "metrics_per_clip.csv").read_text().splitlines()) == 5
    assert len(list(tmp_path.glob("samples/*/*/*.mp4"))) == 4


def test_encoders_are_loaded_late_and_named_by_default():
    encoders = MetricEncoders()
    assert encoders.names["clip"].name == "mini_clip"
    assert encoders.names["segmenter"].name == "mini_segmenter"
    assert encoders._loaded == {}
    assert encoders.to("meta").device == torch.device("meta")
