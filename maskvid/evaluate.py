"""`python -m maskvid.evaluate run=RUN` samples and scores a run; `videos=FOLDER` or `videos=a.mp4` scores files."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("evaluate")  # before the imports below, which take seconds

import platform
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from maskvid.callbacks.metrics_table import MetricsCallback, print_table, write_metrics
from maskvid.callbacks.video_logger import VideoLogger
from maskvid.config import CONF, instantiate, plain, register
from maskvid.diffusion.scheduler import make_scheduler
from maskvid.entry import check_config, entry_point, refuse_given, run
from maskvid.errors import UserError
from maskvid.files import atomic_write, check_output, expanded, json_text
from maskvid.launch import check_launch
from maskvid.metrics.conventions import CONVENTIONS
from maskvid.metrics.suite import VideoMetrics
from maskvid.module import MaskVidModule
from maskvid.pipeline import MaskVidPipeline
from maskvid.recordings import read_recordings
from maskvid.request import OF_A_PAINTED_FRAME, check_control, clips_given, clips_of, given, runs_of
from maskvid.settings import Judges
from maskvid.sweep import in_sweep, run_job
from maskvid.train import check_judges, check_precision
from maskvid.tuned import read_run

register()
USAGE = (
    "evaluate run=RUN, or evaluate videos=FOLDER, or evaluate videos=clip.mp4 [masks=MASKS] [prompt='[a horse] runs']."
)
OF_A_RUN = ("mix", "sets", "seed", "sampling", "scheduler", "backbone", "data", "save_videos")
OF_VIDEOS = ("masks", "prompt", "source", "height", "width", "mask_fps", "source_fps", "max_foreground")
LIBRARIES = ("maskvid", "torch", "lightning", "diffusers", "transformers", "open_clip_torch", "torchmetrics")


def evaluate_run(config: DictConfig, encoders: Any, folder: Path) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Sample a run's validation sets, or those asked for, and score them, sharded over the trainer's processes.

    Returns:
        `<set>/<metric>`, and one row for each video of all processes.
    """
    pipeline = MaskVidPipeline.from_pretrained(
        [Path(run) for run in runs_of(config)],  # a run directory that is misspelt is not looked for on the hub
        weights=config.mix,
        sampling=given(config.sampling),
        backbone=given(config.backbone),
        clips=clips_given(config),
    )
    run, clips = pipeline.run, pipeline.run.clips
    check_control(config, pipeline.backbone)
    if run.method.noise.start != "inversion":
        refuse_given(config, ["data.train"], "with this run, whose sampling starts from no training clip")
    check_judges(config.metrics, clips.height, clips.width)
    check_precision(run.backbone.dtype, config.trainer.precision or run.precision, config.trainer.accelerator)
    if run.sampling.first_frame == "given":
        unseen = ["sampling.first_frame_guidance_scale", *OF_A_PAINTED_FRAME]
        refuse_given(config, unseen, "where each video begins with its clip's own first frame (sampling.first_frame)")
    if not pipeline.inflated.sees_masks:
        of_masks = ["sampling.perturb", "sampling.mask_scale", "sampling.mask_precision"]
        refuse_given(config, of_masks, "with this run's method, which sees no masks")
    if config.seed is not None:
        pipeline.seed = config.seed
    if config.scheduler.name is not None:
        pipeline.scheduler = make_scheduler(config.scheduler.name, schedule=pipeline.backbone.scheduler.config)
    sets = config.sets or clips.validation
    if not sets:
        raise UserError("sets: the run has no validation sets; give some, for example +sets.mine=FOLDER.")
    clean_frames = pipeline.inflated.clean_frames
    pipeline.backbone.check_clip(clips.height, clips.width, clips.num_frames, clean_frames=clean_frames, place="data.")
    pipeline.find = lambda pictures, masks: encoders.segmenter(pictures, masks)  # loaded where rough masks ask it
    module = MaskVidModule(pipeline.asked(), set_names=list(sets)).eval()
    data = clips_of(run, sets).attach(pipeline.backbone)
    metrics = MetricsCallback(encoders=encoders, folder=folder, given_frames=config.given_frames)
    callbacks = [metrics, VideoLogger(folder=folder, logged_per_set=0)] if config.save_videos else [metrics]
    trainer = instantiate(
        config.trainer, "trainer", default_root_dir=str(folder), logger=False, callbacks=callbacks,
        precision=config.trainer.precision or run.precision,
    )  # fmt: skip
    check_launch(trainer, folder_by_clock=in_sweep() and not config.out)
    trainer.validate(module, datamodule=data, verbose=False)
    return metrics.results, metrics.rows if trainer.is_global_zero else []


