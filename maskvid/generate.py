"""`python -m maskvid.generate run=RUN prompt="[a black horse] gallops" masks=MASKS`: a new video from a tuned model."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from maskvid.clip import ClipBatch
from maskvid.config import CONF, TrainConfig, check_keys, entry_point, instantiate, plain, register
from maskvid.data.decode import decode_frames, frames_to_float
from maskvid.errors import UserError
from maskvid.masks.video import read_masks
from maskvid.model import Backbone, load_adapter, read_adapter
from maskvid.module import MaskVidModule
from maskvid.train import build_module
from maskvid.video import Sample, sample_sheet, write_png, write_video

register()


def split_subject(prompt: str) -> tuple[str, str | None]:
    """`"[a zebra] gallops"` -> (`"a zebra gallops"`, `"a zebra"`); without brackets the subject is None."""
    marked = re.findall(r"\[([^\[\]]+)\]", prompt)
    text = re.sub(r"\[([^\[\]]*)\]", r"\1", prompt)
    if len(marked) > 1 or "[" in text or "]" in text:
        raise UserError(f"prompt={prompt!r}: mark one subject, for example '[a zebra] gallops across snow'.")
    return text, (marked[0] if marked else None)


def quote_prompts(arguments: list[str]) -> list[str]:
    """Quote `prompt=...` for Hydra, whose grammar takes brackets for a list and commas for a sweep.

    A value that is quoted already, or a list of quoted prompts, is left as it is.
    """

    def quoted(argument: str) -> str:
        key, _, value = argument.partition("=")
        if key != "prompt" or re.match(r"""\s*\[?\s*["']""", value):
            return argument
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{key}="{escaped}"'

    return [quoted(argument) for argument in arguments]


def load_run(run: str | Path, *, sampling: dict[Any, Any] | None = None) -> tuple[MaskVidModule, DictConfig]:
    """Rebuild a tuned model from its run directory.

    Args:
        run: Run directory of a training, or a copy of its `adapter` folder.
        sampling: Overrides of the run's sampling settings.

    Returns:
        The module in evaluation mode, and the run's configuration.

    Raises:
        UserError: No whole adapter there, or the backbone is not the one it was trained on.
    """
    folder = Path(run)
    folder = folder / "adapter" if (folder / "adapter").is_dir() else folder
    description = read_adapter(folder)
    stored = OmegaConf.create(description["config"])
    config = OmegaConf.merge(OmegaConf.structured(TrainConfig), stored, {"sampling": sampling or {}})
    assert isinstance(config, DictConfig)
    backbone = Backbone(**plain(config.backbone))
    module = build_module(config, backbone, [])
    load_adapter(folder, module.unet)
    if backbone.fingerprint != description["backbone"]["fingerprint"]:
        raise UserError(
            f"run={run}: the adapter was trained on other weights of {config.backbone.path!r} "
            f"({description['backbone']['fingerprint']}, here {backbone.fingerprint}); restore those or tune again."
        )
    if module.noise.start == "inversion":
        data = instantiate(config.data, "data").attach(backbone)
        data.setup()
        module.sources = data.sources()
    return module.eval(), config


@torch.inference_mode()
def generate(config: DictConfig) -> list[Path]:
    """Make one video and strip for each prompt.

    Returns:
        Paths of the videos.
    """
    check_keys(config)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{', '.join(missing)} must be set: generate run=RUN prompt='[a horse] gallops' masks=MASKS.")
    if config.threads:
        torch.set_num_threads(config.threads)
    prompts = [config.prompt] if isinstance(config.prompt, str) else [str(prompt) for prompt in config.prompt]
    marked = [split_subject(prompt) for prompt in prompts]
    overrides = {key: value for key, value in config.sampling.items() if value is not None}
    module, run = load_run(config.run, sampling=overrides)
    num_frames = config.num_frames or run.data.num_frames
    height, width = config.height or run.data.height, config.width or run.data.width
    stride = config.mask_stride or run.data.frame_stride
    masks = read_masks(config.masks, num_frames, height, width, frame_stride=stride)
    device = torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    module.to(device)
    module.backbone.to(device)
    out = Path(config.out) if config.out else Path(config.run) / "generated"
    first = None
    if config.first_frame is not None:
        if not Path(config.first_frame).is_file():
            raise UserError(f"first_frame={config.first_frame}: no such file; give a picture, or null to paint one.")
        picture = frames_to_float(decode_frames(Path(config.first_frame), height, width, limit=1))
        first = module.backbone.encode_frames(picture.to(device))
    paths = []
    for index, (text, subject) in enumerate(marked):
        name = f"{index:02d}-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')[:60]}-seed{config.seed}"
        embedded, subject_tokens, pooled = module.backbone.encode_text([text], [subject])
        batch = ClipBatch(
            ids=[text],  # not the index: one prompt gives one video, whatever stands beside it
            masks=masks.unsqueeze(0),
            text=embedded,
            subject=subject_tokens,
            latents=None,
            frames=None,
            prompts=[text],
            pooled=pooled,
        ).to(device)
        module.seed = config.seed
        latent = module.paint_first_frame([text], (height, width), [text]) if first is None else first
        frames = module.generate(batch, latent)[0].cpu()
        sample = Sample("generated", name, text, frames, masks, fps=module.sampling.fps)
        paths.append(write_video(out / f"{name}.mp4", frames, module.sampling.fps))
        write_png(out / f"{name}.png", sample_sheet(sample))
    return paths


@hydra.main(version_base="1.3", config_path=CONF, config_name="generate")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    console = Console(soft_wrap=True, highlight=False)
    for path in generate(config):
        console.print(f"video: {path.resolve()}\nstrip: {path.with_suffix('.png').resolve()}")


if __name__ == "__main__":
    sys.argv[1:] = quote_prompts(sys.argv[1:])
    main()
