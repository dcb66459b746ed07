"""What is asked of a tuned model: a run, prompts with their subject in brackets, masks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from maskvid.clip import ClipBatch
from maskvid.config import TrainConfig, check_keys, instantiate, plain
from maskvid.data.decode import decode_frames, frames_to_float
from maskvid.errors import UserError
from maskvid.model import Backbone, load_adapter, read_adapter
from maskvid.module import MaskVidModule
from maskvid.train import build_module


def split_subject(prompt: str) -> tuple[str, str | None]:
    """`"[a zebra] gallops"` -> (`"a zebra gallops"`, `"a zebra"`); without brackets the subject is None."""
    marked = re.findall(r"\[([^\[\]]+)\]", prompt)
    text = re.sub(r"\[([^\[\]]*)\]", r"\1", prompt)
    if len(marked) > 1 or "[" in text or "]" in text:
        raise UserError(f"prompt={prompt!r}: mark one subject, for example '[a zebra] gallops across snow'.")
    return text, (marked[0] if marked else None)


def quote_prompts(arguments: list[str]) -> list[str]:
    """Quote prompts for Hydra, whose grammar takes brackets for a list and commas for a sweep.

    That is `prompt=...` and `source_prompt=...`; a value that is quoted already, or a list of quoted prompts, is left
    as it is.
    """

    def quoted(argument: str) -> str:
        key, _, value = argument.partition("=")
        if key not in ("prompt", "source_prompt") or re.match(r"""\s*\[?\s*["']""", value):
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
    if config.method.noise.start == "inversion":
        data = instantiate(config.data, "data").attach(backbone)
        data.setup()
        module.sampler.sources = data.sources()
    return module.eval(), config


def device_of(config: DictConfig) -> torch.device:
    """The device asked for, else a GPU if there is one."""
    return torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))


def prepare(config: DictConfig, usage: str) -> tuple[MaskVidModule, DictConfig]:
    """Check a request and load the run it names, on the device asked for.

    Raises:
        UserError: Unknown keys, or something must be set: `usage` shows how.
    """
    check_keys(config)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{', '.join(missing)} must be set: {usage}")
    if config.threads:
        torch.set_num_threads(config.threads)
    overrides = {key: value for key, value in config.sampling.items() if value is not None}
    module, run = load_run(config.run, sampling=overrides)
    module.sampler.seed = config.seed
    module.to(device_of(config))
    module.backbone.to(device_of(config))
    return module, run


def request(module: MaskVidModule, prompt: str, masks: torch.Tensor) -> ClipBatch:
    """One clip asked for: a prompt, its subject in brackets, and masks (f, 1, H, W)."""
    text, subject = split_subject(prompt)
    embedded, subject_tokens, pooled = module.backbone.encode_text([text], [subject])
    batch = ClipBatch(
        ids=[text],  # not its place in the list: one prompt gives one video, whatever stands beside it
        masks=masks.unsqueeze(0),
        text=embedded,
        subject=subject_tokens,
        latents=None,
        frames=None,
        prompts=[text],
        pooled=pooled,
    )
    return batch.to(embedded.device)


def prompts_of(config: DictConfig) -> list[str]:
    """The prompts of a request, one or a list."""
    return [config.prompt] if isinstance(config.prompt, str) else [str(prompt) for prompt in config.prompt]


def file_name(index: int, text: str, seed: int) -> str:
    """Name of a video without suffix: place in the list, prompt and seed."""
    return f"{index:02d}-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')[:60]}-seed{seed}"


def output_folder(config: DictConfig) -> Path:
    """Where the videos go: as asked, else `generated` in the run directory."""
    return Path(config.out) if config.out else Path(config.run) / "generated"


def read_picture(config: DictConfig, size: tuple[int, int]) -> torch.Tensor:
    """The first frame given, (1, 3, H, W) in [-1, 1].

    Raises:
        UserError: There is no such file.
    """
    if not Path(config.first_frame).is_file():
        raise UserError(f"first_frame={config.first_frame}: no such file; give a picture, or null to paint one.")
    return frames_to_float(decode_frames(Path(config.first_frame), *size, limit=1))
