"""The LightningDataModule: folders of triples in, batches of encoded windows out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from rich import print as rich_print
from rich.progress import track
from torch.utils.data import DataLoader

from maskvid.clip import ClipBatch
from maskvid.data.cache import EncodedData, Encoder, TensorCache
from maskvid.data.checked import (
    CheckedClip,
    Report,
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
from maskvid.data.zooms import Zoom, zooms_of
from maskvid.errors import UserError
from maskvid.prompt import Prompt
from maskvid.settings import Data

TRAIN = "train"


class MaskVidDataModule(LightningDataModule):
    """Checked triples, encoded once, drawn by position.

    Training batches hold latents, masks and text; validation batches also hold frames, and there is one loader per
    validation set, in the order of the configuration. The trainer must be told `use_distributed_sampler=False`.
    """

    def __init__(self, settings: Data) -> None:
        """Set up the data without reading anything; what the settings cannot be, they have refused themselves."""
        super().__init__()
        self.settings = settings
        self.folders: dict[str, list[str | Path]] = {}
        if settings.train is not None:
            self.folders[TRAIN] = [settings.train] if isinstance(settings.train, (str, Path)) else list(settings.train)
        self.validation_names = list(settings.validation or {})
        self.folders.update({name: [folder] for name, folder in (settings.validation or {}).items()})
        # a set may hold fewer clips than there are processes; it is not padded with repeats
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.clips: dict[str, list[CheckedClip]] = {}
        self._encoder: Encoder | None = None
        self._encoded: dict[str, list[EncodedClip]] = {}
        self._empty_text: dict[str, Any] = {}
        self._resumed = {"position": 0, "step": 0}
        self._rough = False

    def attach(self, encoder: Encoder) -> MaskVidDataModule:
        """Give the backbone that encodes frames and prompts; needed before `setup`."""
        self._encoder = encoder
        return self

    def roughened(self) -> MaskVidDataModule:
        """The same clips, read and encoded already, whose masks training sees made imprecise, from the beginning."""
        other = copy.copy(self)
        other.trainer, other._rough, other._resumed = None, True, {"position": 0, "step": 0}
        return other

    def check(self) -> Report:
        """Read and check every clip of every set; nothing is encoded or written.

        Whether a subject lies within the tokenizer's length is checked where a backbone is attached.
        """
        report = check_sets(self.folders, self.settings, progress=self._rank == 0)
        if self._encoder is not None:
            reject_prompts(report, self._encoder.prompt_faults)
        return report

    def dry_run(self) -> Report:
        """Print every clip, accepted or rejected with its reasons, and return the list."""
        report = self.check()
        rich_print(report.table())
        if report.num_rejected:
            rich_print(f"{report.num_rejected} clips would be rejected (data.on_reject={self.settings.on_reject})")
        return report

    def setup(self, stage: str | None = None) -> None:
        """Check all clips, then encode what the cache lacks; several processes share that work.

        Raises:
            UserError: No encoder attached, a dry run was asked for, or clips were rejected.
        """
        if self._encoded:
            return
        if self.settings.dry_run:
            raise UserError("data.dry_run=true only lists the clips; set it to false to train")
        if self._encoder is None:
            raise UserError("the data module has no encoder; call attach(backbone) before setup or fit")
        report = self.check()
        enforce(report, self.settings.on_reject)
        self.clips = {
            name: clips[: self.settings.limit_training if name == TRAIN else self.settings.limit_validation]
            for name, clips in report.accepted.items()
        }
        captions = [prompt for clips in self.clips.values() for clip in clips for prompt in clip.triple.prompts]
        self._encoder.warn_of_unknown(captions)
        requirements = self.settings
        encoded = EncodedData(
            self._encoder, TensorCache(self.settings.cache_dir), height=requirements.height, width=requirements.width
        )
        rank, world_size = self._rank, self._world_size
        todo = [(clip, name == TRAIN) for name, clips in self.clips.items() for clip in clips]
        mine = [todo[index] for index in shard(len(todo), rank, world_size)]
        flip = self.settings.flip
        for clip, training in track(mine, "Encoding clips", transient=True, disable=rank > 0):
            encode_training_clip(clip, encoded, flip=flip and training, zooms=self._zooms(clip) if training else [])
        if self.trainer is not None and world_size > 1:
            self.trainer.strategy.barrier("maskvid-data-encoded")
        self._empty_text = encoded.text(Prompt(""))
        for name, clips in self.clips.items():
            if name == TRAIN:
                self._encoded[name] = [
                    encode_training_clip(clip, encoded, flip=flip, zooms=self._zooms(clip)) for clip in clips
                ]
            else:
                share = [clips[index] for index in shard(len(clips), rank, world_size)]
                self._encoded[name] = [encode_validation_clip(clip, encoded, requirements) for clip in share]

    def _zooms(self, clip: CheckedClip) -> list[Zoom]:
        return zooms_of(clip, self.settings) if self.settings.zoom else []

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """An infinite loader that goes on at the position the run has reached; train by `max_steps`.

        Raises:
            UserError: There is no training set.
        """
        windows = self._windows(self.settings.prompt_dropout)
        sampler = PositionSampler(
            batch_size=self.settings.batch_size, rank=self._rank, world_size=self._world_size, start=self.position
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
            num_frames=self.settings.num_frames,
            fps=self.settings.fps,
            seed=self.settings.seed,
            prompt_dropout=prompt_dropout,
            empty_text=self._empty_text,
            zoom=self.settings.zoom,
            box_masks=self.settings.box_masks,
            rough=self._rough,
        )

    @property
    def position(self) -> int:
        """Global position reached: windows consumed by all processes in the optimiser steps done so far."""
        if self.trainer is None:
            return self._resumed["position"]
        per_step = self.trainer.accumulate_grad_batches * self.settings.batch_size * self._world_size
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
        return {"num_workers": self.settings.num_workers, "persistent_workers": self.settings.num_workers > 0}
