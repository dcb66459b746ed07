"""The typed root of conf/: an unknown key at any typed level fails before any compute is spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf

from maskvid.bounds import SEEDS, bounded
from maskvid.errors import UserError
from maskvid.settings import FIRST_FRAMES, LEVELS, Noise, Optim, Sampling

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
    controlnet_scale: float = bounded(1.0, low=0)


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
    """A method: which parts, which noise, which loss, and whether it is tuned at all.

    Attributes:
        name: What it is called in files and tables.
        unet: Its parts.
        noise: Where the noise of the frames comes from.
        foreground_weight: How much more the foreground counts in the loss; 0 is the paper's.
        use_masks: False trains and samples without any mask path.
        trained: False samples and measures without any tuning.
    """

    name: str = MISSING
    unet: UNetConfig = field(default_factory=UNetConfig)
    noise: Noise = field(default_factory=Noise)
    foreground_weight: float = bounded(0.0, low=0)
    use_masks: bool = True
    trained: bool = True


@dataclass
class TrainConfig:
    """Root of `python -m maskvid.train`.

    `data`, `trainer`, `scheduler`, `callbacks`, `logger` and `metrics` are the arguments of the objects they name;
    an argument that object does not know is an error as well.

    Attributes:
        data: The clips.
        backbone: The frozen text-to-image model.
        method: What is tuned, and on which loss.
        scheduler: What samples.
        sampling: How videos are sampled.
        optim: How the trained part is tuned.
        trainer: Lightning's.
        callbacks: What happens beside the training.
        logger: Where figures and videos are logged.
        metrics: The encoders that judge.
        seed: Everything drawn is a function of this and the position, or the clip.
        run_dir: Where everything of the run is written.
        ckpt_path: A checkpoint to go on from, or `last`: this run directory's newest.
        optimized_metric: The final figure, `<set>/<metric>`, that a hyperparameter search looks at.
        shard_backbone: Whether the frozen U-Net's weights are shared out among the processes (`trainer=fsdp`).
        threads: Processor threads; null leaves PyTorch's choice.
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
    seed: int = bounded(0, low=0, high=SEEDS)
    run_dir: str = MISSING
    ckpt_path: str | None = None
    optimized_metric: str | None = None
    shard_backbone: bool = False
    threads: int | None = bounded(None, low=1)


@dataclass
class BackboneOverrides:
    """Arguments of `maskvid.model.Backbone` that differ from the run's.

    Null takes the run's, an empty value (`backbone.variant=`) none. The adapter fits only the weights it was tuned on,
    wherever they lie now; a ControlNet takes no part in tuning, so that any may be given.
    """

    path: str | None = None
    config: str | None = None
    dtype: str | None = None
    variant: str | None = None
    lora: str | None = None
    lora_scale: float | None = None
    controlnet: str | None = None
    control_picture: str | None = None
    controlnet_scale: float | None = bounded(None, low=0)


@dataclass
class DataOverrides:
    """Where things of the run lie now, if not where they lay; null takes the run's.

    Attributes:
        train: Folder or folders of the training clips, read only where `method.noise.start=inversion`.
        cache_dir: Folder for latents and text embeddings.
    """

    train: Any = None
    cache_dir: str | None = None


@dataclass
class EditSampling:
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    num_inference_steps: int | None = bounded(None, low=1, high=LEVELS)
    guidance_scale: float | None = bounded(None, low=0)
    adain_fraction: float | None = bounded(None, low=0, high=1)
    fps: float | None = bounded(None, above=0)


@dataclass
class GenerateSampling(EditSampling):
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    first_frame: str | None = bounded(None, choices=FIRST_FRAMES)
    first_frame_guidance_scale: float | None = bounded(None, low=0)


@dataclass
class EvaluateSampling(GenerateSampling):
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    samples: int | None = bounded(None, low=1)
    perturb: str | None = None
    perturb_strength: int | None = bounded(None, low=0, high=5)


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
        mask_stride: Distance between the mask frames used, in source frames; null takes the run's.
        out: Folder for the files; null makes `generated` in the run directory.
        backbone: Where the run's backbone lies now, and which ControlNet makes first frames.
        device: Null takes a GPU if there is one.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = MISSING
    mix: list[float] | None = None
    prompt: Any = MISSING
    masks: str = MISSING
    num_frames: int | None = bounded(None, low=1)
    height: int | None = bounded(None, low=1)
    width: int | None = bounded(None, low=1)
    mask_stride: int | None = bounded(None, low=1)
    out: str | None = None
    backbone: BackboneOverrides = field(default_factory=BackboneOverrides)
    device: str | None = None
    threads: int | None = bounded(None, low=1)


