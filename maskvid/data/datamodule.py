"""The LightningDataModule: folders of triples in, batches of encoded windows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from rich import print as rich_print
from rich.progress import track
from torch.utils.data import DataLoader

from maskvid.clip import ClipBatch
from maskvid.data.cache import EncodedData, Encoder, TensorCache
from maskvid.data.check import (
    FOLDER_FPS,
    CheckedClip,
    OnReject,
    Report,
    Requirements,
    check_sets,
    enforce,
    reject_prompts,
)
from maskvid.data.sampler import PositionSampler, shard
from maskvid.data.windows import (
    EncodedClip,
    TrainingWindows,
    ValidationWindows,
    collate,
    encode_training_clip,
    encode_validation_clip,
)
from maskvid.errors import UserError
from maskvid.masks.check import MAX_FOREGROUND
from maskvid.prompt import Prompt

TRAIN = "train"


class MaskVidDataModule(LightningDataModule):
    """Checked triples, encoded once, drawn by position.

    Training batches hold latents, masks and text; validation batches also hold frames, and there is one loader per
    validation set, in the order of the configuration. The trainer must be told `use_distributed_sampler=False`.
    """

    def __init__(
        self,
        *,
        train: str | Path | Sequence[str | Path] | None = None,
        validation: Mapping[str, str | Path] | None = None,
        height: int,
        width: int,
        num_frames: int,
        fps: float,
        folder_fps: float = FOLDER_FPS,
        batch_size: int = 1,
        limit_training: int | None = None,
        limit_validation: int | None = None,
        num_workers: int = 0,
        cache_dir: str | Path = ".cache/maskvid",
        prompt_dropout: float = 0.1,
        box_masks: float = 0.0,
        perturb_masks: float = 0.0,
        flip: bool = False,
        max_foreground: float = MAX_FOREGROUND,
        on_reject: OnReject = "error",
        dry_run: bool = False,
        seed: int = 0,
    ) -> None:
        """Set up the data without reading anything.

        Args:
            train: Folder or folders of training triples; `assets://...` lies inside the package.
            validation: Folder by name of the validation set.
            height: Rows of the pictures in pixels.
            width: Columns of the pictures in pixels.
            num_frames: Frames in a window.
            fps: Its frames a second. A clip of any other rate is resampled: at each time the frame is taken that a
                viewer sees. Videos are written at this rate, too, so that they play as fast as the clips do.
            folder_fps: Frames a second of clips that are folders of pictures, unless metadata give their `fps`.
            batch_size: Training windows per process and micro-batch.
            limit_training: Use only the first so many training clips; None for all.
            limit_validation: Use only the first so many clips of each validation set; None for all.
            num_workers: Worker processes per loader.
            cache_dir: Folder for latents and text embeddings.
            prompt_dropout: Share of training windows that get the empty prompt.
            box_masks: Share of training windows whose masks are reduced to a sliding box: what moves inside is then
                learnt from the caption, and a box will do where exact masks are hard to get.
            perturb_masks: Share of training windows whose masks are dilated, eroded, shifted, held or boxed, by a
                strength drawn at random, as masks drawn by hand are.
            flip: Mirror half of the training windows. Off by default: it changes the direction of motion.
            max_foreground: Mean foreground share above which a mask is taken for inverted; 1 switches that test off.
            on_reject: What to do about clips that do not pass the check: `error`, or `skip` with a warning.
            dry_run: The run only lists its clips: the entry point calls `dry_run()` and stops.
            seed: What is drawn is a function of this and the position.

        Raises:
            UserError: An argument is out of range.
        """
        super().__init__()
        self.requirements = Requirements(height, width, num_frames, fps, folder_fps, max_foreground)
        for name, value, low in (
            ("batch_size", batch_size, 1),
            ("limit_training", 1 if limit_training is None else limit_training, 1),
            ("limit_validation", 1 if limit_validation is None else limit_validation, 1),
            ("num_workers", num_workers, 0),
            ("seed", seed, 0),
        ):
            if not isinstance(value, int) or value < low:
                raise UserError(f"data.{name}={value} must be a whole number of at least {low}")
        for name, share in (
            ("prompt_dropout", prompt_dropout),
            ("box_masks", box_masks),
            ("perturb_masks", perturb_masks),
        ):
            if not 0 <= share <= 1:
                raise UserError(f"data.{name}={share} must lie in [0, 1]")
        self.folders: dict[str, list[str | Path]] = {}
        if train is not None:
            self.folders[TRAIN] = [train] if isinstance(train, (str, Path)) else list(train)
        self.validation_names = list(validation or {})
        if TRAIN in self.validation_names:
            raise UserError(f"data.validation names a set {TRAIN!r}; that name is the training set's, choose another")
        self.folders.update({name: [folder] for name, folder in (validation or {}).items()})
        self.batch_size = batch_size
        self.limit_training = limit_training
        self.limit_validation = limit_validation
        self.num_workers = num_workers
        self.cache_dir = cache_dir
        self.prompt_dropout = prompt_dropout
        self.box_masks = box_masks
        self.perturb_masks = perturb_masks
        self.flip = flip
        self.on_reject = on_reject
        self.dry_run_requested = dry_run
        self.seed = seed
        # a set may hold fewer clips than there are processes; it is not padded with repeats
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.clips: dict[str, list[CheckedClip]] = {}
        self._encoder: Encoder | None = None
        self._encoded: dict[str, list[EncodedClip]] = {}
        self._empty_text: dict[str, Any] = {}
        self._resumed = {"position": 0, "step": 0}

    def attach(self, encoder: Encoder) -> MaskVidDataModule:
        """Give the backbone that encodes frames and prompts; needed before `setup`."""
        self._encoder = encoder
        return self

    def check(self) -> Report:
        """Read and check every clip of every set; nothing is encoded or written.

        Whether a subject lies within the tokenizer's length is checked where a backbone is attached.
        """
        report = check_sets(self.folders, self.requirements, progress=self._rank == 0)
        if self._encoder is not None:
            reject_prompts(report, self._encoder.prompt_faults)
        return report

    def dry_run(self) -> Report:
        """Print every clip, accepted or rejected with its reasons, and return the list."""
        report = self.check()
        rich_print(report.table())
        if report.num_rejected:
            rich_print(f"{report.num_rejected} clips would be rejected (data.on_reject={self.on_reject})")
        return report

    def setup(self, stage: str | None = None) -> None:
        """Check all clips, then encode what the cache lacks; several processes share that work.

        Raises:
            UserError: No encoder attached, a dry run was asked for, or clips were rejected.
        """
        if self._encoded:
            return
        if self.dry_run_requested:
            raise UserError("data.dry_run=true only lists the clips; set it to false to train")
        if self._encoder is None:
            raise UserError("the data module has no encoder; call attach(backbone) before setup or fit")
        report = self.check()
        enforce(report, self.on_reject)
        self.clips = {
            name: clips[: self.limit_training if name == TRAIN else self.limit_validation]
            for name, clips in report.accepted.items()
        }
        captions = [prompt for clips in self.clips.values() for clip in clips for prompt in clip.triple.prompts]
        self._encoder.warn_of_unknown(captions)
        requirements = self.requirements
        encoded = EncodedData(
            self._encoder, TensorCache(self.cache_dir), height=requirements.height, width=requirements.width
        )
        rank, world_size = self._rank, self._world_size
        todo = [(clip, name == TRAIN) for name, clips in self.clips.items() for clip in clips]
        mine = [todo[index] for index in shard(len(todo), rank, world_size)]
        for clip, training in track(mine, "Encoding clips", transient=True, disable=rank > 0):
            encoded.prepare(clip.triple, flip=self.flip and training)
        if self.trainer is not None and world_size > 1:
            self.trainer.strategy.barrier("maskvid-data-encoded")
        self._empty_text = encoded.text(Prompt(""))
        for name, clips in self.clips.items():
            if name == TRAIN:
                self._encoded[name] = [encode_training_clip(clip, encoded, flip=self.flip) for clip in clips]
            else:
                share = [clips[index] for index in shard(len(clips), rank, world_size)]
                self._encoded[name] = [encode_validation_clip(clip, encoded, requirements) for clip in share]

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """An infinite loader that goes on at the position the run has reached; train by `max_steps`.

        Raises:
            UserError: There is no training set.
        """
        windows = self._windows(self.prompt_dropout)
        sampler = PositionSampler(
            batch_size=self.batch_size, rank=self._rank, world_size=self._world_size, start=self.position
        )
        return DataLoader(windows, batch_sampler=sampler, collate_fn=collate, **self._workers)

    def val_dataloader(self) -> list[DataLoader[ClipBatch]]:
        """One loader per validation set, over this process's share of its clips.

        One clip a batch: products of another size round otherwise, and a video must not depend on those beside it.
        """
        return [
            DataLoader(ValidationWindows(self._encoded[name]), batch_size=1, collate_fn=collate, **self._workers)
            for name in self.validation_names
        ]

    def test_dataloader(self) -> list[DataLoader[ClipBatch]]:
        """The validation sets again: there is no third split."""
        return self.val_dataloader()

    def sources(self) -> ClipBatch:
        """One window of every training clip, without prompts: what Tune-A-Video's sampling starts from.

        Raises:
            UserError: There is no training set.
        """
        windows = self._windows(prompt_dropout=1.0)
        return collate([windows[position] for position in range(len(windows.clips))])

    def _windows(self, prompt_dropout: float) -> TrainingWindows:
        if TRAIN not in self._encoded:
            raise UserError("data.train is not set; give a folder of triples")
        return TrainingWindows(
            self._encoded[TRAIN],
            num_frames=self.requirements.num_frames,
            fps=self.requirements.fps,
            seed=self.seed,
            prompt_dropout=prompt_dropout,
            empty_text=self._empty_text,
            box_masks=self.box_masks,
            perturb_masks=self.perturb_masks,
        )

    @property
    def position(self) -> int:
        """Global position reached: windows consumed by all processes in the optimiser steps done so far."""
        if self.trainer is None:
            return self._resumed["position"]
        per_step = self.trainer.accumulate_grad_batches * self.batch_size * self._world_size
        return self._resumed["position"] + (self.trainer.global_step - self._resumed["step"]) * per_step

    def state_dict(self) -> dict[str, int]:
        """The sampler's position, so that a run may go on with another batch size and still repeat nothing."""
        return {"position": self.position, "step": self.trainer.global_step if self.trainer else 0}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from a saved position."""
        self._resumed = {"position": int(state_dict["position"]), "step": int(state_dict["step"])}

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1

    @property
    def _workers(self) -> dict[str, Any]:
        return {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}
