"""What an adapter says of the run it came from: data, read field by field, and never anything that is run.

People exchange adapters. Nothing in a description names what is imported or called, and no text in it is expanded: it
is read into the dataclasses below, each field of the type and within the range that it declares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from maskvid.bounds import MUST_BE_SET, SEEDS, bounded, check_bounds
from maskvid.errors import UserError
from maskvid.files import json_text
from maskvid.method import Method
from maskvid.settings import BackboneConfig, Clips, Judges, Sampling

Scalar = bool | int | float | str | None

PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed")


@dataclass(kw_only=True)
class SchedulerConfig:
    """Arguments of `maskvid.diffusion.scheduler.make_scheduler`.

    Attributes:
        name: Class of diffusers.
        settings: Settings of that class which differ from the backbone's schedule.
    """

    name: str
    settings: dict[str, Scalar | list[Scalar]] = field(default_factory=dict)


@dataclass(kw_only=True)
class ClipsConfig(Clips):
    """What a run knows of its clips.

    Attributes:
        train: Folders of training clips.
        validation: Folder by name of the validation set.
    """

    train: list[str] = field(default_factory=list)
    validation: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Description:
    """A run, as far as its adapter must know it.

    Attributes:
        maskvid: Version that wrote it.
        fingerprint: Of the backbone's numbers, see `maskvid.model.fingerprint`.
        backbone: Where the backbone lay, and how it was loaded.
        method: Which parts, noise and loss.
        scheduler: What samples.
        sampling: How.
        judges: Who judges the videos.
        clips: Size, length and frame rate of the windows, and where the clips lay.
        precision: Of the arithmetic, by Lightning's name.
        seed: The run's.
        steps: Optimiser steps behind the weights.
    """

    # Also of the dataclasses within: nothing is converted, and nothing that is not declared is taken.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    maskvid: str
    fingerprint: str
    backbone: BackboneConfig
    method: Method
    scheduler: SchedulerConfig
    sampling: Sampling
    clips: ClipsConfig
    judges: Judges = field(default_factory=Judges)
    precision: str = bounded(choices=PRECISIONS)
    seed: int = bounded(low=0, high=SEEDS)
    steps: int = bounded(0, low=0)


def read_description(content: Any) -> Description:
    """Read a description from plain containers.

    Raises:
        UserError: A field is missing, unknown, of another type or out of range; the message names it.
    """
    method = content.get("method") if isinstance(content, dict) else None
    if isinstance(method, dict) and isinstance(method.get("unet"), dict):
        method["unet"].setdefault("layers", "all")  # earlier adapters of this format steer them all
    clips = content.get("clips") if isinstance(content, dict) else None
    if isinstance(clips, dict):
        clips.pop("validation_batch_size", None)  # earlier adapters of this format have it; clips are sampled singly
    try:
        text = json_text(content)
    except RecursionError as error:
        raise UserError("it is nested too deeply to be a description.") from error
    try:
        description = _READER.validate_json(text)  # the strict reading of JSON, which knows no classes
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}" for fault in error.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise UserError(f"{'; '.join(faults[:3])}{more}") from error
    for place, part in (("backbone.path", description.backbone.path), ("method.name", description.method.name)):
        if part == MUST_BE_SET:
            raise UserError(f"{place}: Field required")
    check_bounds(description)
    return description


_READER = TypeAdapter(Description)