def evaluate_files(config: DictConfig, encoders: Any, folder: Path) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Score videos that are there already, of whatever origin."""
    encoders.to("cuda" if torch.cuda.is_available() else "cpu")
    metrics = VideoMetrics(encoders, given_frames=config.given_frames)
    for found in read_recordings(config):
        metrics.update(
            found.frames, found.masks, found.prompt, clip_id=found.clip_id, seed=found.seed, source=found.source,
            reference=found.source,
        )  # fmt: skip
    means, rows = metrics.compute(), [{"set": "videos"} | row for row in metrics.rows()]
    results = {f"videos/{name}": value for name, value in means.items()}
    write_metrics(folder, results, rows)
    print_table({"videos": means})
    return results, rows


def evaluate(config: DictConfig) -> dict[str, float]:
    """Score what is asked for and write `metrics.json`, `metrics_per_clip.csv` and `evaluation.json`.

    Returns:
        `<set>/<metric>`.
    """
    check_config(config, USAGE)
    folder = evaluation_folder(config)
    check_output(folder)
    if config.run is None:
        refuse_given(config, OF_A_RUN, "where videos are scored, and no run is")
        if config.source is None:
            refuse_given(config, ["source_fps"], "without a source")
    else:
        refuse_given(config, OF_VIDEOS, "where a run is scored, whose clips have their own")
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.run is not None:
        take_judges(config.metrics, read_run(runs_of(config)[0]).judges)
    encoders = instantiate(config.metrics, "metrics")
    results, rows = (evaluate_files if config.run is None else evaluate_run)(config, encoders, folder)
    if rows:  # on the first process alone
        with atomic_write(folder / "evaluation.json") as path:
            path.write_text(json_text(describe(config, encoders, results, rows)))
        Console(soft_wrap=True, highlight=False).print(f"evaluation: {(folder / 'evaluation.json').resolve()}")
    return results


def take_judges(metrics: DictConfig, judges: Judges) -> None:
    """Let the judges of a run judge where a request names no others."""
    asked = asdict(judges.instead({entry.name: metrics.get(entry.name) for entry in fields(Judges)}))
    metrics.update({key: value for key, value in asked.items() if key in metrics})


def describe(
    config: DictConfig, encoders: Any, results: dict[str, float], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """The figures with all that must be known to compare them."""
    names = {key.partition("/")[2] for key in results}
    return {
        "metrics": results,
        "conventions": {name: text for name, text in CONVENTIONS.items() if name in names},
        "encoders": encoders.describe(),
        "given_frames": config.given_frames,
        "frames": sorted({row["frames"] for row in rows}),
        "clips": {
            name: len({r["clip"] for r in rows if r["set"] == name}) for name in dict.fromkeys(r["set"] for r in rows)
        },
        "seeds": sorted({row["seed"] for row in rows}),
        "request": plain(config),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }


def evaluation_folder(config: DictConfig) -> Path:
    """Where the figures go: as asked, else `evaluation` in the (first) run directory or beside the videos.

    Raises:
        UserError: Neither a run nor videos are named, or both.
    """
    if (config.run is None) == (config.videos is None):
        raise UserError(f"give one of run and videos: {USAGE}")
    if config.out:
        return expanded(config.out)
    if in_sweep():
        return Path(HydraConfig.get().runtime.output_dir)
    if config.run is None:
        videos = expanded(config.videos)
        return (videos if videos.is_dir() else videos.parent) / "evaluation"
    return expanded(runs_of(config)[0]) / "evaluation"


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    run_job(evaluation_folder(config), lambda: evaluate(config))


if __name__ == "__main__":
    run(main)
