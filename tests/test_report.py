"""Reports of sweeps that lie on disk as a multirun leaves them."""

import base64
import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scipy.stats import bootstrap

from maskvid.callbacks.metrics_table import MetricsCallback, write_metrics
from maskvid.callbacks.video_logger import VideoLogger
from maskvid.config import CONF
from maskvid.errors import UserError
from maskvid.files import file_name
from maskvid.media.writing import write_video
from maskvid.report import report
from maskvid.reporting.intervals import estimate
from maskvid.reporting.jobs import read_jobs, variants
from maskvid.reporting.page import galleries
from maskvid.reporting.plots import numeric_key
from maskvid.reporting.table import summarise
from tests.callbacks.tiny import TinyModule, batches, sample, trainer
from tests.metrics.judges import TinyEncoders, clip


def score(seed: int, index: int, gain: float) -> float:
    return 0.5 + gain + 0.05 * np.sin(7 * seed + 3 * index)


def job(folder, overrides: list[str], *, seed: int, gain: float, metric: str = "mask_iou") -> None:
    rows = [
        {"set": "horse", "clip": f"clip-{i}", "seed": seed, "prompt": f"<b>horse</b> {i}", "frames": 8,
         metric: score(seed, i, gain), "text_alignment": 80 + i}
        for i in range(4)
    ]  # fmt: skip
    write_metrics(folder, {f"horse/{metric}": float(np.mean([row[metric] for row in rows]))}, rows)
    (folder / "finished.json").write_text(json.dumps({"overrides": overrides, "metrics": {}}))
    for i in range(2):
        write_video(folder / "samples" / "step-000004" / "horse" / f"clip-{i}.mp4", clip(seed + i)[0], 8, scale=1)


@pytest.fixture
def sweep(tmp_path):
    """Two variants with three seeds each, a failed job and one that was stopped."""
    number = 0
    for method, gain in (("maskvid", 0.3), ("lamp", 0.0)):
        for seed in (1, 2, 3):
            overrides = ["+experiment=horse", f"method={method}", f"seed={seed}", f"run_dir={number}"]
            job(tmp_path / str(number), overrides, seed=seed, gain=gain)
            number += 1
    failed = {"overrides": ["method=odd", "seed=1"], "error": "no such method"}
    (tmp_path / "6").mkdir()
    (tmp_path / "6" / "failed.json").write_text(json.dumps(failed))
    (tmp_path / "7" / ".hydra").mkdir(parents=True)
    (tmp_path / "7" / ".hydra" / "overrides.yaml").write_text("- method=slow\n- seed=1\n")
    return tmp_path


def configure_report(*more):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("report", overrides=list(more))


def test_means_and_intervals_stand_in_table_and_csv(sweep):
    folder = report(configure_report(f"runs={sweep}"))
    with (folder / "report.csv").open() as handle:
        rows = {(row["method"], row["metric"]): row for row in csv.DictReader(handle)}
    values = [score(seed, i, 0.3) for seed in (1, 2, 3) for i in range(4)]
    found = rows["maskvid", "mask_iou"]
    assert float(found["mean"]) == pytest.approx(np.mean(values))
    assert float(found["low"]) < np.mean(values) < float(found["high"])
    assert (found["seeds"], found["clips"]) == ("3", "4")
    text = (folder / "report.md").read_text()
    assert re.search(r"\| horse \| lamp \| 3 x 4 \| 0\.\d+ \[0\.\d+, 0\.\d+\] \|", text)
    assert "6 (method=odd seed=1) failed: no such method" in text
    assert "7 (method=slow seed=1) has no scores" in text


