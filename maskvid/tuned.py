"""A tuned model read back: what its adapters say of it, and the backbone that they were tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from maskvid.description import Description, read_description
from maskvid.errors import UserError
from maskvid.model import Backbone, InflatedUNet, load_adapter, mix_adapters, read_adapter


def adapter_folder(run: str | Path) -> Path:
    """The adapter of a run directory, or the folder itself where it is one."""
    return Path(run) / "adapter" if (Path(run) / "adapter").is_dir() else Path(run)


def read_run(run: str | Path) -> Description:
    """What a run's adapter says of it.

    Raises:
        UserError: There is no whole adapter, or its description is none.
    """
    try:
        return read_description(read_adapter(adapter_folder(run)).get("run"))
    except UserError as error:
        raise UserError(f"run={run}: {error}") from error


def read_runs(
    runs: Sequence[str | Path],
    *,
    sampling: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    clips: Mapping[str, Any] | None = None,
) -> Description:
    """What several runs, whose adapters are to mix, have in common, with what is to be otherwise.

    Args:
        runs: Run directories, or copies of their `adapter` folders.
        sampling: Overrides of the first run's sampling settings.
        backbone: Overrides of the arguments of its backbone.
        clips: Overrides of what it knows of its clips.

    Raises:
        UserError: No whole adapter there, or the runs do not mix.
    """
    described = [read_run(run) for run in runs]
    # A backbone is what its fingerprint says, wherever it lay when each run was tuned.
    for run, own in zip(runs, described, strict=True):
        for key, part, first in (
            ("method", own.method, described[0].method),
            ("backbone", own.fingerprint, described[0].fingerprint),
        ):
            if part != first:
                raise UserError(f"run={run}: its {key} is not that of {runs[0]}; adapters of one {key} mix.")
    asked = replace(
        described[0],
        sampling=replace(described[0].sampling, **(sampling or {})),
        backbone=replace(described[0].backbone, **(backbone or {})),
        clips=replace(described[0].clips, **(clips or {})),
    )
    if asked.backbone.dtype != "float32" and asked.precision.endswith("true"):
        asked = replace(asked, precision="bf16-mixed")  # half precision meets the float32 adapter in mixed arithmetic
    return asked


def load_backbone(asked: Description, run: str | Path, given: Mapping[str, Any]) -> Backbone:
    """The backbone of a run.

    Args:
        asked: The run, with what was given for its backbone.
        run: Its name, for messages.
        given: What was.

    Raises:
        UserError: It is not where it was, or not what it was.
    """
    try:
        backbone = Backbone(**asdict(asked.backbone))
    except UserError as error:
        lost = next((key for key in ("lora", "controlnet") if str(error).startswith(f"backbone.{key}=")), "path")
        if lost in given:
            raise
        none = ", or nothing (backbone.controlnet=) to do without" if lost == "controlnet" else ""
        raise UserError(f"{error} That is the run's; give backbone.{lost}=PATH where it lies now{none}.") from error
    check_fingerprint(asked, backbone, run)
    return backbone


def check_fingerprint(asked: Description, backbone: Backbone, run: str | Path) -> None:
    """Refuse a backbone that a run was not tuned on.

    Raises:
        UserError: Names both.
    """
    if backbone.fingerprint != asked.fingerprint:
        raise UserError(
            f"run={run}: the adapter was trained on other weights than those of {backbone.path!r} "
            f"({asked.fingerprint}, here {backbone.fingerprint}); give backbone.path=PATH of those, with the run's "
            "backbone.lora, or tune again."
        )


def shares_of(runs: Sequence[str | Path], mix: Sequence[float] | None) -> list[float]:
    """The share of each run in a mixture; None shares equally.

    Raises:
        UserError: There are not as many shares as runs.
    """
    shares = [1 / len(runs)] * len(runs) if mix is None else list(mix)
    if len(shares) != len(runs):
        raise UserError(f"mix={shares}: {len(shares)} shares for {len(runs)} runs; give one for each.")
    return shares


def load_weights(unet: InflatedUNet, folders: Sequence[str | Path], shares: Sequence[float]) -> None:
    """Load one adapter as it is, or several, each by its share. See `mix_adapters`.

    Raises:
        UserError: They do not fit.
    """
    if list(shares) == [1.0]:
        load_adapter(folders[0], unet)
    else:
        mix_adapters(folders, shares, unet)


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The mixed precision that a run was tuned in, by Lightning's name (`bf16-mixed`), else that of its weights."""
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    if kind is torch.float16 and device.type == "cpu":
        kind = torch.bfloat16  # processors lack float16
    return nullcontext() if kind is None else torch.autocast(device.type, dtype=kind)
