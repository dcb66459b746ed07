"""`python -m maskvid.generate run=RUN prompt="[a black horse] gallops" masks=MASKS`: a new video from a tuned model."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("generate")  # before the imports below, which take seconds

from collections.abc import Iterator
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress

from maskvid.clip import ClipBatch, Sample
from maskvid.config import CONF, register
from maskvid.entry import entry_point, refuse_given, run
from maskvid.errors import UserError
from maskvid.masks.video import read_masks
from maskvid.media.strips import sample_sheet, spaced
from maskvid.media.times import evenly
from maskvid.media.writing import write_png, write_sidecars, write_video
from maskvid.pipeline import MaskVidPipeline
from maskvid.prompt import parse_prompt
from maskvid.request import (
    OF_A_PAINTED_FRAME,
    prepare,
    prompts_of,
    read_picture,
    video_path,
)

register()
COLUMNS = 8  # frames of a strip


@torch.inference_mode()
def generate(config: DictConfig) -> list[Path]:
    """Make one video and strip for each prompt, of any length: beyond the run's window, segment after segment.

    Returns:
        Paths of the videos.
    """
    pipeline = prepare(config, "generate run=RUN prompt='[a horse] gallops' masks=MASKS.")
    with pipeline.arithmetic():
        return _generate(config, pipeline)


def _generate(config: DictConfig, pipeline: MaskVidPipeline) -> list[Path]:
    run, pipeline = pipeline.run, pipeline.asked(seed=config.seed)
    _check_first_frame(config, pipeline)
    size = height, width = config.height or run.clips.height, config.width or run.clips.width
    fps = run.clips.fps
    at = evenly(config.num_frames or run.clips.num_frames, fps)
    masks = read_masks(
        config.masks, at, height, width, mask_fps=config.mask_fps,
        max_foreground=config.max_foreground or run.clips.max_foreground,
    )  # fmt: skip
    first = None if config.first_frame is None else pipeline.backbone.encode_frames(read_picture(config, size))
    batches = [pipeline.clip(prompt, masks) for prompt in prompts_of(config)]
    pipeline.backbone.warn_of_unknown(map(parse_prompt, prompts_of(config)))
    shown = spaced(len(masks), COLUMNS) if len(masks) > COLUMNS else list(range(len(masks)))
    kept: dict[int, torch.Tensor] = {}

    def frames_of(batch: ClipBatch, latent: torch.Tensor) -> Iterator[torch.Tensor]:
        done = 0
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Sampling frames", total=len(masks))
            for piece in pipeline.stream(batch, latent):
                frames = piece[0].cpu()
                kept.update((i, frames[i - done]) for i in shown if done <= i < done + len(frames))
                done += len(frames)
                bar.update(task, completed=done)
                yield frames

    paths = []
    for index, (prompt, batch) in enumerate(zip(prompts_of(config), batches, strict=True)):
        [text] = batch.prompts
        latent = first if first is not None else pipeline.first_frame(batch)
        path = video_path(config, index, text, end=f"-seed{config.seed}")
        paths.append(write_video(path, frames_of(batch, latent), fps))
        sample = Sample("generated", path.stem, text, torch.stack([kept[i] for i in shown]), masks[shown])
        write_png(path.with_suffix(".png"), sample_sheet(sample, columns=COLUMNS))
        write_sidecars(path, prompt, masks, fps)
    return paths


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
    print_files(generate(config))


def print_files(paths: list[Path]) -> None:
    """Say where the videos and their strips are."""
    console = Console(soft_wrap=True, highlight=False)
    for path in paths:
        console.print(f"video: {path.resolve()}\nstrip: {path.with_suffix('.png').resolve()}")


if __name__ == "__main__":
    run(main)