def test_the_page_is_whole_in_itself_and_words_are_no_markup(sweep):
    folder = report(configure_report(f"runs={sweep}", "clips=1", "title=Two methods"))
    page = (folder / "index.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    videos = re.findall(r"data:video/mp4;base64,([^\"]+)", page)
    assert len(videos) == 2  # one clip, two variants
    assert (
        base64.b64decode(videos[0]) == (sweep / "0" / "samples" / "step-000004" / "horse" / "clip-0.mp4").read_bytes()
    )
    assert "&lt;b&gt;horse" in page
    assert "<b>horse" not in page
    assert (folder / "metrics.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (folder / "metrics.svg").read_text()


def test_each_clip_is_shown_with_its_own_video(tmp_path):
    """Names that begin alike, that a file cannot have, or that a pattern would read as another."""
    names = ["clip-10", "clip-1", "fox/walk 1", "fox[ab]", "foxa"]
    samples = [replace(sample(i, "held out"), clip_id=name) for i, name in enumerate(names)]
    twice = [replace(sample(9, "held out"), clip_id="two seeds", seed=seed) for seed in (3, 4)]
    callbacks = [MetricsCallback(encoders=TinyEncoders()), VideoLogger(scale=1)]
    runner = trainer(tmp_path / "a", callbacks, limit_val_batches=2)
    runner.validate(TinyModule({0: samples, 1: twice}), batches(), verbose=False)
    shown, left_out = galleries(summarise(read_jobs(tmp_path)[0]), read_jobs(tmp_path)[0], clips=9)
    assert left_out == []
    assert sorted(entry["clip"] for entry in shown) == sorted([*names, "two seeds"])
    folder = tmp_path / "a" / "samples" / "step-000000" / file_name("held out")
    for entry in shown:
        name = "two seeds-seed3" if entry["clip"] == "two seeds" else entry["clip"]
        [video] = entry["videos"]
        assert base64.b64decode(video["data"]) == (folder / f"{file_name(name)}.mp4").read_bytes()


def test_an_infinite_score_makes_the_mean_infinite_and_the_report_goes_on(tmp_path):
    """The PSNR of a background that an edit left as it was, in one clip of four."""
    job(tmp_path / "a", ["method=a"], seed=1, gain=0, metric="background_psnr")
    job(tmp_path / "b", ["method=b"], seed=1, gain=0, metric="background_psnr")
    rows = (tmp_path / "b" / "metrics_per_clip.csv").read_text().replace(str(score(1, 2, 0)), "inf")
    (tmp_path / "b" / "metrics_per_clip.csv").write_text(rows)
    text = (report(configure_report(f"runs={tmp_path}")) / "report.md").read_text()
    assert re.search(r"\| a \| 1 x 4 \|.* 0\.\d+ \[0\.\d+, 0\.\d+\] \|", text)
    assert re.search(r"\| b \| 1 x 4 \|.* inf \[0\.\d+, inf\] \|", text)
    found = estimate({("1", "a"): np.nan, ("1", "b"): 1.0})
    assert np.isnan([found.mean, found.low]).all()  # a clip that could not be scored is not passed over


def test_a_variant_that_is_a_number_makes_curves(tmp_path):
    for number, (kind, strength) in enumerate([(k, s) for k in ("dilate", "erode") for s in (1, 2, 3)]):
        job(tmp_path / str(number), [f"perturb={kind}", f"strength={strength}"], seed=1, gain=-0.1 * strength)
    summary = summarise(read_jobs(tmp_path)[0])
    assert summary.keys == ["perturb", "strength"]
    assert numeric_key(summary) == 1
    assert (report(configure_report(f"runs={tmp_path}")) / "metrics.png").exists()


def test_runs_beside_each_other_are_told_apart_by_name(tmp_path):
    for name in ("a", "b"):
        job(tmp_path / name, [], seed=1, gain=0)
    jobs, without = read_jobs(tmp_path)
    assert variants(jobs) == (["run"], [("a",), ("b",)])
    assert without == []


def test_intervals_over_clips_alone_agree_with_scipy():
    draw = np.random.default_rng(1)
    values = {("1", str(i)): float(draw.normal()) for i in range(24)}
    found = estimate(values, resamples=20000)
    want = bootstrap((list(values.values()),), np.mean, method="percentile", n_resamples=20000).confidence_interval
    assert found.mean == pytest.approx(np.mean(list(values.values())))
    assert (found.low, found.high) == pytest.approx((want.low, want.high), abs=0.02)


def test_intervals_know_that_a_seed_is_shared_by_its_clips():
    """Scores that differ by seed alone: twelve clips make the interval no narrower."""
    values = {(str(s), str(c)): float(s) for s in range(3) for c in range(12)}
    found = estimate(values)
    assert (found.low, found.high) == (0.0, 2.0)
    with_gap = {key: value for key, value in values.items() if key != ("0", "0")}
    assert estimate(with_gap).mean == pytest.approx(np.mean(list(with_gap.values())))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "runs must be set"),
        (["runs=/nowhere"], "nowhere"),
        (["runs={folder}", "columns=[beauty]"], "beauty is not a metric"),
        (["runs={folder}", "columns=[diversity]"], "not measured in this sweep"),
        (["runs={folder}/7"], "no job below it"),
    ],
)
def test_bad_requests_name_what_is_wrong(sweep, more, words):
    with pytest.raises(UserError, match=words):
        report(configure_report(*(entry.format(folder=sweep) for entry in more)))
