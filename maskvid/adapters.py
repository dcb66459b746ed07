"""Adapters on a pipeline: read with their backbone, mixed, saved and taken off again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from maskvid.clip import ClipBatch
from maskvid.description import Description
from maskvid.diffusion.scheduler import make_scheduler
from maskvid.errors import UserError, said
from maskvid.model import Backbone, Embedded, InflatedUNet
from maskvid.model.adapter import DESCRIPTION, WEIGHTS
from maskvid.model.latents import place_of
from maskvid.settings import Noise, Sampling
from maskvid.tuned import adapter_folder, check_fingerprint, load_backbone, load_weights, read_runs, shares_of

ADAPTER = "adapter"
"""Folder of the adapter within a run directory, and within a saved pipeline."""


class Steered:
    """What `MaskVidPipeline` is beside a `DiffusionPipeline`: a backbone whose U-Net adapters steer.

    Attributes:
        noise: Where the noise of the frames comes from.
        sampling: How videos are sampled.
        seed: Of what is drawn, with the name of each clip.
        sources: Training clips without prompts, for methods whose sampling starts from the noise of one.
        negative: What guidance leads away from, as `Backbone.encode_text` gives it; None is the empty prompt.
        find: A segmenter, called with frames (n, 3, h, w) in [-1, 1] and masks (n, 1, h, w): what a given first frame
            shows, to which rough masks are then fitted. None fits none.
    """

    components: dict[str, Any]
    register_modules: Any
    scheduler: Any
    unet: Any
    noise: Noise
    sampling: Sampling
    seed: int

    def _hold(self, backbone: Backbone | None) -> None:
        self._backbone = backbone
        self._adapters: dict[str, tuple[Path, float]] = {}
        self._inflated: InflatedUNet | None = None
        self.sources: ClipBatch | None = None
        self.negative: Embedded | None = None
        self.find: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
        self._run: Description | None = None

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        weights: Sequence[float] | None = None,
        dtype: torch.dtype | None = None,
        backbone: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        clips: Mapping[str, Any] | None = None,
    ) -> Self:
        """Load what was saved, or a tuned run with the backbone that it names.

        Args:
            path: What `save_pretrained` wrote, a run directory, an adapter's folder, or the hub id of one; of several,
                the adapters mix.
            weights: How much of each; None shares equally.
            dtype: Of the backbone's weights; the adapter's are float32. None takes the run's.
            backbone: What is otherwise now of the backbone's arguments, see `maskvid.model.Backbone`, for example
                `{"path": "/models/sd15"}`; with `fast_lora` a LoRA is added that makes few steps do, for this pipeline
                alone.
            sampling: What is otherwise of the run's sampling settings, see `maskvid.settings.Sampling`.
            clips: What is otherwise of its clips, see `maskvid.settings.Clips`.

        Raises:
            UserError: There is no adapter, or its backbone is missing or another one.
        """
        given = dict(backbone or {})
        if dtype is not None:
            given["dtype"] = str(dtype).removeprefix("torch.")
        runs = [_fetched(one) for one in ([path] if isinstance(path, (str, Path)) else path)]
        if (Path(runs[0]) / "model_index.json").is_file():
            given.setdefault("path", str(runs[0]))
        fast = given.pop("fast_lora", None)
        run = read_runs(runs, sampling=sampling, backbone=given, clips=clips)
        shares = shares_of(runs, weights)
        pipeline = cls.holding(load_backbone(run, runs[0], given))
        if fast is not None:
            pipeline.backbone.quicken(fast)
        pipeline._adapters = {str(one): (adapter_folder(one), share) for one, share in zip(runs, shares, strict=True)}
        try:
            pipeline.steer(run)
        except UserError as error:
            raise UserError(f"run={runs[0]}: {error}") from error
        if run.backbone.dtype == "float8":
            pipeline.backbone.pack()
        return pipeline

    @classmethod
    def holding(cls, backbone: Backbone) -> Self:
        """A pipeline over a backbone that is loaded already; nothing steers it yet."""
        pipeline = cls(**{name: part for name, part in backbone.pipeline.components.items() if name != "controlnet"})
        pipeline._backbone = backbone
        return pipeline

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Write the backbone as diffusers does, so that every program for it reads it, and the adapter beside it.

        Args:
            save_directory: Made if it does not exist.
            kwargs: Of diffusers' own, for example `variant="fp16"`.

        Raises:
            UserError: Several adapters are mixed, or none is loaded, or a LoRA for few steps is in the weights.
        """
        if [weight for _, weight in self._adapters.values()] != [1.0]:
            raise UserError("save_pretrained: load one adapter, with weight 1; a mixture is not saved.")
        if self.backbone.quickened:
            raise UserError("save_pretrained: fast_lora is in the backbone's weights; load the run without it.")
        if self.backbone.packed:
            raise UserError("save_pretrained: the backbone's weights are rounded to eight bits; load it as bfloat16.")
        self.backbone.pipeline.save_pretrained(save_directory, **kwargs)
        [(folder, _)] = self._adapters.values()
        target = Path(save_directory) / ADAPTER
        target.mkdir(exist_ok=True)
        for name in (WEIGHTS, DESCRIPTION):
            shutil.copyfile(folder / name, target / name)

    @property
    def backbone(self) -> Backbone:
        """The frozen parts: encoding, decoding, painting of first frames."""
        if self._backbone is None:
            self._backbone = Backbone.of(self.components)
        return self._backbone

    @property
    def run(self) -> Description:
        """What the loaded adapter says of the run that it came from: sizes, frame rate, method.

        Raises:
            UserError: None is loaded.
        """
        if self._run is None:
            raise UserError("there is no adapter, and nothing steers; call load_adapter(PATH) first.")
        return self._run

    @property
    def inflated(self) -> InflatedUNet:
        """The U-Net with its steering.

        Raises:
            UserError: Nothing steers.
        """
        assert self.run
        assert self._inflated is not None
        return self._inflated

    def load_adapter(self, path: str | Path, weight: float = 1.0, *, name: str | None = None) -> None:
        """Steer the U-Net by an adapter; further ones of the same method mix, see `set_adapters`.

        Args:
            path: Run directory or adapter folder.
            weight: How much of what it has learnt.
            name: To call it by; None takes the path.

        Raises:
            UserError: It is no adapter, of another backbone, or of another method than those loaded.
        """
        folder = adapter_folder(_fetched(path))
        # in the arithmetic of the weights that are here, whatever the run was tuned on
        here = {"dtype": str(self.backbone.dtype).removeprefix("torch.")}
        run = read_runs([*(folder for folder, _ in self._adapters.values()), folder], backbone=here)
        check_fingerprint(run, self.backbone, path)
        before = dict(self._adapters)
        self._adapters[name or str(path)] = (folder, weight)
        try:
            self.steer(run)
        except UserError:
            self._adapters = before
            if before:
                self.steer(self.run)
            raise

    def set_adapters(self, names: Sequence[str], weights: Sequence[float]) -> None:
        """Mix the adapters that are loaded.

        Args:
            names: As they were loaded.
            weights: One for each; those not named count nothing.

        Raises:
            UserError: A name is unknown.
        """
        if unknown := sorted(set(names) - self._adapters.keys()):
            raise UserError(f"names: there is no adapter {unknown[0]!r}, but {', '.join(self._adapters)}.")
        chosen = dict(zip(names, weights, strict=True))
        self._adapters = {name: (folder, chosen.get(name, 0.0)) for name, (folder, _) in self._adapters.items()}
        self.steer(self.run)

    def unload_adapter(self) -> None:
        """Take all adapters off: the U-Net is the 2-D one that it was."""
        if self._inflated is not None:
            self._inflated.restore()
            self.register_modules(scheduler=self.backbone.scheduler)
        self._hold(self._backbone)

    def _follow(self) -> None:
        """Bring what is not registered with the pipeline to where the U-Net computes."""
        if self._inflated is not None:
            place = place_of(self.unet)
            self._inflated.steering.to(place)
            if self.backbone.controlled is not None:
                self.backbone.controlled.to(place)

    def steer(self, run: Description) -> None:
        """Inflate the U-Net by a run's method, with what the adapters have learnt; without any it has learnt nothing.

        Raises:
            UserError: An adapter does not fit, or first frames are to be led by a ControlNet that is not there.
        """
        frozen = self.backbone
        if run.sampling.first_frame == "controlnet" and frozen.controlled is None:
            raise UserError("sampling.first_frame=controlnet: the backbone has none; give backbone.controlnet=PATH.")
        if self._inflated is not None:
            self._inflated.restore()
        inflated = InflatedUNet(
            frozen.unet, vae_scale_factor=frozen.vae_scale_factor, rough_masks=run.method.rough_masks > 0,
            **asdict(run.method.unet),
        )  # fmt: skip
        try:
            if self._adapters:
                folders, shares = zip(*self._adapters.values(), strict=True)
                load_weights(inflated, folders, shares)
        except UserError:
            inflated.restore()  # the U-Net is never left altered by what does not fit
            raise
        schedule = frozen.scheduler.config
        self.register_modules(scheduler=make_scheduler(run.scheduler.name, schedule=schedule, **run.scheduler.settings))
        self._inflated, self._run = inflated.eval(), run
        self._follow()
        self.noise, self.sampling, self.seed = run.method.noise, run.sampling, run.seed


def _fetched(path: str | Path) -> str | Path:
    """A path as it is; the text of a hub id, `USER/NAME` where there is no folder USER, as the folder it comes to.

    Raises:
        UserError: The hub has no such thing, or cannot be reached.
    """
    if isinstance(path, Path) or re.fullmatch(r"[\w-]+/[\w.-]+", path) is None or Path(path).parent.exists():
        return path
    try:
        return Path(snapshot_download(path, allow_patterns=["*.safetensors", "*.json", "*.txt"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(f"{path}: there is no such folder, and the hub does not give it: {said(error)}") from error
