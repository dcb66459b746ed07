"""The whole method on one page: what is trained, on which loss, with which noise; its pipeline samples from it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from lightning.pytorch import LightningModule
from torch.optim.lr_scheduler import LambdaLR

from maskvid.clip import UNKNOWN, ClipBatch, Sample
from maskvid.diffusion import first_frame_loss, shared_noise
from maskvid.errors import UserError
from maskvid.masks.perturb import check_imprecision, perturb
from maskvid.model import ROUGH, MaskInput, decays, merge_ranges, parameters_by_role
from maskvid.model.roles import Role
from maskvid.model.shard import gather, shard_frozen
from maskvid.pipeline import MaskVidPipeline
from maskvid.seeds import seeded
from maskvid.settings import Optim


class MaskVidModule(LightningModule):
    """Few-shot, mask-guided tuning of an inflated text-to-image U-Net (our interpretation of arXiv 2503.18386).

    Args:
        pipeline: What is tuned: its run says by which noise and loss, and only its steering is trained.
        optim: Optimiser settings; None where nothing is to be trained.
        set_names: Validation sets in the order of the data module's loaders.
        shard_backbone: Whether processes share the frozen U-Net's weights out, see `maskvid.model.shard`.

    Everything drawn is a function of the run's seed and the position, in validation of the seed and the clip.
    """

    def __init__(
        self,
        pipeline: MaskVidPipeline,
        *,
        optim: Optim | None = None,
        set_names: list[str] | None = None,
        shard_backbone: bool = False,
    ) -> None:
        super().__init__()
        run = pipeline.run
        if run.sampling.perturb is not None:
            check_imprecision(run.sampling.perturb, run.sampling.perturb_strength)
        self.strict_loading = False  # checkpoints leave the frozen backbone out
        self.pipeline, self.unet, self.backbone = pipeline, pipeline.inflated, pipeline.backbone
        self.schedule = DDPMScheduler.from_config(self.backbone.scheduler.config)
        self.method, self.seed, self.optim = run.method, run.seed, optim
        self.set_names = set_names or []
        self.rough = False
        self.shard_backbone = shard_backbone
        # DDP would send the first process's ranges to all in every step; `merge_ranges` does so when they are needed.
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def begin_rough(self) -> None:
        """From here on the encoders for rough masks are tuned, see `InflatedUNet.begin_rough`."""
        self.unet.begin_rough()
        self.rough = True

    def configure_model(self) -> None:
        """Share the frozen weights out where that is asked for, before DDP takes the trained ones."""
        if self.shard_backbone and self.trainer.world_size > 1:
            names = shard_frozen(self.unet.unet, self.trainer.strategy.root_device)
            self._ddp_params_and_buffers_to_ignore += [f"unet.unet.{name}" for name in names]
            self.shard_backbone = False  # Lightning asks again before it validates

    def on_validation_start(self) -> None:
        """Sample within the range that all processes have seen, and hold all weights meanwhile."""
        merge_ranges(self.unet)
        gather(self.unet.unet, whole=True)

    def on_validation_end(self) -> None:
        """Share them out again."""
        gather(self.unet.unet, whole=False)

    def setup(self, stage: str) -> None:
        """Move the frozen parts that are used, which Lightning does not know of, to this rank's device."""
        painting = self.pipeline.sampling.first_frame != "given"
        self.backbone.to(self.trainer.strategy.root_device, painting=painting)
        if self.method.noise.start == "inversion":
            self.pipeline.sources = self.trainer.datamodule.sources()  # type: ignore[attr-defined]

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        """Noise the frames that are not given clean, denoise all, score those that were noised."""
        assert batch.latents is not None
        assert batch.positions is not None
        latents = batch.latents
        # A function of the global position: n processes draw together what one draws with n times the batch.
        generators = [seeded(self.seed, "train", position) for position in batch.positions]
        shape, shared = (1, *latents.shape[1:]), self.method.noise
        noise = torch.cat(
            [shared_noise(shape, mode=shared.mode, alpha=shared.alpha, generator=g) for g in generators]
        ).to(latents)
        num_levels = self.schedule.config.num_train_timesteps
        timesteps = torch.cat([torch.randint(num_levels, (1,), generator=g) for g in generators]).to(latents.device)
        noisy = self.schedule.add_noise(latents, noise, timesteps)
        clean = self.unet.clean_frames
        noisy = torch.cat([latents[:, :clean], noisy[:, clean:]], 1)
        prediction = self.pipeline.predict(noisy, timesteps, self._forgetful(batch, generators))
        if self.schedule.config.prediction_type == "v_prediction":
            noise = self.schedule.get_velocity(latents, noise, timesteps)
        loss = first_frame_loss(
            prediction, noise, masks=batch.masks, foreground_weight=self.method.foreground_weight, clean_frames=clean
        )
        self.log("rough/loss" if self.rough else "train/loss", loss, prog_bar=True)
        return loss

    def _forgetful(self, batch: ClipBatch, generators: list[torch.Generator]) -> ClipBatch:
        """The batch with the masks of some windows unknown."""
        if self.method.mask_dropout == 0:
            return batch
        known = torch.cat([torch.rand(1, generator=g) >= self.method.mask_dropout for g in generators])
        kept = known.to(batch.masks.device).view(-1, 1, 1, 1, 1)
        return replace(batch, masks=torch.where(kept, batch.masks, UNKNOWN))

    def validation_step(  # type: ignore[override]  # callbacks, not Lightning, take what is returned
        self, batch: ClipBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[Sample]:
        """Sample the batch's prompts and masks; callbacks write and measure what is returned."""
        set_name = self.set_names[dataloader_idx] if self.set_names else "validation"
        first, samples = self.pipeline.seed, self.pipeline.sampling.samples
        return [one for seed in range(first, first + samples) for one in self._samples(batch, set_name, seed)]

    def _samples(self, batch: ClipBatch, set_name: str, seed: int) -> list[Sample]:
        pipeline = self.pipeline.asked(seed=seed)
        masks = batch.masks
        batch = self._perturbed(batch)
        assert batch.latents is not None
        first = batch.latents[:, 0]
        if pipeline.sampling.first_frame == "given":
            if batch.frames is not None:
                batch = pipeline.fitted(batch, batch.frames[:, 0])
        else:
            first = pipeline.paint_first_frame(batch.prompts, batch.masks[:, 0], batch.ids)
        videos = pipeline.generate(batch, first).cpu()
        return [
            Sample(
                set_name=set_name,
                clip_id=batch.ids[i],
                prompt=batch.prompts[i],
                frames=videos[i],
                masks=masks[i].cpu(),
                reference=None if batch.frames is None else batch.frames[i].cpu(),
                fps=pipeline.run.clips.fps,
                seed=seed,
            )
            for i in range(len(batch))
        ]

    def _perturbed(self, batch: ClipBatch) -> ClipBatch:
        """The batch as somebody asks for it who draws masks imprecisely."""
        kind, strength = self.pipeline.sampling.perturb, self.pipeline.sampling.perturb_strength
        if kind is None:
            return batch
        drawn = [
            perturb(masks.cpu(), kind, strength, np.random.default_rng(seeded("perturb", name).initial_seed()))
            for masks, name in zip(batch.masks, batch.ids, strict=True)
        ]
        return replace(batch, masks=torch.stack(drawn).to(batch.masks))

    def configure_optimizers(self) -> Any:
        """Rates and decay of the steering by what each layer says that it is, see `maskvid.model.roles`."""
        if not any(True for _ in self.unet.steering.parameters()):
            raise UserError("method: it has nothing to train; set method.trained=false.")
        assert self.optim is not None
        groups: list[dict[str, Any]] = []
        for role, parameters in parameters_by_role(self.unet.steering).items():
            learning_rate = self.optim.mask_learning_rate if role is Role.GUIDE else self.optim.learning_rate
            for decay in (True, False):
                chosen = [parameter for parameter in parameters if decays(role, parameter) is decay]
                weight_decay = self.optim.weight_decay if decay else 0.0
                if chosen:
                    groups.append({"params": chosen, "lr": learning_rate, "weight_decay": weight_decay})
        optimizer: torch.optim.Optimizer
        if self.optim.name == "muon":
            from maskvid.optimiser import StackedMuon  # its library is slow to load, and only tuning needs it

            optimizer = StackedMuon(groups)
        else:
            optimizer = torch.optim.AdamW(groups)
        total, warmup, decay_from = self.trainer.max_steps, self.optim.warmup_steps, self.optim.decay_from

        # of the step alone: PyTorch's chained schedules multiply, and a run continued beyond its end would stay at 0
        def rate(step: int) -> float:
            rising = min(1.0, (step + 1) / max(warmup, 1))
            falling = (total - step) / max(total * (1 - decay_from), 1) if total > 0 else 1.0
            return min(rising, 1.0, max(falling, 0.0))

        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, rate), "interval": "step"}}

    def on_train_start(self) -> None:
        """Take the rate of the step that comes: a checkpoint brings that of a run which ended there, which is 0."""
        schedule: Any = self.lr_schedulers()
        for group, base, factor in zip(
            schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = base * factor(schedule.last_epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the trained part alone: the backbone is frozen and has its own files, by which it is known.

        Every rank comes here.
        """
        merge_ranges(self.unet)  # in place: the state that Lightning has collected sees it
        checkpoint["state_dict"] = {
            name: value for name, value in checkpoint["state_dict"].items() if self._is_tuned(name)
        }
        checkpoint["mask_extremes"] = [layer.merged for layer in self._mask_inputs()]
        checkpoint["backbone"] = self.backbone.fingerprint
        checkpoint["settings"] = self._settings()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the extremes that all processes had seen, on the same backbone, wherever it lies now.

        Raises:
            UserError: Another backbone's checkpoint, another method's or an older version's; or a setting differs that
            the checkpoint brings with it.
        """
        if "settings" not in checkpoint:
            raise UserError("ckpt_path: the checkpoint is that of an older version of maskvid; begin a new run.")
        if checkpoint["backbone"] != self.backbone.fingerprint:
            raise UserError(
                f"ckpt_path: the run was tuned on other weights than those of backbone.path={self.backbone.path!r} "
                f"({checkpoint['backbone']}, here {self.backbone.fingerprint}); give those, or start a new run."
            )
        own = {name for name in self.state_dict() if self._is_tuned(name)}
        unlike = sorted(own ^ checkpoint["state_dict"].keys())
        if unlike:
            raise UserError(
                f"ckpt_path: the checkpoint is that of another method ({unlike[0]} and {len(unlike) - 1} more parts "
                "differ); give the method it was trained with, or start a new run."
            )
        # what checkpoints did not always say
        begun = {"method.mask_dropout": 0.0, "optim.name": "adamw"} | checkpoint["settings"]
        for name, value in self._settings().items():
            if begun.get(name) != value:
                raise UserError(
                    f"ckpt_path: the run was begun with {name}={begun.get(name)}, here it is {value}, "
                    "which would take no effect; give the former, or begin a new run from the old one's weights: "
                    "init_adapter=RUN instead of ckpt_path."
                )
        for layer, merged in zip(self._mask_inputs(), checkpoint["mask_extremes"], strict=True):
            layer.remember(merged)

    def _is_tuned(self, name: str) -> bool:
        """Whether an entry of the state is of what this stage tunes."""
        return name.startswith("unet.steering.") and name.startswith(f"unet.steering.{ROUGH}") is self.rough

    def _mask_inputs(self) -> list[MaskInput]:
        named = self.unet.steering.items()
        return [layer for name, layer in named if isinstance(layer, MaskInput) and name.startswith(ROUGH) is self.rough]

    def _settings(self) -> dict[str, Any]:
        """What a run that goes on must have been begun with, by its full key."""
        assert self.optim is not None
        return (
            {
                "seed": self.seed,
                "method.foreground_weight": self.method.foreground_weight,
                "method.mask_dropout": self.method.mask_dropout,
            }
            | {f"optim.{name}": value for name, value in asdict(self.optim).items()}
            | {f"method.noise.{name}": value for name, value in asdict(self.method.noise).items()}
        )
