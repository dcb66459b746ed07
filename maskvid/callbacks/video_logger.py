"""Sampled videos of every validation, as files and in the loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from maskvid.bounds import check_arguments
from maskvid.callbacks.loggers import log_pictures
from maskvid.clip import Sample
from maskvid.files import file_name
from maskvid.media.strips import overlay, sample_sheet
from maskvid.media.writing import video_name, write_png, write_video
from maskvid.metrics.suite import all_gather


class VideoLogger(Callback):
    """Write `<folder>/samples/step-<n>/<set>/<clip>.mp4` and `.png` for every sample, and log them.

    The mp4 is the bare generated video; the PNG shows the real clip (or the mask) above the generated frames, with
    the requested mask outlined. For W&B there is a video with it outlined, too. Every rank writes its own shard; rank
    zero logs what it can read.
    """

    def __init__(
        self,
        *,
        folder: str | Path | None = None,
        columns: int | None = 8,
        scale: int | None = None,
        logged_per_set: int = 8,
    ) -> None:
        """Configure.

        Args:
            folder: Run directory; None is the trainer's `default_root_dir`.
            columns: Frames shown in the PNG, evenly spaced; None shows all.
            scale: Whole factor videos are enlarged by; None chooses one that can be looked at.
            logged_per_set: Videos per set that go to the loggers; files are written for all.
        """
        check_arguments(self, "callbacks.video_logger.", columns=columns, scale=scale, logged_per_set=logged_per_set)
        self.folder = folder
        self.columns = columns
        self.scale = scale
        self.logged_per_set = logged_per_set
        self._written: list[dict[str, Any]] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the previous validation's files."""
        self._written = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the samples `validation_step` returned."""
        if trainer.sanity_checking:
            return
        samples = samples_of(outputs)
        several = len({sample.seed for sample in samples}) > 1
        for sample in samples:
            name = video_name(sample.clip_id, sample.seed if several else None)
            self._written.append(self._write(trainer, sample, name))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the files of all ranks, in the order of their names."""
        if trainer.sanity_checking:
            return
        written = [entry for part in all_gather(self._written) for entry in part]  # collective: on every rank
        if not trainer.is_global_zero:
            return
        logged: dict[str, int] = {}
        for entry in sorted(written, key=lambda entry: (entry["set"], entry["clip"])):
            logged[entry["set"]] = logged.get(entry["set"], 0) + 1
            readable = entry["video"].exists() and entry["sheet"].exists()  # another node's disk may not be ours
            if logged[entry["set"]] <= self.logged_per_set and readable:
                log_pictures(
                    trainer,
                    f"{entry['set']}/{entry['clip']}",
                    video=entry["video"],
                    outlined=entry["outlined"],
                    sheet=entry["sheet"],
                    caption=entry["prompt"],
                )

    def _write(self, trainer: Trainer, sample: Sample, clip: str) -> dict[str, Any]:
        root = Path(trainer.default_root_dir if self.folder is None else self.folder)
        folder = root / "samples" / f"step-{trainer.global_step:06d}" / file_name(sample.set_name)
        name = file_name(clip)
        video = write_video(folder / f"{name}.mp4", sample.frames, sample.fps, scale=self.scale)
        outlined = None
        if self.logged_per_set and any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
            drawn = overlay(sample.frames, sample.masks, scale=self.scale)
            outlined = write_video(folder / "outlined" / f"{name}.mp4", drawn, sample.fps, scale=1)
        sheet = write_png(folder / f"{name}.png", sample_sheet(sample, columns=self.columns, scale=self.scale))
        return {
            "set": sample.set_name,
            "clip": clip,
            "prompt": sample.prompt,
            "video": video,
            "outlined": outlined,
            "sheet": sheet,
        }


def samples_of(outputs: Any) -> list[Sample]:
    """Check what `validation_step` returned: a list of samples, or None where a step makes none.

    Raises:
        TypeError: Something else, which the callbacks would otherwise ignore silently.
    """
    if outputs is None:
        return []
    if not isinstance(outputs, list) or not all(isinstance(sample, Sample) for sample in outputs):
        raise TypeError(f"validation_step must return a list of maskvid.clip.Sample, not {type(outputs).__name__}")
    return outputs
