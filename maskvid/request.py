"""What the programs read from a request: the run, its clips, prompts, places of videos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig

from maskvid.clip import ClipBatch
from maskvid.config import plain
from maskvid.data import MaskVidDataModule
from maskvid.data.triples import read_triples
from maskvid.description import Description
from maskvid.devices import device_of
from maskvid.entry import check_config, refuse_given
from maskvid.errors import UserError
from maskvid.files import check_output, clear_temporaries, file_name, unused
from maskvid.inputs import picture_given
from maskvid.media.regular import is_folder
from maskvid.model import Backbone
from maskvid.pipeline import MaskVidPipeline
from maskvid.prompt import SUBJECTS, Prompt, marked_in, parse_prompt
from maskvid.settings import Data
from maskvid.train import check_precision


def training_clips(run: Description, backbone: Backbone) -> ClipBatch:
    """The training clips of a run, encoded, for sampling that starts from one of them."""
    data = clips_of(run, {}).attach(backbone)
    data.setup()
    return data.sources()


def clips_of(run: Description, sets: Mapping[str, str]) -> MaskVidDataModule:
    """The clips that a request needs: the sets it names, and training clips only where sampling starts from them.

    Args:
        run: The run.
        sets: Folder by name of the sets to be sampled.

    Raises:
        UserError: A folder is not there; the message says how to name another.
    """
    training = run.clips.train if run.method.noise.start == "inversion" else []
    start = "method.noise.start=inversion samples from the noise of a training clip"
    places = [(folder, f"{start}; give data.train=FOLDER where they lie now") for folder in training]
    places += [(sets[name], f"it is the set {name!r}; give +sets.{name}=FOLDER where it lies now") for name in sets]
    for folder, remedy in places:
        try:
            read_triples(folder)
        except UserError as error:
            raise UserError(f"{error}: {remedy}.") from error
    settings = asdict(run.clips) | {"train": training or None, "validation": dict(sets), "seed": run.seed}
    return MaskVidDataModule(Data(**settings))


def given(node: DictConfig) -> dict[str, Any]:
    """What a request sets of a node of overrides: null takes the run's, an empty text is none.

    Raises:
        UserError: Something is set to nothing that must be something.
    """
    values = {key: None if value == "" else value for key, value in plain(node).items() if value is not None}
    for key in ("path", "dtype", "train", "cache_dir"):
        if key in values and values[key] is None:
            raise UserError(f"{node._get_full_key(key)}=: it cannot be nothing; give it a value, or leave it out.")
    return values


def clips_given(config: DictConfig) -> dict[str, Any]:
    """What a request sets of a run's clips."""
    settings = given(config.data)
    return settings | ({"train": [settings["train"]]} if isinstance(settings.get("train"), str) else {})


def _listed(config: DictConfig, key: str, remedy: str) -> list[str]:
    """What is given as one text or as a list of several.

    Raises:
        UserError: There is none, or one that is no text.
    """
    given = config[key]
    several = list(given) if isinstance(given, ListConfig) else [given]
    if not several or not all(isinstance(one, str) and one.strip() for one in several):
        raise UserError(f"{key}={given}: {remedy}")
    return several


def runs_of(config: DictConfig) -> list[str]:
    """The runs of a request, one or a list.

    Raises:
        UserError: None is named, or something that is no path.
    """
    return _listed(config, "run", "give a run directory, or a list of several.")


