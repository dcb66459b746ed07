import copy

import pytest
import torch

from maskvid.errors import UserError
from maskvid.metrics.background import background_psnr
from maskvid.metrics.consistency import frame_consistency
from maskvid.metrics.conventions import CONVENTIONS
from maskvid.metrics.diversity import diversity
from maskvid.metrics.identity import foreground_colour, foreground_look
from maskvid.metrics.mask import boundary_f, centroid_distance, mask_coverage, mask_iou
from maskvid.metrics.motion import dynamic_degree, flow_magnitude
from maskvid.metrics.subjects import subject_crops
from maskvid.metrics.suite import CHUNK, CONSISTENCY, IDENTITY, MASKS, METRICS, MOTION, VideoMetrics
from maskvid.metrics.text import text_alignment
from maskvid.metrics.warp import warp_error
from tests.metrics.judges import TinyEncoders, clip, score, shard
from tests.metrics.ranks import run_ranks


def test_each_figure_is_the_mean_of_its_function_over_clips():
    metrics = score([0, 1, 2], samples=2)
    encoders, want = metrics.encoders, {name: [] for name in METRICS}
    with torch.no_grad():
        for index in range(3):
            looks = []
            for seed in range(2):
                frames, masks, prompt = clip(index + 10 * seed)
                images, text = encoders.clip.images(frames), encoders.clip.texts([prompt])[0]
                detected = encoders.segmenter(frames)
                for function in (mask_iou, boundary_f, mask_coverage, centroid_distance):
                    want[function.__name__].append(function(detected, masks))
                want["text_alignment"].append(text_alignment(images, text))
                for pairs in ("all_pairs", "adjacent", "vbench"):
                    want[f"frame_consistency_{pairs}"].append(frame_consistency(images, pairs))
                want["foreground_look"].append(foreground_look(encoders.clip.images(subject_crops(frames, masks)[0])))
                want["foreground_colour"].append(foreground_colour(frames, masks))
                for function in (flow_magnitude, dynamic_degree, warp_error):
                    want[function.__name__].append(function(frames))
                want["subject_consistency"].append(frame_consistency(encoders.dino.images(frames), "vbench"))
                want["background_psnr"].append(background_psnr(frames, frames.flip(0), masks))
                want["reference_mask_iou"].append(mask_iou(encoders.segmenter(frames.flip(0)), masks))
                looks.append(images)
            want["diversity"].append(diversity(looks))
    result = metrics.compute()
    assert tuple(result) == METRICS
    for name in METRICS:
        assert result[name] == pytest.approx(float(torch.stack(want[name]).mean()), rel=1e-5)
        if name != "diversity":  # a figure of several videos
            assert [row[name] for row in metrics.rows()] == pytest.approx([float(v) for v in want[name]], rel=1e-5)
    assert [(row["clip"], row["seed"]) for row in metrics.rows()] == [
        (f"clip-{i}", s) for i in range(3) for s in (0, 1)
    ]


def test_what_a_clip_does_not_come_with_is_not_measured():
    frames, masks, prompt = clip(0)
    metrics = VideoMetrics(TinyEncoders())
    metrics.update(frames)
    assert set(metrics.compute()) == {*CONSISTENCY, *MOTION}
    metrics.update(frames, masks)
    assert set(metrics.compute()) == {*CONSISTENCY, *MOTION, *MASKS, *IDENTITY}
    metrics.update(frames, prompt=prompt)
    assert set(metrics.compute()) == {*CONSISTENCY, *MOTION, *MASKS, *IDENTITY, "text_alignment"}


def test_every_metric_says_what_it_means():
    assert tuple(CONVENTIONS) == METRICS


def test_one_clip_pass_serves_all_frames_another_the_foreground_and_long_videos_go_in_pieces():
    encoders = TinyEncoders()
    metrics = VideoMetrics(encoders)
    metrics.update(*clip(0))
    assert encoders.clip.passes == 2
    frames, masks, prompt = clip(1, count=CHUNK + 3)
    row = metrics.update(frames, masks, prompt)
    assert encoders.clip.passes == 6
    with torch.no_grad():
        whole = float(frame_consistency(encoders.clip.images(frames)))
    assert row["frame_consistency_all_pairs"] == pytest.approx(whole, rel=1e-5)


def test_given_frames():
    frames, masks, prompt = clip(0)
    other = masks.clone()
    other[0] = 1 - other[0]
    metrics = VideoMetrics(TinyEncoders())
    first = metrics.update(frames, masks, prompt)
    assert metrics.update(frames, other, prompt)["mask_iou"] == first["mask_iou"]
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
    want = score([0, 1, 2], samples=2)
    for rank in range(2):
        result, rows = torch.load(tmp_path / f"{rank}.pt")
        assert result == pytest.approx(want.compute(), rel=1e-5)
        assert tuple(result) == METRICS
        for row, other in zip(rows, want.rows(), strict=True):
            names = [name for name in row if name in METRICS]
            assert {name: row[name] for name in ("clip", "seed", "prompt")}.items() <= other.items()
            assert [row[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-5)
