import copy

import pytest
import torch

from maskvid.errors import UserError
from maskvid.metrics.consistency import frame_consistency
from maskvid.metrics.mask import boundary_f, mask_iou
from maskvid.metrics.motion import flow_magnitude
from maskvid.metrics.suite import CHUNK, METRICS, VideoMetrics
from maskvid.metrics.text import text_alignment
from tests.metrics.judges import TinyEncoders, clip, score, shard
from tests.metrics.ranks import run_ranks


def test_each_figure_is_the_mean_of_its_function_over_clips():
    encoders = TinyEncoders()
    want = {name: [] for name in METRICS}
    with torch.no_grad():
        for index in range(3):
            frames, masks, prompt = clip(index)
            images, text = encoders.clip.images(frames), encoders.clip.texts([prompt])[0]
            detected = encoders.segmenter(frames)
            want["mask_iou"].append(mask_iou(detected, masks))
            want["boundary_f"].append(boundary_f(detected, masks))
            want["text_alignment"].append(text_alignment(images, text))
            want["frame_consistency_all_pairs"].append(frame_consistency(images, "all_pairs"))
            want["frame_consistency_adjacent"].append(frame_consistency(images, "adjacent"))
            want["flow_magnitude"].append(flow_magnitude(frames))
    metrics = score([0, 1, 2])
    result = metrics.compute()
    assert tuple(result) == METRICS
    for name in METRICS:
        assert result[name] == pytest.approx(float(torch.stack(want[name]).mean()), rel=1e-5)
        assert [row[name] for row in metrics.rows()] == pytest.approx([float(v) for v in want[name]], rel=1e-5)
    assert [row["clip"] for row in metrics.rows()] == ["clip-0", "clip-1", "clip-2"]


def test_one_clip_pass_serves_three_metrics_and_long_videos_go_in_pieces():
    encoders = TinyEncoders()
    metrics = VideoMetrics(encoders)
    metrics.update(*clip(0))
    assert encoders.clip.passes == 1
    frames, masks, prompt = clip(1, count=CHUNK + 3)
    row = metrics.update(frames, masks, prompt)
    assert encoders.clip.passes == 3
    with torch.no_grad():
        whole = float(frame_consistency(encoders.clip.images(frames)))
    assert row["frame_consistency_all_pairs"] == pytest.approx(whole, rel=1e-5)


def test_given_frames_and_reset():
    frames, masks, prompt = clip(0)
    other = masks.clone()
    other[0] = 1 - other[0]
    metrics = VideoMetrics(TinyEncoders())
    first = metrics.update(frames, masks, prompt)
    assert metrics.update(frames, other, prompt)["mask_iou"] == first["mask_iou"]
    metrics.reset()
    assert metrics.rows() == []
    everything = VideoMetrics(TinyEncoders(), given_frames=0)
    assert everything.update(frames, masks, prompt)["mask_iou"] != everything.update(frames, other, prompt)["mask_iou"]


def test_shared_not_copied_and_no_module():
    metrics = score([0])
    assert copy.deepcopy({"metrics": metrics})["metrics"] is metrics
    assert not isinstance(metrics, torch.nn.Module)


def test_refusals():
    frames, masks, prompt = clip(0)
    metrics = score([0])
    with pytest.raises(UserError, match="clip-0 was scored twice"):
        metrics.update(frames, masks, prompt, clip_id="clip-0")
    assert len(metrics.rows()) == 1
    with pytest.raises(UserError, match="masks"):
        metrics.update(frames, masks[:2], prompt)


def test_two_ranks_with_uneven_shards_equal_one_process(tmp_path):
    run_ranks(shard, 2, str(tmp_path), str(tmp_path), [[2, 0], [1]])
    want = score([0, 1, 2])
    for rank in range(2):
        result, rows = torch.load(tmp_path / f"{rank}.pt")
        assert result == pytest.approx(want.compute(), rel=1e-5)
        assert [row["clip"] for row in rows] == ["clip-0", "clip-1", "clip-2"]
        for row, other in zip(rows, want.rows(), strict=True):
            assert {name: row[name] for name in METRICS} == pytest.approx({name: other[name] for name in METRICS})
