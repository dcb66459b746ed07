"""What is asked of a tuned model: a run, prompts with their subject in brackets, masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning import Fabric
from omegaconf import DictConfig, OmegaConf

from maskvid.clip import ClipBatch
from maskvid.config import TrainConfig, check_keys, instantiate, plain
from maskvid.data.decode import decode_frames, frames_to_float
from maskvid.errors import UserError
from maskvid.model import Backbone, load_adapter, mix_adapters, read_adapter
from maskvid.module import MaskVidModule
from maskvid.prompt import parse_prompt
from maskvid.train import build_module, check_precision, precision_name

CONTROL = ("controlnet", "control_picture", "controlnet_scale", "safety_checker")
"""Settings of the backbone that only first frames know; another one may be asked for at any time."""


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


def load_run(
    run: str | Path | Sequence[str | Path],
    *,
    mix: Sequence[float] | None = None,
    sampling: dict[Any, Any] | None = None,
    control: dict[str, Any] | None = None,
) -> tuple[MaskVidModule, DictConfig]:
    """Rebuild a tuned model from its run directory, or a mixture from several.

    Args:
        run: Run directory of a training, or a copy of its `adapter` folder; several of one method and backbone mix.
        mix: The share of each run; None shares equally. See `mix_adapters`.
        sampling: Overrides of the first run's sampling settings.
        control: Overrides of the first run's settings named in `CONTROL`, which take no part in tuning.

    Returns:
        The module in evaluation mode, and the first run's configuration.

    Raises:
        UserError: No whole adapter there, the backbone is not the one it was trained on, or the runs do not mix.
    """
    runs = [run] if isinstance(run, (str, Path)) else list(run)
    folders = [Path(one) / "adapter" if (Path(one) / "adapter").is_dir() else Path(one) for one in runs]
    descriptions = [read_adapter(folder) for folder in folders]
    for key in ("method", "backbone"):
        parts = [
            {name: value for name, value in description["config"][key].items() if name not in CONTROL}
            for description in descriptions
        ]
        other = next((i for i, part in enumerate(parts) if part != parts[0]), None)
        if other is not None:
            raise UserError(f"run={runs[other]}: its {key} is not that of {runs[0]}; adapters of one {key} mix.")
    shares = [1 / len(runs)] * len(runs) if mix is None else list(mix)
    if len(shares) != len(runs):
        raise UserError(f"mix={shares}: {len(shares)} shares for {len(runs)} runs; give one for each.")
    stored = OmegaConf.create(descriptions[0]["config"])
    config = OmegaConf.merge(
        OmegaConf.structured(TrainConfig), stored, {"sampling": sampling or {}, "backbone": control or {}}
    )
    assert isinstance(config, DictConfig)
    backbone = Backbone(**plain(config.backbone))
    module = build_module(config, backbone, [])
    if len(runs) == 1 and mix is None:
        load_adapter(folders[0], module.unet)
    else:
        mix_adapters(folders, shares, module.unet)
    for one, description in zip(runs, descriptions, strict=True):
        if backbone.fingerprint != description["backbone"]["fingerprint"]:
            raise UserError(
                f"run={one}: the adapter was trained on other weights of {config.backbone.path!r} "
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


def arithmetic(config: DictConfig, run: DictConfig) -> AbstractContextManager[Any]:
    """The mixed precision the run was tuned in (`trainer.precision`), on the device asked for; else float32.

    Raises:
        UserError: That device cannot compute with the run's backbone.
    """
    check_precision(run.backbone.dtype, run.trainer.precision, device_of(config).type)
    if not precision_name(run.trainer.precision).endswith("mixed"):
        return nullcontext()
    fabric = Fabric(accelerator=device_of(config).type, devices=1, precision=run.trainer.precision)
    return fabric.autocast()


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
    runs = config.run if isinstance(config.run, str) else [str(one) for one in config.run]
    control = {key: config[key] for key in CONTROL if config[key] is not None}
    module, run = load_run(runs, mix=config.mix, sampling=overrides, control=control)
    module.sampler.seed = config.seed
    module.to(device_of(config))
    module.backbone.to(device_of(config))
    return module, run


def request(module: MaskVidModule, prompt: str, masks: torch.Tensor, *, name: str = "prompt") -> ClipBatch:
    """One clip asked for: a prompt, its subject in brackets, and masks (f, 1, H, W); `name` is the prompt's setting."""
    asked = parse_prompt(prompt, name=name)
    text = asked.text
    embedded, subject_tokens, pooled = module.backbone.encode_text([asked])
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
    """Where the videos go: as asked, else `generated` in the (first) run directory."""
    first = config.run if isinstance(config.run, str) else config.run[0]
    return Path(config.out) if config.out else Path(first) / "generated"


def read_picture(config: DictConfig, size: tuple[int, int]) -> torch.Tensor:
    """The first frame given, (1, 3, H, W) in [-1, 1].

    Raises:
        UserError: There is no such file.
    """
    if not Path(config.first_frame).is_file():
        raise UserError(f"first_frame={config.first_frame}: no such file; give a picture, or null to paint one.")
    return frames_to_float(decode_frames(Path(config.first_frame), *size, limit=1))
