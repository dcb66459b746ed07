"""The whole method on one page: what is trained, on which loss, with which noise, and how a video is sampled."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers import DDPMScheduler, SchedulerMixin
from lightning.pytorch import LightningModule
from torch.optim.lr_scheduler import LambdaLR

from maskvid.clip import ClipBatch
from maskvid.diffusion import Denoise, drifting_start, first_frame_loss, invert_video, sample_video, shared_noise
from maskvid.errors import UserError
from maskvid.model import Backbone, InflatedUNet
from maskvid.seeds import seeded
from maskvid.settings import Noise, Optim, Sampling
from maskvid.video import Sample


class MaskVidModule(LightningModule):
    """Few-shot, mask-guided tuning of an inflated text-to-image U-Net (our interpretation of arXiv 2503.18386).

    Args:
        unet: The inflated U-Net; only its `steering` is trained.
        backbone: Frozen VAE, text encoder and noise schedule.
        scheduler: diffusers scheduler that samples, with the backbone's schedule.
        noise: Where the noise of the frames comes from.
        optim: Optimiser settings.
        sampling: Sampling settings.
        foreground_weight: See `first_frame_loss`.
        use_masks: False trains and samples without any mask path (the mask is still used to measure).
        set_names: Validation sets in the order of the data module's loaders.
        seed: Everything drawn is a function of this, the rank, the step and the clip.
    """

    def __init__(
        self,
        *,
        unet: InflatedUNet,
        backbone: Backbone,
        scheduler: SchedulerMixin,
        noise: Noise,
        optim: Optim,
        sampling: Sampling,
        foreground_weight: float = 0.0,
        use_masks: bool = True,
        set_names: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.strict_loading = False  # checkpoints leave the frozen backbone out
        self.unet = unet
        self.backbone = backbone
        self.scheduler = scheduler
        self.schedule = DDPMScheduler.from_config(backbone.scheduler.config)
        self.noise, self.optim, self.sampling = noise, optim, sampling
        self.foreground_weight = foreground_weight
        self.use_masks = use_masks
        self.set_names = set_names or []
        self.seed = seed
        self.sources: ClipBatch | None = None
        self.empty_text: torch.Tensor | None = None
        self.empty_pooled: torch.Tensor | None = None

    def setup(self, stage: str) -> None:
        """Move the frozen parts, which Lightning does not know of, to this rank's device."""
        self.backbone.to(self.trainer.strategy.root_device)
        if self.noise.start == "inversion":
            self.sources = self.trainer.datamodule.sources()  # type: ignore[attr-defined]

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        """Noise the frames that are not given clean, denoise all, score those that were noised."""
        assert batch.latents is not None
        micro_batch = batch_idx % self.trainer.accumulate_grad_batches
        generator = seeded(self.seed, "train", self.global_rank, self.global_step, micro_batch)
        latents = batch.latents
        noise = shared_noise(latents.shape, mode=self.noise.mode, alpha=self.noise.alpha, generator=generator)
        noise = noise.to(latents)
        num_levels = self.schedule.config.num_train_timesteps
        timesteps = torch.randint(num_levels, (len(batch),), generator=generator).to(latents.device)
        noisy = self.schedule.add_noise(latents, noise, timesteps)
        clean = self.unet.clean_frames
        noisy = torch.cat([latents[:, :clean], noisy[:, clean:]], 1)
        prediction = self.denoise(noisy, timesteps, batch)
        if self.schedule.config.prediction_type == "v_prediction":
            noise = self.schedule.get_velocity(latents, noise, timesteps)
        loss = first_frame_loss(
            prediction, noise, masks=batch.masks, foreground_weight=self.foreground_weight, clean_frames=clean
        )
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def denoise(self, latents: torch.Tensor, timesteps: torch.Tensor, batch: ClipBatch) -> torch.Tensor:
        """The U-Net's prediction (b, f, c, h, w) for a batch's text, subject and masks."""
        masks = batch.masks if self.use_masks else None
        return self.unet(latents, timesteps, batch.text, masks=masks, subject=batch.subject, pooled=batch.pooled)

    @torch.no_grad()
    def generate(self, batch: ClipBatch, first_frame: torch.Tensor) -> torch.Tensor:
        """Sample videos for prompts and masks.

        Args:
            batch: Text, subject and masks; latents and frames are not looked at.
            first_frame: (b, c, h, w), clean scaled latents.

        Returns:
            Frames (b, f, 3, H, W) in [-1, 1], float32, on the module's device.
        """
        empty = self._without_prompt(batch)

        def denoise(latents: torch.Tensor, timestep: torch.Tensor, *, unconditional: bool = False) -> torch.Tensor:
            levels = timestep.to(latents.device).expand(len(latents))
            return self.denoise(latents, levels, empty if unconditional else batch)

        latents = sample_video(
            denoise,
            self.scheduler,
            clean=first_frame.unsqueeze(1)[:, : self.unet.clean_frames],
            noise=self._start(denoise, batch, first_frame),
            num_inference_steps=self.sampling.num_inference_steps,
            guidance_scale=self.sampling.guidance_scale,
            adain_fraction=self.sampling.adain_fraction,
        )
        return torch.stack([self.backbone.decode_latents(clip) for clip in latents])

    def _start(self, denoise: Denoise, batch: ClipBatch, first_frame: torch.Tensor) -> torch.Tensor:
        """The noise (b, f, c, h, w) that sampling starts from, a function of seed and clip."""
        f = batch.masks.shape[1]
        # One generator for each clip: a video does not depend on its neighbours in the batch.
        generators = [seeded(self.seed, "sample", name) for name in batch.ids]
        steps, schedule = self.sampling.num_inference_steps, self.backbone.scheduler.config
        if self.noise.start == "drift":
            return drifting_start(
                denoise, schedule, first_frame, num_frames=f, num_inference_steps=steps, generators=generators
            )
        if self.noise.start == "inversion":
            source = self._sources(generators, f).to(first_frame)
            clean = self.unet.clean_frames
            promptless = partial(denoise, unconditional=True)
            return invert_video(promptless, schedule, source, clean_frames=clean, num_inference_steps=steps)[-1]
        mode = self.noise.sampling_mode or self.noise.mode
        shape = (1, f, *first_frame.shape[1:])
        draws = [shared_noise(shape, mode=mode, alpha=self.noise.alpha, generator=g) for g in generators]
        return torch.cat(draws).to(first_frame)

    def _sources(self, generators: list[torch.Generator], num_frames: int) -> torch.Tensor:
        """For each clip the latents (b, f, c, h, w) of a training clip, drawn at random."""
        if self.sources is None or self.sources.latents is None:
            raise UserError("method.noise.start=inversion: the training clips are missing; give data.train.")
        latents = self.sources.latents
        if latents.shape[1] != num_frames:
            raise UserError(
                f"num_frames={num_frames}: with method.noise.start=inversion a video has as many frames as the "
                f"training windows, {latents.shape[1]}."
            )
        return torch.cat([latents[torch.randint(len(latents), (1,), generator=g)] for g in generators])

    def paint_first_frame(self, prompts: list[str], size: tuple[int, int], names: list[str]) -> torch.Tensor:
        """First frames (b, c, h, w) by plain text-to-image with the untouched 2-D U-Net, a seed for each name."""
        with self.unet.plain():
            return self.backbone.paint(
                prompts,
                size,
                generators=[seeded(self.seed, "first frame", name) for name in names],
                guidance_scale=self.sampling.first_frame_guidance_scale,
            )

    def validation_step(  # type: ignore[override]  # callbacks, not Lightning, take what is returned
        self, batch: ClipBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[Sample]:
        """Sample the batch's prompts and masks; callbacks write and measure what is returned."""
        assert batch.latents is not None
        first = batch.latents[:, 0]
        if self.sampling.first_frame == "text_to_image":
            height, width = batch.masks.shape[-2:]
            first = self.paint_first_frame(batch.prompts, (height, width), batch.ids)
        videos = self.generate(batch, first).cpu()
        set_name = self.set_names[dataloader_idx] if self.set_names else "validation"
        return [
            Sample(
                set_name=set_name,
                clip_id=batch.ids[i],
                prompt=batch.prompts[i],
                frames=videos[i],
                masks=batch.masks[i].cpu(),
                reference=None if batch.frames is None else batch.frames[i].cpu(),
                fps=self.sampling.fps,
            )
            for i in range(len(batch))
        ]

    def configure_optimizers(self) -> Any:
        """AdamW over the steering; what the mask feeds learns faster than what the motion does."""
        if not any(True for _ in self.unet.steering.parameters()):
            raise UserError("method: it has nothing to train; set method.trained=false.")
        groups: dict[bool, list[torch.nn.Parameter]] = {False: [], True: []}
        for name, parameter in self.unet.steering.named_parameters():
            is_guide = name.startswith(("mask_input", "first_frame_input")) or name.endswith(("strength", "gate"))
            groups[is_guide].append(parameter)
        rates = {False: self.optim.learning_rate, True: self.optim.mask_learning_rate}
        optimizer = torch.optim.AdamW(
            [{"params": parameters, "lr": rates[kind]} for kind, parameters in groups.items() if parameters],
            weight_decay=self.optim.weight_decay,
        )
        total, warmup, decay_from = self.trainer.max_steps, self.optim.warmup_steps, self.optim.decay_from

        def rate(step: int) -> float:
            rising = min(1.0, (step + 1) / max(warmup, 1))
            falling = (total - step) / max(total * (1 - decay_from), 1) if total > 0 else 1.0
            return min(rising, 1.0, max(falling, 0.0))

        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, rate), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the trained part alone: the backbone is frozen and has its own files."""
        checkpoint["state_dict"] = {
            name: value for name, value in checkpoint["state_dict"].items() if name.startswith("unet.steering.")
        }

    def _without_prompt(self, batch: ClipBatch) -> ClipBatch:
        """The same clips with the empty prompt; masks stay, so that guidance strengthens the text alone."""
        if self.empty_text is None:
            self.empty_text, _, self.empty_pooled = self.backbone.encode_text([""], [None])
        text = self.empty_text.to(batch.text).expand_as(batch.text)
        pooled = None
        if self.empty_pooled is not None and batch.pooled is not None:
            pooled = self.empty_pooled.to(batch.pooled).expand_as(batch.pooled)
        return ClipBatch(
            ids=batch.ids,
            masks=batch.masks,
            text=text,
            subject=torch.zeros_like(batch.subject),
            latents=None,
            frames=None,
            prompts=[""] * len(batch),
            pooled=pooled,
        )
