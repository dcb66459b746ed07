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

from maskvid.bounds import SEEDS, THREADS, bounded
from maskvid.errors import UserError
from maskvid.method import Method
from maskvid.requestable import (
    DashboardConfig,
    DrawConfig,
    EditConfig,
    EvaluateConfig,
    ExportConfig,
    GenerateConfig,
    PrepareConfig,
    ReportConfig,
)
from maskvid.settings import BackboneConfig, BackbonePreset, Data, Optim, Sampling

ROOT = Path(__file__).resolve().parent
# A clone keeps conf/ beside the package, a wheel carries it inside.
STAGES = ("vae", "segmenter", "clip", "backbone", "controlnet", "decoder", "card", "all")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
CONF = str(ROOT / "conf" if (ROOT / "conf").is_dir() else ROOT.parent / "conf")


@dataclass
class TrainConfig:
    """Root of `python -m maskvid.train`.

    `trainer`, `scheduler`, `callbacks`, `logger` and `metrics` are the arguments of the objects they name;
    an argument that object does not know is an error as well.

    Attributes:
        data: The clips.
        backbone: The frozen text-to-image model, and every number that depends on it.
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
        overwrite: Whether the results of another run in `run_dir` are replaced.
        ckpt_path: A checkpoint to go on from; `last` is this run directory's newest, `auto` as well, where there is
            one, and else a beginning.
        init_adapter: Run directory or adapter folder whose weights training begins with, with new rates.
        optimized_metric: The final figure, `<set>/<metric>`, that a hyperparameter search looks at.
        shard_backbone: Whether the frozen U-Net's weights are shared out among the processes (`trainer=fsdp`).
        threads: Processor threads; null leaves PyTorch's choice.
    """

    data: Data = MISSING
    backbone: BackbonePreset = field(default_factory=BackbonePreset)
    method: Method = field(default_factory=Method)
    scheduler: Any = MISSING
    sampling: Sampling = field(default_factory=Sampling)
    optim: Optim = field(default_factory=Optim)
    trainer: Any = MISSING
    callbacks: Any = field(default_factory=dict)
    logger: Any = field(default_factory=dict)
    metrics: Any = field(default_factory=dict)
    seed: int = bounded(0, low=0, high=SEEDS)
    run_dir: str = bounded(MISSING, text=True)
    overwrite: bool = False
    ckpt_path: str | None = bounded(None, text=True)
    init_adapter: str | None = bounded(None, text=True)
    optimized_metric: str | None = bounded(None, text=True)
    shard_backbone: bool = False
    threads: int | None = bounded(None, low=1, high=THREADS)


@dataclass
class PretrainConfig:
    """Root of `python -m maskvid.pretrain`; ranges of the stages' settings are in `maskvid.bounds.PRETRAINING`.

    Attributes:
        stage: One stage, or `all` in order.
        assets: Folder of what is trained.
        runs: One folder per stage; without it that stage begins anew.
        accelerator: Lightning's name of the kind of device.
        compile: Whether `torch.compile` is used.
        threads: Processor threads; null leaves PyTorch's choice.
        progress: Whether a bar is drawn.
    """

    stage: str = bounded("all", choices=STAGES)
    assets: str = bounded(MISSING, text=True)
    runs: str = bounded(MISSING, text=True)
    accelerator: str = bounded("auto", choices=ACCELERATORS)
    compile: bool = False
    threads: int | None = bounded(None, low=1, high=THREADS)
    progress: bool = True
    corpora: Any = MISSING
    vae: Any = MISSING
    segmenter: Any = MISSING
    clip: Any = MISSING
    backbone: Any = MISSING
    controlnet: Any = MISSING
    decoder: Any = MISSING
    card: Any = MISSING


def loading(node: DictConfig) -> BackboneConfig:
    """What is needed to load the backbone of a configuration."""
    preset: BackbonePreset = OmegaConf.to_object(node)  # type: ignore[assignment]  # the dataclass it is made from
    return preset.loading


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
    store.store(name="draw_schema", node=DrawConfig)
    store.store(name="report_schema", node=ReportConfig)
    store.store(name="export_schema", node=ExportConfig)
    store.store(name="dashboard_schema", node=DashboardConfig)
    store.store(name="prepare_schema", node=PrepareConfig)
    store.store(name="pretrain_schema", node=PretrainConfig)


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
