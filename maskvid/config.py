"""The typed root of conf/: an unknown key at any typed level fails before any compute is spent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from maskvid.errors import UserError
from maskvid.settings import Noise, Optim, Sampling

ROOT = Path(__file__).resolve().parent
# A clone keeps conf/ beside the package, a wheel carries it inside.
CONF = str(ROOT / "conf" if (ROOT / "conf").is_dir() else ROOT.parent / "conf")


@dataclass
class BackboneConfig:
    """Arguments of `maskvid.model.Backbone`."""

    path: str = MISSING
    config: str | None = None
    dtype: str = "float32"
    variant: str | None = None
    lora: str | None = None
    lora_scale: float = 1.0
    controlnet: str | None = None
    control_picture: str = "filled"
    controlnet_scale: float = 1.0
    safety_checker: bool = True


@dataclass
class UNetConfig:
    """Arguments of `maskvid.model.InflatedUNet`: the parts of the method, each of which can be switched."""

    first_frame: str = "clean"
    reference: str = MISSING
    self_attention_strength: float | None = None
    cross_attention_strength: float | None = None
    subject_branch: bool = False
    mask_input: bool = False
    mask_pyramid: bool = False
    first_frame_input: bool = False
    self_query: bool = True
    cross_query: bool = False
    temporal_attention: str | None = None
    temporal_conv: str | None = None
    temporal_words: bool = False
    gradient_checkpointing: bool = False


@dataclass
class MethodConfig:
    """A method: which parts, which noise, which loss, and whether it is tuned at all."""

    name: str = MISSING
    unet: UNetConfig = field(default_factory=UNetConfig)
    noise: Noise = field(default_factory=Noise)
    foreground_weight: float = 0.0
    trained: bool = True


@dataclass
class TrainConfig:
    """Root of `python -m maskvid.train`.

    `optimized_metric` is the final figure, `<set>/<metric>`, that a hyperparameter search looks at.
    `shard_backbone` shares the frozen U-Net's weights out among the processes (`trainer=fsdp`).
    `data`, `trainer`, `scheduler`, `callbacks`, `logger` and `metrics` are the arguments of the objects they name;
    an argument that object does not know is an error as well.
    """

    data: Any = MISSING
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    scheduler: Any = MISSING
    sampling: Sampling = field(default_factory=Sampling)
    optim: Optim = field(default_factory=Optim)
    trainer: Any = MISSING
    callbacks: Any = field(default_factory=dict)
    logger: Any = field(default_factory=dict)
    metrics: Any = field(default_factory=dict)
    seed: int = 0
    run_dir: str = MISSING
    ckpt_path: str | None = None
    optimized_metric: str | None = None
    shard_backbone: bool = False
    threads: int | None = None


@dataclass
class SamplingOverrides:
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    first_frame: str | None = None
    first_frame_guidance_scale: float | None = None
    adain_fraction: float | None = None
    samples: int | None = None
    perturb: str | None = None
    perturb_strength: int | None = None


@dataclass
class RequestConfig:
    """What `python -m maskvid.generate` and `python -m maskvid.edit` share.

    Attributes:
        run: Run directory of a training, or a list of several, whose adapters mix.
        mix: The share of each run; null shares equally.
        prompt: One prompt or a list; the words in [brackets] name the foreground.
        masks: Video, folder of pictures, npz or one picture; white is foreground.
        num_frames: Null takes the run's.
        height: Null takes the run's.
        width: Null takes the run's.
        mask_fps: Frames a second of the masks; null takes the file's own, and where it does not say, a mask for each
            frame. Videos have as many as the clips the run was tuned on (`data.fps`).
        seed: Same seed, same video.
        out: Folder for the files; null makes `generated` in the run directory.
        sampling: Overrides of the run's sampling settings.
        controlnet: Makes first frames that follow the first mask, see `BackboneConfig`; null takes the run's.
        control_picture: How it is shown the mask; null takes the run's.
        controlnet_scale: How much of what it says is heard; null takes the run's.
        safety_checker: Whether the backbone's, where it has one, looks at painted first frames; null takes the run's.
        device: Null takes a GPU if there is one.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = MISSING
    mix: list[float] | None = None
    prompt: Any = MISSING
    masks: str = MISSING
    num_frames: int | None = None
    height: int | None = None
    width: int | None = None
    mask_fps: float | None = None
    seed: int = 0
    out: str | None = None
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    controlnet: str | None = None
    control_picture: str | None = None
    controlnet_scale: float | None = None
    safety_checker: bool | None = None
    device: str | None = None
    threads: int | None = None


@dataclass
class GenerateConfig(RequestConfig):
    """Root of `python -m maskvid.generate`; more frames than the run's window are made segment after segment.

    Attributes:
        first_frame: Picture to begin from; null paints one from the prompt.
    """

    first_frame: str | None = None


@dataclass
class EditConfig(RequestConfig):
    """Root of `python -m maskvid.edit`.

    Attributes:
        source: The clip to edit; `masks` are its own.
        source_fps: Its frames a second; null takes the file's own.
        source_prompt: What it shows; it makes the inversion truer.
        keep_background: Whether everything outside the masks stays the source's.
    """

    source: str = MISSING
    source_fps: float | None = None
    source_prompt: str = ""
    keep_background: bool = True


@dataclass
class SchedulerOverride:
    """Class of diffusers that samples; null takes the run's."""

    name: str | None = None


