"""`python -m maskvid.train +experiment=horse`: tune, sample and measure."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("train")  # before the imports below, which take seconds

import logging
import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import hydra
import torch
from lightning import seed_everything
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console

from maskvid import __version__
from maskvid.callbacks.adapter_file import AdapterFile
from maskvid.callbacks.checkpoint_io import AtomicCheckpointIO
from maskvid.callbacks.ema import settle
from maskvid.callbacks.kept_csv import KeptCSVLogger
from maskvid.callbacks.stop import StopWell
from maskvid.config import CONF, instantiate, loading, plain, register
from maskvid.data import MaskVidDataModule
from maskvid.data.triples import ASSETS
from maskvid.description import ClipsConfig, Description, SchedulerConfig, read_description
from maskvid.entry import check_config, entry_point, print_warning, run
from maskvid.errors import UserError
from maskvid.files import atomic_write, check_output, clear_temporaries, expanded
from maskvid.launch import check_launch, end_others
from maskvid.metrics.suite import METRICS
from maskvid.model import Backbone, load_adapter, read_adapter
from maskvid.module import MaskVidModule
from maskvid.pipeline import MaskVidPipeline
from maskvid.run_dir import CHECKPOINT, claimed, unfinished
from maskvid.second_stage import tune_rough
from maskvid.settings import MINIATURE, Data, Judges, Optim
from maskvid.stopping import Stopped
from maskvid.sweep import in_sweep, run_job

register()
# What users cannot act on: the frozen U-Net is in evaluation mode on purpose, and the other is Lightning's own affair.
warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)


def precision_name(precision: Any) -> str:
    """Lightning's whole name of a precision: `32` is `32-true`, `bf16` is `bf16-mixed`."""
    short = {"None": "32-true", "64": "64-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
    return short.get(str(precision), str(precision))


def check_precision(dtype: str, precision: Any, accelerator: str) -> None:
    """Refuse arithmetic in which the trained part, which is float32, cannot learn or cannot meet the backbone.

    | `trainer.precision`    | float32 backbone       | bfloat16, float8  | float16 backbone         |
    |------------------------|------------------------|-------------------|--------------------------|
    | `32-true`              | works                  | refused           | refused                  |
    | `bf16-mixed`           | works                  | works             | on GPUs; refused on CPUs |
    | `16-mixed`             | works (1)              | works (1)         | on GPUs; refused on CPUs |
    | `64-true`              | works, for comparisons | refused           | refused                  |
    | `16-true`, `bf16-true` | refused: they make the trained part half precision, where AdamW's small steps are lost |
    | transformer engine     | refused likewise       |                   |                          |

    (1) Float16 arithmetic is not for CPUs: there Lightning takes `bf16-mixed`, and says so.

    Args:
        dtype: `backbone.dtype`.
        precision: `trainer.precision`.
        accelerator: Lightning's name of the kind of device; `auto` is a GPU where there is one.

    Raises:
        UserError: Names the settings and what to set instead.
    """
    name = precision_name(precision)
    given = f"trainer.precision={precision} with backbone.dtype={dtype}"
    if name not in ("64-true", "32-true", "16-mixed", "bf16-mixed"):
        raise UserError(
            f"{given}: what is trained stays float32, for half precision loses AdamW's small steps; set "
            "trainer.precision=bf16-mixed, 16-mixed or 32-true (backbone.dtype=bfloat16 saves the memory)."
        )
    if name.endswith("true") and dtype != "float32":
        raise UserError(
            f"{given}: float32 and half precision meet only in mixed arithmetic; set trainer.precision=bf16-mixed, or "
            "backbone.dtype=float32."
        )
    if dtype == "float16" and (
        accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    ):
        raise UserError(f"{given} on a CPU, which lacks float16; set backbone.dtype=bfloat16, or use a GPU.")


def describe(config: DictConfig, fingerprint: str) -> Description:
    """What a run's adapter says of it, and what its model is built from."""
    data, scheduler = plain(config.data), plain(config.scheduler)
    clips = {entry.name: data[entry.name] for entry in fields(ClipsConfig) if data.get(entry.name) is not None}
    sampling, method = OmegaConf.to_object(config.sampling), OmegaConf.to_object(config.method)
    if not method.unet.sees_masks:  # type: ignore[union-attr]
        sampling = replace(sampling, mask_scale=1.0)  # type: ignore[type-var]
    folders = clips.get("train", [])
    clips["train"] = [folders] if isinstance(folders, str) else folders
    return Description(
        maskvid=__version__,
        fingerprint=fingerprint,
        backbone=loading(config.backbone),
        method=method,  # type: ignore[arg-type]
        scheduler=SchedulerConfig(name=scheduler.pop("name"), settings=scheduler),
        sampling=sampling,  # type: ignore[arg-type]
        clips=ClipsConfig(**clips),
        judges=judges_of(config.metrics),
        precision=precision_name(config.trainer.precision),
        seed=config.seed,
    )


def judges_of(metrics: DictConfig | None) -> Judges:
    """The names of the judges that a configuration holds; an object that judges by itself has none."""
    given = plain(metrics) if metrics else {}
    names = {entry.name: given.get(entry.name) for entry in fields(Judges)}
    return Judges(**{name: value for name, value in names.items() if isinstance(value, str)})


def build_module(config: DictConfig, backbone: Backbone, set_names: list[str]) -> MaskVidModule:
    """The LightningModule a configuration describes, its steering without any training."""
    pipeline = MaskVidPipeline.holding(backbone)
    pipeline.steer(describe(config, backbone.fingerprint))
    optim = Optim(**config.optim)
    module = MaskVidModule(pipeline, optim=optim, set_names=set_names, shard_backbone=config.shard_backbone)
    return module.train()


def check_judges(metrics: DictConfig, height: int, width: int) -> None:
    """Refuse the embedded miniatures as judges of pictures that are far larger than theirs.

    Args:
        metrics: The judges, `metrics`.
        height: Rows of the pictures.
        width: Columns.

    Raises:
        UserError: Names the judge and what to set instead.
    """
    if height * width <= MINIATURE:
        return
    for judge, remedy in (
        ("clip", "metrics.clip=ViT-L-14 metrics.pretrained=openai"),
        ("segmenter", "metrics.segmenter=facebook/sam2.1-hiera-small"),
    ):
        if metrics.get(judge, remedy) is None:
            raise UserError(
                f"metrics.{judge}=null: the embedded miniature, which judges pictures of 64 x 96 pixels, cannot judge "
                f"those of {height} x {width}; give {remedy}, or train without: callbacks.metrics=null."
            )


def find_checkpoint(ckpt_path: str | None, run_dir: Path) -> str | None:
    """Resolve `ckpt_path=last` and `ckpt_path=auto` to the run directory's checkpoint.

    Raises:
        UserError: There is no such file.
    """
    last = run_dir / CHECKPOINT
    if ckpt_path is None or (ckpt_path == "auto" and not last.is_file()):
        return None
    path = last if ckpt_path in ("last", "auto") else Path(ckpt_path)
    if not path.is_file():
        raise UserError(f"ckpt_path={ckpt_path!r}: no file {path}; give the checkpoint, or run_dir=RUN ckpt_path=last.")
    return str(path)


def step_of(ckpt_path: str) -> int:
    """Optimiser steps behind a checkpoint."""
    return int(AtomicCheckpointIO().load_checkpoint(ckpt_path).get("global_step", 0))


def keep_paths(config: DictConfig) -> None:
    """Make the local paths that a run keeps absolute, so that it can be used from any working directory."""

    def absolute(path: Any) -> Any:
        return str(Path(path).absolute()) if isinstance(path, str) and Path(path).exists() else path

    for key in ("path", "config", "lora", "controlnet"):
        config.backbone[key] = absolute(config.backbone[key])
    train, validation = config.data.get("train"), config.data.get("validation")
    config.data.train = [absolute(folder) for folder in train] if isinstance(train, ListConfig) else absolute(train)
    for name in validation or {}:
        validation[name] = absolute(validation[name])


def sets_of(validation: Any) -> Any:
    """Validation sets by name: a folder alone stands in place of all others, by its own name.

    A mapping adds to the sets that there are, as everywhere in the configuration.
    """
    return {Path(validation).name: validation} if isinstance(validation, str) and validation.strip() else validation


def warn_of_footage(config: DictConfig) -> None:
    """Say what the embedded miniature is not for, where clips are tuned on that are not the shipped ones."""
    train = config.data.get("train")
    folders = list(train) if isinstance(train, ListConfig) else [train]
    if config.backbone.path == f"{ASSETS}mini" and not all(str(folder).startswith(ASSETS) for folder in folders):
        print_warning(
            f"backbone=mini is the embedded miniature, {config.data.num_frames} frames of {config.data.height} x "
            f"{config.data.width}; it knows rendered animals and no footage. For clips of your own take backbone=sd15, "
            "sd21, sdxl, or backbone=folder backbone.path=..."
        )


def begin_from(run: str, module: MaskVidModule) -> None:
    """Load the weights of a run's adapter, to tune them further.

    Raises:
        UserError: There is no whole adapter, or one of another backbone or method.
    """
    folder = Path(run) / "adapter" if (Path(run) / "adapter").is_dir() else Path(run)
    try:
        described = read_description(read_adapter(folder).get("run"))
        load_adapter(folder, module.unet, exact=True)  # encoders for rough masks begin anew behind the tuning
    except UserError as error:
        raise UserError(f"init_adapter={run}: {error}") from error
    if described.fingerprint != module.backbone.fingerprint:
        raise UserError(
            f"init_adapter={run}: the adapter was trained on other weights than those of "
            f"backbone.path={module.backbone.path!r}; give those, or leave it out."
        )


def how_to_go_on(run_dir: Path, *, trained: bool) -> str:
    """What a user who stopped a run may do next."""
    if in_sweep():
        return "The same command with the same hydra.sweep.dir goes on."
    again = f"The same command with run_dir={run_dir}"
    return f"{again} ckpt_path=auto goes on." if trained else f"{again} overwrite=true begins anew."


def check_optimized(name: str | None, sets: list[str]) -> None:
    """Refuse a metric that will not be there in the end.

    Raises:
        UserError: Its set is not validated, or no metric has its name.
    """
    set_name, _, metric = (name or "").partition("/")
    if name is not None and (set_name not in sets or metric not in METRICS):
        raise UserError(
            f"optimized_metric={name}: give SET/METRIC, the set one of {', '.join(sets)}, the metric one of "
            f"{', '.join(METRICS)}."
        )


def train(config: DictConfig) -> dict[str, float]:
    """Run one training; everything is built and checked before any compute is spent.

    Returns:
        The final metrics, `<set>/<metric>`.
    """
    check_config(config, "for example by +experiment=horse.")
    config.data.validation = sets_of(config.data.get("validation"))
    OmegaConf.to_object(config.data)  # which looks at its folders
    keep_paths(config)
    check_output(config.run_dir, "run_dir")
    for key in ("ckpt_path", "init_adapter"):
        if config[key] is not None and not config.method.trained:
            raise UserError(f"{key}={config[key]}: it has no effect with method.trained=false; leave it out.")
    if config.ckpt_path is not None and config.init_adapter is not None:
        raise UserError("init_adapter: a checkpoint brings its own weights; give one of ckpt_path and init_adapter.")
    if config.sampling.mask_precision != "exact":
        raise UserError(
            f"sampling.mask_precision={config.sampling.mask_precision}: a training validates by exact masks; give "
            "it to generate or evaluate."
        )
    check_precision(config.backbone.dtype, config.trainer.precision, config.trainer.accelerator)
    if config.backbone.dtype == "float8":
        raise UserError("backbone.dtype=float8 is for sampling: no gradient passes it; tune with bfloat16.")
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision("high")
    seed_everything(config.seed, workers=True, verbose=False)
    run_dir = Path(config.run_dir)
    if in_sweep() and config.ckpt_path is None:
        config.ckpt_path = "auto"  # the sweep may have been stopped in the middle of this job
    ckpt_path = find_checkpoint(config.ckpt_path, run_dir)
    if config.callbacks.get("metrics"):
        check_judges(config.metrics, config.data.height, config.data.width)
    settings: Data = OmegaConf.to_object(config.data)  # type: ignore[assignment]  # the dataclass it is made from
    data = MaskVidDataModule(settings)
    if settings.dry_run:
        if rejected := data.dry_run().num_rejected:
            raise UserError(f"{rejected} clips would be rejected; the table above says why.")
        return {}
    check_optimized(config.optimized_metric, data.validation_names)
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        warn_of_footage(config)
    if rank_zero_only.rank > 0:  # type: ignore[attr-defined]  # the first process has claimed it for all
        return _train(config, data, ckpt_path)
    inside = ckpt_path is not None and Path(ckpt_path).resolve().is_relative_to(run_dir.resolve())
    going_on = in_sweep() or inside or (config.ckpt_path == "auto" and unfinished(run_dir))
    with claimed(run_dir, going_on=going_on, overwrite=config.overwrite):
        clear_temporaries(expanded(settings.cache_dir))
        return _train(config, data, ckpt_path)


def _train(config: DictConfig, data: MaskVidDataModule, ckpt_path: str | None) -> dict[str, float]:
    run_dir = Path(config.run_dir)
    backbone = Backbone(**asdict(loading(config.backbone)))
    data.attach(backbone)
    module = build_module(config, backbone, data.validation_names)
    if config.init_adapter is not None:
        begin_from(config.init_adapter, module)
    clip, clean_frames = data.settings, module.unet.clean_frames
    backbone.check_clip(clip.height, clip.width, clip.num_frames, clean_frames=clean_frames, place="data.")
    callbacks = [instantiate(node, f"callbacks.{name}") for name, node in config.callbacks.items() if node]
    description = asdict(describe(config, backbone.fingerprint))
    read_description(description)  # now, and not when the adapter is there and nobody can read it
    adapter = AdapterFile(folder=run_dir / "adapter", description=description)
    callbacks += [adapter, StopWell(adapter)]
    loggers = [instantiate(node, f"logger.{name}") for name, node in config.logger.items() if node]
    trainer = instantiate(
        config.trainer, "trainer", callbacks=callbacks, logger=loggers, plugins=[AtomicCheckpointIO()]
    )
    check_launch(trainer)
    if trainer.is_global_zero:
        with atomic_write(run_dir / "config.yaml") as path:
            OmegaConf.save(config, path, resolve=True)
    for logger in loggers:
        if isinstance(logger, KeptCSVLogger) and trainer.is_global_zero and ckpt_path is not None:
            logger.go_on(step_of(ckpt_path))
        logger.log_hyperparams(plain(config))
    stopping.remedy = how_to_go_on(run_dir, trained=config.method.trained)
    status = 1
    try:
        if config.method.trained:
            trainer.fit(module, datamodule=data, ckpt_path=ckpt_path)
            if stopping.asked is not None:  # behind the last step
                stopping.stop()
        if not adapter.written:  # nothing was to be tuned, or all steps were done already when it was stopped
            adapter.write(trainer, module)
        if data.validation_names:
            # All clips of every set, by the averaged weights, however few were looked at while training.
            trainer.limit_val_batches = 1.0
            trainer.validate(module, datamodule=data, verbose=False)
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        if config.method.trained and config.method.rough_masks:
            settle(trainer, module)
            tune_rough(config, module, data, adapter, loggers)
        status = 0
    except Stopped as stopped:
        status = stopped.status
        raise
    except Exception:
        end_others(trainer)
        raise
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers):
            import wandb

            wandb.finish(exit_code=status)
    return metrics


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@entry_point
def main(config: DictConfig) -> float | None:
    """Hydra's entry; a hyperparameter search is told the metric it looks for."""
    metrics = run_job(expanded(config.run_dir), lambda: train(config))
    if metrics is None:
        return None
    if not config.data.dry_run:
        print_files(Path(config.run_dir).resolve())
    if config.optimized_metric is None:
        return None
    if config.optimized_metric not in metrics:
        raise UserError(f"optimized_metric={config.optimized_metric}: not measured; there are {', '.join(metrics)}.")
    return metrics[config.optimized_metric]


@rank_zero_only
def print_files(run_dir: Path) -> None:
    """Say where the newest videos and strips are, the run directory first."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"run: {run_dir}")
    newest = max((run_dir / "samples").glob("step-*"), default=None)
    for kind, suffix in (("video", "mp4"), ("strip", "png")):
        for path in sorted(newest.glob(f"*/*.{suffix}"))[:1] if newest else []:
            console.print(f"{kind}: {path}")


if __name__ == "__main__":
    run(main)
