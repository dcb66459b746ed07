"""`python -m maskvid.generate run=RUN prompt="[a black horse] gallops" masks=MASKS`: a new video from a tuned model."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("generate")  # before the imports below, which take seconds

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress

from maskvid.clip import ClipBatch, Sample
from maskvid.config import CONF, register
from maskvid.diffusion.scheduler import make_scheduler
from maskvid.entry import entry_point, print_warning, refuse_given, run
from maskvid.errors import UserError
from maskvid.feedback import Judge, done_or_told, judge_of, print_made, tell
from maskvid.files import scratch
from maskvid.masks.video import read_subjects
from maskvid.media.strips import spaced
from maskvid.media.times import evenly
from maskvid.media.writing import write_video
from maskvid.metrics.following import Followed, Following
from maskvid.pipeline import MaskVidPipeline
from maskvid.request import (
    OF_A_PAINTED_FRAME,
    masks_of,
    output_folder,
    own_words,
    parsed,
    prepare,
    prompts_of,
    read_picture,
    subjects_of,
    video_path,
)

register()
COLUMNS = 8  # frames of a strip


@torch.inference_mode()
def generate(config: DictConfig) -> list[Path]:
    """Make one video and strip for each prompt, of any length: beyond the run's window, segment after segment.

    Of `best_of` seeds the one is kept that scores best; it is the video that its seed gives alone.

    Returns:
        Paths of the videos.
    """
    pipeline = prepare(config, "generate run=RUN prompt='[a horse] gallops' masks=MASKS.")
    with pipeline.arithmetic():
        return _generate(config, pipeline)


def _generate(config: DictConfig, pipeline: MaskVidPipeline) -> list[Path]:
    _check_first_frame(config, pipeline)
    if config.scheduler.name is not None:
        schedule = pipeline.backbone.scheduler.config
        pipeline.register_modules(scheduler=make_scheduler(config.scheduler.name, schedule=schedule))
    clips = pipeline.run.clips
    size = height, width = config.height or clips.height, config.width or clips.width
    masks = read_subjects(
        masks_of(config), subjects_of(config), evenly(config.num_frames or clips.num_frames, clips.fps), height, width,
        mask_fps=config.mask_fps, max_foreground=config.max_foreground or clips.max_foreground,
    )  # fmt: skip
    pipeline = pipeline.looking_at(masks) if config.sampling.mask_precision is None else pipeline
    picture = None if config.first_frame is None else read_picture(config, size)
    first = None if picture is None else pipeline.backbone.encode_frames(picture)
    batches = [pipeline.clip(prompt, masks) for prompt in prompts_of(config)]
    pipeline.backbone.warn_of_unknown(parsed(prompts_of(config)))
    judge = judge_of(config, pipeline, height, width, needed=config.best_of > 1)
    if judge is not None and picture is not None:
        pipeline.find = judge.encoders.segmenter
        batches = [pipeline.fitted(batch, picture) for batch in batches]
    paths = []
    for index, (prompt, batch) in enumerate(zip(prompts_of(config), batches, strict=True)):
        with scratch(output_folder(config), "generated") as workdir:
            made = [
                _one(pipeline, judge, batch, prompt, first, config.seed + number, workdir)
                for number in range(config.best_of)
            ]
            best = max(made, key=lambda one: one.followed.score if one.followed else 0.0)  # of equal ones the first
            path = video_path(config, index, batch.prompts[0], end=f"-seed{best.seed}")
            os.replace(best.path, path)
        tries = [{"seed": one.seed, **_means(one)} for one in made] if len(made) > 1 else None
        shown = batch.masks[0, best.numbers].cpu()
        sample = Sample("generated", path.stem, batch.prompts[0], best.shown, shown, fps=clips.fps)
        tell(
            path, prompt, sample, best.numbers, batch.outlines[0].cpu(),
            request={"masks": masks_of(config), "mask_precision": pipeline.sampling.mask_precision, "seed": best.seed},
            followed=best.followed, judge=judge, best_of=tries,
        )  # fmt: skip
        paths.append(path)
    return paths


@dataclass
class _Made:
    """A video that was made, and what is kept of it."""

    path: Path
    seed: int
    numbers: list[int]
    shown: torch.Tensor
    followed: Followed | None


def _one(
    pipeline: MaskVidPipeline, judge: Judge | None, batch: ClipBatch, prompt: str, first: torch.Tensor | None,
    seed: int, folder: Path,
) -> _Made:  # fmt: skip
    """Make a video of a seed and score it as it comes, in flat memory."""
    asked = pipeline.asked(seed=seed)
    masks = batch.outlines[0].cpu()
    numbers = spaced(len(masks), COLUMNS)
    following: Following | None = None
    if judge is not None:
        following = judge.following(
            batch.prompts[0],
            pipeline.inflated.clean_frames,
            numbers,
            precision=pipeline.sampling.mask_precision,
            subjects=own_words(prompt, batch),
        )
    kept: dict[int, torch.Tensor] = {}

    def frames_of() -> Iterator[torch.Tensor]:
        done = 0
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Sampling frames", total=len(masks))
            for piece in asked.stream(batch, asked.first_frame(batch) if first is None else first):
                frames = piece[0].cpu()
                kept.update((i, frames[i - done]) for i in numbers if done <= i < done + len(frames))
                if following:
                    following.add(frames, masks[done : done + len(frames)])
                done += len(frames)
                bar.update(task, completed=done)
                yield frames

    path = write_video(folder / f"{seed}.mp4", frames_of(), pipeline.run.clips.fps)
    shown = torch.stack([kept[i] for i in numbers])
    return _Made(path, seed, numbers, shown, done_or_told(following))


def _means(one: _Made) -> dict[str, float]:
    followed = one.followed
    return {} if followed is None else {key: value for key, value in followed.as_dict().items() if key != "frames"}


def _check_first_frame(config: DictConfig, pipeline: MaskVidPipeline) -> None:
    """Refuse what would not be looked at.

    Raises:
        UserError: Names the key.
    """
    if config.first_frame is not None:
        why = "where first_frame is a picture"
        unseen = ["sampling.first_frame", "sampling.first_frame_guidance_scale", *OF_A_PAINTED_FRAME]
        refuse_given(config, unseen, why)
        if pipeline.inflated.clean_frames == 0 and pipeline.run.method.noise.start != "drift":
            refuse_given(config, ["first_frame"], "with this run's method, which makes the first frame like the others")
    elif config.sampling.first_frame == "given":
        raise UserError("sampling.first_frame=given: give the picture, first_frame=PICTURE.")


@hydra.main(version_base="1.3", config_path=CONF, config_name="generate")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    for note in print_made(generate(config)):
        print_warning(note)


if __name__ == "__main__":
    run(main)