@dataclass
class EvaluateConfig:
    """Root of `python -m maskvid.evaluate`.

    Attributes:
        run: Run directory of a training, or a list of several, whose adapters mix; its clips are sampled and scored.
        mix: The share of each run; null shares equally.
        sets: Folder by name of the sets that are sampled; empty takes the run's validation sets.
        seed: Of the first video of each clip; null takes the run's.
        sampling: Overrides of the run's sampling settings; `samples` asks for several videos of each clip.
        scheduler: In place of the run's.
        controlnet: Of first frames, see `BackboneConfig`; null takes the run's.
        control_picture: How it is shown the mask; null takes the run's.
        controlnet_scale: How much of what it says is heard; null takes the run's.
        safety_checker: Whether the backbone's, where it has one, looks at painted first frames; null takes the run's.
        videos: In place of a run: a video, or a folder of videos with masks and captions, where there are any.
        masks: Of one video.
        prompt: Of one video.
        source: The clip it was edited from, or a folder with one of the same name for each video.
        height: Rows that videos are read at; null takes the masks', else the video's own.
        width: Columns likewise.
        mask_fps: Frames a second of the masks; null takes the files' own. As many masks as frames need none.
        source_fps: Frames a second of the source, likewise.
        given_frames: Leading frames that mask scores leave out, because the model was given them.
        metrics: The encoders, see `maskvid.callbacks.metric_encoders.MetricEncoders`.
        trainer: Arguments of the Lightning trainer that samples a run, on one device or several.
        out: Folder for the figures; null makes `evaluation` in the run directory or beside the videos.
        save_videos: Whether the videos and strips of a run's clips are written, too.
        run_dir: Not to be set: what `trainer` calls `out`.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = None
    mix: list[float] | None = None
    sets: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    scheduler: SchedulerOverride = field(default_factory=SchedulerOverride)
    controlnet: str | None = None
    control_picture: str | None = None
    controlnet_scale: float | None = None
    safety_checker: bool | None = None
    videos: str | None = None
    masks: str | None = None
    prompt: str | None = None
    source: str | None = None
    height: int | None = None
    width: int | None = None
    mask_fps: float | None = None
    source_fps: float | None = None
    given_frames: int = 1
    metrics: Any = MISSING
    trainer: Any = MISSING
    out: str | None = None
    save_videos: bool = True
    run_dir: str | None = None
    threads: int | None = None


@dataclass
class ReportConfig:
    """Root of `python -m maskvid.report`.

    Attributes:
        runs: Folder of a multirun, or any folder with runs in it.
        out: Folder for the report; null makes `report` in the sweep.
        title: Of the page; null is the sweep's name.
        columns: Metrics in the table and the plots; null takes all that were measured.
        clips: Clips of each set whose videos stand side by side on the page.
        plots: Whether to draw (needs the extra `report`).
    """

    runs: str = MISSING
    out: str | None = None
    title: str | None = None
    columns: list[str] | None = None
    clips: int = 2
    plots: bool = True


@dataclass
class DashboardConfig:
    """Root of `python -m maskvid.dashboard`.

    Attributes:
        entity: W&B user or team.
        project: W&B project.
        title: Of the report.
        sets: Validation sets that have bars.
        clips: Clips whose videos are shown.
        group_by: Settings whose values make groups of runs.
    """

    entity: str = MISSING
    project: str = "maskvid"
    title: str = "maskvid"
    sets: list[str] = field(default_factory=lambda: ["horse", "unseen", "motion"])
    clips: list[str] = field(default_factory=lambda: ["videos_horse-000", "videos_unseen-000", "videos_motion-000"])
    group_by: list[str] = field(default_factory=lambda: ["method.name"])


def sweep_name() -> str | None:
    """Name of the sweep this job belongs to, its folder's last two parts; None outside one."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return "/".join(Path(HydraConfig.get().sweep.dir).parts[-2:])


def register() -> None:
    """Make the typed roots known to Hydra."""
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig)
    store.store(name="generate_schema", node=GenerateConfig)
    store.store(name="edit_schema", node=EditConfig)
    store.store(name="evaluate_schema", node=EvaluateConfig)
    store.store(name="report_schema", node=ReportConfig)
    store.store(name="dashboard_schema", node=DashboardConfig)


def instantiate(node: Any, key: str, **extra: Any) -> Any:
    """Build the object a config names.

    Args:
        node: Config with `_target_`.
        key: Its place in the configuration, for the message.
        extra: Further arguments.

    Raises:
        UserError: An argument the object does not know, or a target that cannot be imported.
    """
    try:
        return hydra.utils.instantiate(node, **extra)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        reason = " ".join(str(error).split())
        raise UserError(f"{key} cannot be built: {reason}") from error


def check_keys(config: DictConfig, place: str = "") -> None:
    """Refuse keys that a typed level does not have; Hydra lets `+key=value` add them.

    Raises:
        UserError: Names the key and those that exist.
    """
    kind = OmegaConf.get_type(config)
    known = {entry.name for entry in fields(kind)} if is_dataclass(kind) else None
    for key in map(str, config):
        if known is not None and key not in known:
            raise UserError(f"unknown key {place}{key}: choose one of {', '.join(sorted(known))}.")
        node = None if OmegaConf.is_missing(config, key) else config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            check_keys(node, f"{place}{key}.")


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain resolved containers, for checkpoints, loggers and files."""
    container = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def mistake(error: Exception) -> str | None:
    """What to tell a user whose mistake an error is; None where it is the program's own."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (OmegaConfBaseException, HydraException)):
        return f"configuration: {' '.join(str(error).split())}"
    return None


def print_error(message: str) -> None:
    """Print to standard error; brackets are words here, not styles."""
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold red]error:[/]", escape(message))


def entry_point(function: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Turn a user's mistake into one message and exit status 1; anything else keeps its traceback."""

    @wraps(function)
    def wrapped(config: DictConfig) -> Any:
        try:
            return function(config)
        except Exception as error:
            message = mistake(error)
            if message is None:
                raise
        print_error(message)
        sys.exit(1)

    return wrapped
