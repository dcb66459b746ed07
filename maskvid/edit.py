"""`python -m maskvid.edit run=RUN source=clip.mp4 masks=MASKS prompt="[a zebra] gallops"`: a given clip, edited."""

from __future__ import annotations

from maskvid.help import answer_help

if __name__ == "__main__":
    answer_help("edit")  # before the imports below, which take seconds

import sys
from dataclasses import replace
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig

from maskvid.config import CONF, register
from maskvid.data.decode import decode_frames, frames_to_float
from maskvid.entry import entry_point, quote_values
from maskvid.errors import UserError
from maskvid.generate import COLUMNS, print_files
from maskvid.masks.video import read_masks
from maskvid.module import MaskVidModule
from maskvid.request import arithmetic, file_name, output_folder, prepare, prompts_of, request
from maskvid.video import Sample, sample_sheet, write_png, write_sidecars, write_video

register()


@torch.inference_mode()
def edit(config: DictConfig) -> list[Path]:
    """Edit a clip once for each prompt.

    Returns:
        Paths of the videos.
    """
    module, run = prepare(config, "edit run=RUN source=clip.mp4 masks=MASKS prompt='[a zebra] gallops'.")
    with arithmetic(config, run):
        return _edit(config, module, run)


def _edit(config: DictConfig, module: MaskVidModule, run: DictConfig) -> list[Path]:
    height, width = config.height or run.data.height, config.width or run.data.width
    stride = config.mask_stride or run.data.frame_stride
    num_frames = config.num_frames or run.data.num_frames
    if num_frames > run.data.num_frames:
        raise UserError(
            f"num_frames={num_frames}: the run's windows have {run.data.num_frames}; edit longer clips in parts."
        )
    masks = read_masks(config.masks, num_frames, height, width, frame_stride=stride)
    span = (num_frames - 1) * stride + 1
    pixels = decode_frames(Path(config.source), height, width, limit=span)
    if len(pixels) < span:
        raise UserError(
            f"source={config.source} has {len(pixels)} frames; num_frames={num_frames} at mask_stride={stride} needs "
            f"{span}."
        )
    frames = frames_to_float(pixels[::stride])
    latents = module.backbone.encode_frames(frames).unsqueeze(0)
    given = replace(request(module, config.source_prompt, masks), latents=latents)
    paths = []
    for index, prompt in enumerate(prompts_of(config)):
        wanted = request(module, prompt, masks)
        [text] = wanted.prompts
        name = file_name(index, text)
        video = module.sampler.edit(given, wanted, keep_background=config.keep_background)[0].cpu()
        path = output_folder(config) / f"edit-{name}.mp4"
        paths.append(write_video(path, video, module.sampler.sampling.fps))
        sample = Sample("edited", name, text, video, masks, reference=frames)
        write_png(path.with_suffix(".png"), sample_sheet(sample, columns=COLUMNS))
        write_sidecars(path, prompt, masks)
    return paths


@hydra.main(version_base="1.3", config_path=CONF, config_name="edit")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    print_files(edit(config))


if __name__ == "__main__":
    sys.argv[1:] = quote_values(sys.argv[1:])
    main()