@dataclass
class GenerateConfig(RequestConfig):
    """Root of `python -m maskvid.generate`; more frames than the run's window are made segment after segment.

    Attributes:
        seed: Same seed, same video.
        sampling: Overrides of the run's sampling settings.
        first_frame: Picture to begin from; null paints one from the prompt.
        data: Where the run's training clips lie now.
    """

    seed: int = bounded(0, low=0, high=SEEDS)
    sampling: GenerateSampling = field(default_factory=GenerateSampling)
    first_frame: str | None = None
    data: DataOverrides = field(default_factory=DataOverrides)


@dataclass
class EditConfig(RequestConfig):
    """Root of `python -m maskvid.edit`; nothing is drawn at random, so that there is no seed.

    Attributes:
        source: The clip to edit; `masks` are its own.
        source_prompt: What it shows; it makes the inversion truer.
        keep_background: Whether everything outside the masks stays the source's.
        sampling: Overrides of the run's sampling settings.
    """

    source: str = MISSING
    source_prompt: str = ""
    keep_background: bool = True
    sampling: EditSampling = field(default_factory=EditSampling)


@dataclass
class SchedulerOverride:
    """What samples in place of the run's scheduler.

    Attributes:
        name: Class of diffusers; null takes the run's.
    """

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
        backbone: Where the run's backbone lies now, and which ControlNet makes first frames.
        data: Where the run's training clips lie now.
        videos: In place of a run: a video, or a folder of videos with masks and captions, where there are any.
        masks: Of one video.
        prompt: Of one video.
        source: The clip it was edited from, or a folder with one of the same name for each video.
        height: Rows that videos are read at; null takes the masks', else the video's own.
        width: Columns likewise.
        mask_stride: Distance between the masks used.
        source_stride: Distance between the source's frames used.
        given_frames: Leading frames that mask scores leave out, because the model was given them.
        metrics: The encoders, see `maskvid.callbacks.metric_encoders.MetricEncoders`.
        trainer: Arguments of the Lightning trainer that samples a run, on one device or several; its precision is the
            run's where it is null.
        out: Folder for the figures; null makes `evaluation` in the run directory or beside the videos.
        save_videos: Whether the videos and strips of a run's clips are written, too.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = None
    mix: list[float] | None = None
    sets: dict[str, str] = field(default_factory=dict)
    seed: int | None = bounded(None, low=0, high=SEEDS)
    sampling: EvaluateSampling = field(default_factory=EvaluateSampling)
    scheduler: SchedulerOverride = field(default_factory=SchedulerOverride)
    backbone: BackboneOverrides = field(default_factory=BackboneOverrides)
    data: DataOverrides = field(default_factory=DataOverrides)
    videos: str | None = None
    masks: str | None = None
    prompt: str | None = None
    source: str | None = None
    height: int | None = bounded(None, low=1)
    width: int | None = bounded(None, low=1)
    mask_stride: int = bounded(1, low=1)
    source_stride: int = bounded(1, low=1)
    given_frames: int = bounded(1, low=0)
    metrics: Any = MISSING
    trainer: Any = MISSING
    out: str | None = None
    save_videos: bool = True
    threads: int | None = bounded(None, low=1)


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
    clips: int = bounded(2, low=0)
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


def output_dir() -> str:
    """Where Hydra writes this job, or would write it: `--cfg` shows a job that has no folder yet."""
    runtime = HydraConfig.get().runtime
    missing = OmegaConf.is_missing(runtime, "output_dir")
    return HydraConfig.get().run.dir if missing else runtime.output_dir


def register() -> None:
    """Make the typed roots known to Hydra."""
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
    OmegaConf.register_new_resolver("output_dir", output_dir, replace=True)
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


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain resolved containers, for checkpoints, loggers and files."""
    container = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