def prepare(config: DictConfig, usage: str) -> MaskVidPipeline:
    """Check a request and load the run it names, on the device asked for.

    Raises:
        UserError: Unknown keys, or something must be set: `usage` shows how.
    """
    check_config(config, usage)
    runs, _, _ = runs_of(config), prompts_of(config), masks_of(config)
    check_output(output_folder(config))
    clear_temporaries(output_folder(config))
    for key in ("masks", "source", "first_frame"):
        named = config.get(key)
        for path in named if isinstance(named, ListConfig) else [] if named is None else [named]:
            try:
                is_folder(Path(path))
            except UserError as error:
                raise UserError(f"{key}: {error}") from error
    device = device_of(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    generating = "data" in config
    pipeline = MaskVidPipeline.from_pretrained(
        [Path(run) for run in runs],  # a run directory that is misspelt is not looked for on the hub
        weights=config.mix,
        sampling=given(config.sampling),
        backbone=given(config.backbone),
        clips=clips_given(config) if generating else None,
    )
    run, backbone = pipeline.run, pipeline.backbone
    check_precision(run.backbone.dtype, run.precision, device.type)
    check_control(config, backbone)
    inverts = run.method.noise.start == "inversion"
    if generating and not inverts:
        refuse_given(config, ["data"], "with this run, whose sampling starts from no training clip")
    if not pipeline.inflated.sees_masks:
        refuse_given(
            config, ["sampling.mask_scale", "sampling.mask_precision"], "with this run's method, which sees no masks"
        )
    num_frames = config.num_frames or run.clips.num_frames
    backbone.check_clip(
        config.height or run.clips.height,
        config.width or run.clips.width,
        num_frames,
        clean_frames=pipeline.inflated.clean_frames,
    )
    if generating:  # an edit starts from its source
        pipeline.check_length(num_frames)
        pipeline.sources = training_clips(run, backbone) if inverts else None
    return pipeline.to(device).asked()


OF_A_PAINTED_FRAME = tuple(
    f"backbone.{key}" for key in ("controlnet", "control_picture", "controlnet_scale", "safety_checker")
)
"""Settings of the backbone that only a first frame which it paints looks at."""


def check_control(config: DictConfig, backbone: Backbone) -> None:
    """Refuse settings of a ControlNet where there is none.

    Raises:
        UserError: Names the setting.
    """
    if backbone.controlled is None:
        why = "without a ControlNet; give backbone.controlnet=PATH or"
        refuse_given(config, ["backbone.control_picture", "backbone.controlnet_scale"], why)


def prompts_of(config: DictConfig) -> list[str]:
    """The prompts of a request, one or a list.

    Raises:
        UserError: There is none, or one that is no text.
    """
    return _listed(config, "prompt", "give a text, or a list of texts in quotes.")


def parsed(prompts: Iterable[str]) -> list[Prompt]:
    """Prompts without their brackets, of one subject or of several."""
    return [parse_prompt(prompt, most=SUBJECTS) for prompt in prompts]


def subjects_of(config: DictConfig) -> int:
    """Subjects of a request, each of which has a mask: as many as the prompt marks that marks most."""
    return max(map(marked_in, prompts_of(config)))


def own_words(prompt: str, batch: ClipBatch) -> tuple[str, ...]:
    """The words of each subject, where each has a mask of its own."""
    return () if batch.objects is None else parse_prompt(prompt, most=SUBJECTS).all_words


def masks_of(config: DictConfig) -> str | list[str]:
    """The masks of a request: one source, or one for each subject.

    Raises:
        UserError: There is none, or one that is no path.
    """
    masks = _listed(config, "masks", "give a path, or a list of one for each subject, masks=[A,B].")
    return masks if isinstance(config.masks, ListConfig) else masks[0]


def video_path(config: DictConfig, index: int, text: str, *, end: str = "") -> Path:
    """Where a video goes: its place in the list, its prompt and its masks name it, and a number where it is taken.

    Args:
        config: Of the request; with `overwrite` a name that is taken is used again.
        index: Place in the list of prompts.
        text: The prompt, in letters of any alphabet.
        end: Behind the number: the seed.
    """
    given = masks_of(config)
    stems = "-".join(Path(path).stem for path in ([given] if isinstance(given, str) else given))
    words, masks = (re.sub(r"[\W_]+", "-", part).strip("-") for part in (text.lower(), stems))
    name = file_name(f"{index:02d}-{words[:60]}-{masks[:40]}", longest=160)
    file, folder = f"{{}}{end}.mp4", output_folder(config)
    return folder / file.format(unused(folder, name, [file], overwrite=config.overwrite))


def output_folder(config: DictConfig) -> Path:
    """Where the videos go: as asked, else `generated` in the (first) run directory."""
    return Path(config.out) if config.out else Path(runs_of(config)[0]) / "generated"


def read_picture(config: DictConfig, size: tuple[int, int]) -> torch.Tensor:
    """The first frame given, (1, 3, H, W) in [-1, 1].

    Raises:
        UserError: It is a folder.
    """
    if not Path(config.first_frame).is_file():
        raise UserError(f"first_frame={config.first_frame} is a folder; give a picture, or null to paint one.")
    return picture_given(config.first_frame, size)
