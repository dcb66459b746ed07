"""`python -m maskvid.edit run=RUN source=clip.mp4 masks=MASKS prompt="[a zebra] gallops"`: a given clip, edited."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("edit")  # before the imports below, which take seconds

from dataclasses import replace
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig

from maskvid.clip import Sample
from maskvid.config import CONF, register
from maskvid.entry import entry_point, print_warning, refuse_given, run
from maskvid.errors import UserError
from maskvid.feedback import done_or_told, judge_of, print_made, tell
from maskvid.generate import COLUMNS
from maskvid.masks.video import read_subjects
from maskvid.media.decode import read_clip
from maskvid.media.strips import spaced
from maskvid.media.times import evenly
from maskvid.media.writing import write_video
from maskvid.pipeline import MaskVidPipeline
from maskvid.request import masks_of, own_words, parsed, prepare, prompts_of, subjects_of, video_path

register()


@torch.inference_mode()
def edit(config: DictConfig) -> list[Path]:
    """Edit a clip once for each prompt.

    Returns:
        Paths of the videos.
    """
    pipeline = prepare(config, "edit run=RUN source=clip.mp4 masks=MASKS prompt='[a zebra] gallops'.")
    with pipeline.arithmetic():
        return _edit(config, pipeline)


def _edit(config: DictConfig, pipeline: MaskVidPipeline) -> list[Path]:
    run = pipeline.run
    refuse_given(config, ["backbone.safety_checker"], "in an edit, which paints no first frame from nothing")
    height, width = config.height or run.clips.height, config.width or run.clips.width
    num_frames, fps = config.num_frames or run.clips.num_frames, run.clips.fps
    if num_frames > run.clips.num_frames:
        raise UserError(
            f"num_frames={num_frames}: the run's windows have {run.clips.num_frames}; edit longer clips in parts."
        )
    at = evenly(num_frames, fps)
    frames, clock = read_clip(config.source, at, height, width, source_fps=config.source_fps)
    masks = read_subjects(
        masks_of(config), subjects_of(config), at, height, width, clock=clock, mask_fps=config.mask_fps,
        max_foreground=config.max_foreground or run.clips.max_foreground,
    )  # fmt: skip
    pipeline = pipeline.looking_at(masks) if config.sampling.mask_precision is None else pipeline
    latents = pipeline.backbone.encode_frames(frames).unsqueeze(0)
    given = pipeline.clip(config.source_prompt, masks, place="source_prompt")
    given = replace(given, latents=latents, frames=frames.unsqueeze(0))
    pipeline.backbone.warn_of_unknown(parsed([config.source_prompt, *prompts_of(config)]))
    judge = judge_of(config, pipeline, height, width, needed=False)
    paths = []
    for index, prompt in enumerate(prompts_of(config)):
        wanted = pipeline.clip(prompt, masks)
        [text] = wanted.prompts
        video = pipeline.edit_clips(given, wanted, keep_background=config.keep_background)[0].cpu()
        path = video_path(config, index, text, end="-edit")
        paths.append(write_video(path, video, fps))
        shown = spaced(len(masks), COLUMNS)
        precision = pipeline.sampling.mask_precision  # and an edit makes its first frame, too
        outlines, whole = wanted.outlines[0].cpu(), wanted.masks[0].cpu()
        following = None
        if judge is not None:
            following = judge.following(text, 0, shown, precision=precision, subjects=own_words(prompt, wanted))
            following.add(video, outlines)
        sample = Sample("edited", path.stem, text, video[shown], whole[shown], reference=frames[shown], fps=fps)
        tell(
            path, prompt, sample, shown, outlines, request={"source": config.source, "masks": masks_of(config)},
            followed=done_or_told(following), judge=judge,
        )  # fmt: skip
    return paths


@hydra.main(version_base="1.3", config_path=CONF, config_name="edit")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    for note in print_made(edit(config)):
        print_warning(note)


if __name__ == "__main__":
    run(main)
