"""Everything that is sampled from batches of clips: videos of any length, edits of a given clip, first frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from maskvid.adapters import Steered
from maskvid.clip import ClipBatch
from maskvid.diffusion import (
    drifting_start,
    edit_region,
    invert_video,
    keep_outside,
    long_video,
    paste_outside,
    sample_video,
    shared_noise,
    shared_part,
)
from maskvid.diffusion.scheduler import SAMPLERS, make_scheduler
from maskvid.errors import UserError
from maskvid.model.control import Control
from maskvid.model.registration import recomposed
from maskvid.seeds import seeded
from maskvid.settings import ROUGHNESS

UNLED = 0.7
"""Share of its say that a ControlNet loses to a box: one that is led by it wholly paints a box of fur.

Of twelve animals painted in boxes by the miniature, the box of what was found and the box asked for overlap by .58,
.83, .87 and .94 where it keeps .2, .3, .4 and all of its say, and text alignment is 84, 80, 75 and 34.
"""
AfterStep = Callable[[int, torch.Tensor], torch.Tensor]
START_STEPS = 50
"""Of the inversions that Tune-A-Video and Text2Video-Zero start from, as theirs; a sampler may take far fewer."""


class Sampled(Steered):
    """What `MaskVidPipeline` makes of batches of clips; whatever is drawn is a function of seed and clip."""

    def predict(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        batch: ClipBatch,
        *,
        clean_frames: int | None = None,
        control: Control | None = None,
    ) -> torch.Tensor:
        """The U-Net's prediction (b, f, c, h, w) at timesteps (b,) for a batch's text, subject and masks."""
        masks = batch.masks if self.inflated.sees_masks else None
        return self.inflated(
            latents,
            timesteps,
            batch.text,
            masks=masks,
            subject=batch.subject,
            pooled=batch.pooled,
            clean_frames=clean_frames,
            control=control,
            roughness=None if masks is None else batch.roughness,
            objects=None if masks is None else batch.objects,
            subjects=batch.subjects,
        )

    def generate(self, batch: ClipBatch, first_frame: torch.Tensor) -> torch.Tensor:
        """Sample videos for prompts and masks, all frames together: frames (b, f, 3, H, W), see `latents`."""
        return self.decode(self.latents(batch, first_frame))

    @torch.no_grad()
    def latents(
        self,
        batch: ClipBatch,
        first_frame: torch.Tensor,
        *,
        noise: torch.Tensor | None = None,
        after_step: AfterStep | None = None,
    ) -> torch.Tensor:
        """Sample videos for prompts and masks, all frames together.

        Args:
            batch: Text, subject and masks; latents and frames are not looked at.
            first_frame: (b, c, h, w), clean scaled latents.
            noise: (b, f, c, h, w) of unit variance to start from; None draws it, see `start`.
            after_step: See `sample_video`.

        Returns:
            Scaled latents (b, f, c, h, w), on the model's device.
        """
        clean = first_frame.unsqueeze(1)[:, : self.inflated.clean_frames]
        noise = self.start(batch, first_frame) if noise is None else noise
        return self._sample(batch, clean, noise, after_step=after_step)

    @torch.no_grad()
    def stream(
        self,
        batch: ClipBatch,
        first_frame: torch.Tensor,
        *,
        carry: int = 1,
        after_step: AfterStep | None = None,
    ) -> Iterator[torch.Tensor]:
        """Sample videos of any length, a window of the run's length after the other, see `long_video`.

        What frames share of the noise is drawn once for a video, else its background would jump at every seam.

        Args:
            batch: Text, subject and the masks of all frames.
            first_frame: (b, c, h, w), clean scaled latents.
            carry: Latents carried from segment to segment.
            after_step: See `sample_video`; its steps are each segment's.

        Yields:
            New frames (b, n, 3, H, W) in [-1, 1]; the first piece begins with the first frame.

        Raises:
            UserError: See `check_length`.
        """
        num_frames, window = batch.masks.shape[1], self.run.clips.num_frames
        self.check_length(num_frames, carry=carry)

        def sample_segment(clean: torch.Tensor, indices: list[int]) -> torch.Tensor:
            part = batch.at(indices)
            is_first = clean.shape[1] == 1
            place = () if is_first else (indices[-1],)
            noise = self.start(part, first_frame, *place, shared=shared)
            known = clean[:, : self.inflated.clean_frames] if is_first else clean
            return self._sample(part, known, noise, *place, after_step=after_step)

        shared = self._shared(batch.at(slice(window)), first_frame)
        for latents in long_video(sample_segment, first_frame, num_frames=num_frames, window=window, carry=carry):
            yield self.decode(latents)

    def check_length(self, num_frames: int, *, carry: int = 1) -> None:
        """Refuse videos of a length that the method cannot make, before any work.

        Args:
            num_frames: Frames of the video.
            carry: Latents carried from segment to segment.

        Raises:
            UserError: There is no clean first frame to go on from, no room in the window for a new one, or sampling
                starts from a training clip of another length.
        """
        window = self.run.clips.num_frames
        if self.noise.start == "inversion" and num_frames != window:
            raise UserError(
                f"num_frames={num_frames}: with method.noise.start=inversion a video has as many frames as the "
                f"training windows, {window}."
            )
        if num_frames > window and self.inflated.clean_frames == 0:
            raise UserError(
                f"num_frames={num_frames}: a method with method.unet.first_frame=denoised samples at most the {window} "
                "frames of its training windows."
            )
        if num_frames > window and window < carry + 2:
            raise UserError(
                f"num_frames={num_frames}: the run's windows of {window} frames leave no room for a new one beside "
                f"the first and {carry} carried; ask for at most {window}, or tune with longer windows "
                f"(data.num_frames={carry + 2})."
            )

    @torch.no_grad()
    def edit_clips(self, source: ClipBatch, target: ClipBatch, *, keep_background: bool) -> torch.Tensor:
        """Edit clips: their inverted noise is denoised again with another prompt.

        The first frame is edited first, by the 2-D model, led by its mask where there is a ControlNet; the others
        follow it. Our interpretation: the paper edits, but does not say how; this is DDIM inversion with latent
        blending.

        Args:
            source: Latents, masks and the prompts that describe them; with its frames what is kept are its own pixels,
                otherwise what the VAE makes of them.
            target: The same clips with the prompts wanted.
            keep_background: Whether everything outside the masks stays the source's.

        Returns:
            Frames (b, f, 3, H, W) in [-1, 1].
        """
        assert source.latents is not None
        latents, steps = source.latents, self.sampling.num_inference_steps
        schedule = self.backbone.scheduler.config
        region = edit_region(target.masks, (latents.shape[-2], latents.shape[-1]))
        edited: torch.Tensor | None = None
        for part in (latents[:, :1], latents) if self.inflated.clean_frames else (latents,):
            f = part.shape[1]
            clean_frames = self.inflated.clean_frames if f > 1 else 0
            given, wanted = (batch.at(slice(f)) for batch in (source, target))
            led = f == 1 and self.inflated.sees_masks and self.backbone.controlled is not None
            control = self.backbone.control(target.masks[:, 0]) if led else None
            path = invert_video(
                self._denoiser(given, clean_frames, control),
                schedule,
                part,
                clean_frames=clean_frames,
                num_inference_steps=steps,
            )
            clean = part[:, :0] if edited is None else edited[:, :clean_frames]
            edited = self._sample(
                wanted,
                clean,
                path[-1],
                control=control,
                scheduler=make_scheduler("DDIMScheduler", schedule=schedule),
                after_step=keep_outside(region[:, :f], path) if keep_background else None,
            )
        assert edited is not None
        frames = self.decode(edited)
        if not keep_background or source.frames is None:
            return frames
        return paste_outside(frames, source.frames.to(frames), region.to(frames))

    def first_frame(self, batch: ClipBatch) -> torch.Tensor:
        """First frames (b, c, h, w) of videos that were given none: painted where the method looks at them."""
        b, (height, width), factor = len(batch), batch.masks.shape[-2:], self.inflated.vae_scale_factor
        if self.inflated.clean_frames == 0 and self.noise.start != "drift":
            channels = self.unet.config.in_channels
            return torch.zeros(b, channels, height // factor, width // factor, device=batch.masks.device)
        return self.paint_first_frame(batch.prompts, batch.masks[:, 0], batch.ids)

    def paint_first_frame(self, prompts: list[str], masks: torch.Tensor, names: list[str]) -> torch.Tensor:
        """First frames by the untouched 2-D U-Net, where the method wants it led by a ControlNet, a seed for each name.

        Args:
            prompts: b prompts.
            masks: (b, 1, H, W), the first masks; they give the size even where nothing is led by them.
            names: b names of clips.

        Returns:
            Scaled latents (b, c, h, w).

        Raises:
            UserError: The backbone's own scheduler, which paints, is none whose noise a seed decides.
        """
        own = type(self.backbone.scheduler).__name__
        if own not in SAMPLERS:
            raise UserError(
                f"backbone.path={self.backbone.path!r}: its scheduler, {own}, cannot paint one picture for one seed; "
                "give first_frame=PICTURE, or name another in its scheduler/scheduler_config.json: "
                f"{', '.join(SAMPLERS)}."
            )
        height, width = masks.shape[-2:]
        with self.inflated.plain():
            return self.backbone.paint(
                prompts,
                (height, width),
                generators=[seeded(self.seed, "first frame", name) for name in names],
                guidance_scale=self.sampling.first_frame_guidance_scale,
                masks=masks if self._led else None,
                mask_weight=1 - UNLED * (ROUGHNESS[self.sampling.mask_precision] or 0),
            )

    @property
    def _led(self) -> bool:
        """Whether painted first frames are led by their mask: as asked, else where there is a ControlNet.

        `given` is what validation clips have; where a painted one is asked for all the same, there was no picture.
        """
        return self.sampling.first_frame == "controlnet" or (
            self.sampling.first_frame == "given" and self.backbone.controlled is not None
        )

    def _sample(
        self,
        batch: ClipBatch,
        clean: torch.Tensor,
        noise: torch.Tensor,
        *place: int,
        scheduler: Any = None,
        control: Control | None = None,
        **options: Any,
    ) -> torch.Tensor:
        with self.inflated.guide.remembering():
            return sample_video(
                self._denoiser(batch, clean.shape[1], control),
                self.scheduler if scheduler is None else scheduler,
                clean=clean,
                noise=noise,
                num_inference_steps=self.sampling.num_inference_steps,
                guidance_scale=self.sampling.guidance_scale,
                mask_scale=self.sampling.mask_scale if self.inflated.sees_masks else 1.0,
                generators=[seeded(self.seed, "step", name, *place) for name in batch.ids],
                adain_fraction=self.sampling.adain_fraction if clean.shape[1] else 0.0,  # else no frame is a given one
                masks=batch.masks if self.inflated.sees_masks else None,
                **options,
            )

    def _denoiser(self, batch: ClipBatch, clean_frames: int | None = None, control: Control | None = None) -> Any:
        if (roughness := ROUGHNESS[self.sampling.mask_precision]) is not None:
            batch = replace(batch, roughness=torch.full((len(batch),), roughness, device=batch.masks.device))
        empty = cache(lambda: self._without_prompt(batch))
        maskless = batch.unknown()

        def denoise(
            latents: torch.Tensor, timestep: torch.Tensor, *, unconditional: bool = False, unknown: bool = False
        ) -> torch.Tensor:
            levels = timestep.to(latents.device).expand(len(latents))
            asked = empty() if unconditional else maskless if unknown else batch
            return self.predict(latents, levels, asked, clean_frames=clean_frames, control=control)

        return denoise

    def start(
        self, batch: ClipBatch, first_frame: torch.Tensor, *place: int, shared: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The noise (b, f, c, h, w) that sampling starts from, a function of seed, clip and place in the video."""
        f = batch.masks.shape[1]
        generators = self._generators(batch, *place)
        schedule = self.backbone.scheduler.config
        if self.noise.start == "drift":
            denoise = self._denoiser(batch)
            return drifting_start(
                denoise, schedule, first_frame, num_frames=f, num_inference_steps=START_STEPS, generators=generators
            )
        if self.noise.start == "inversion":
            # Drawn without the place: all segments of a video start from one clip.
            source = self._source_latents(self._generators(batch), f).to(first_frame)
            denoise = self._denoiser(self._without_prompt(batch))
            clean = self.inflated.clean_frames
            path = invert_video(
                denoise, schedule, source, clean_frames=clean, num_inference_steps=START_STEPS, evaluations=1
            )
            return path[-1]
        alpha = self.noise.alpha if self.noise.sampling_alpha is None else self.noise.sampling_alpha
        shape = (1, f, *first_frame.shape[1:])
        if shared is None:
            shared = self._shared(batch, first_frame)
        draws = [
            shared_noise(shape, mode=self._mode, alpha=alpha, generator=g, shared=part.unsqueeze(0))
            for g, part in zip(generators, shared, strict=True)
        ]
        noise = torch.cat(draws).to(first_frame)
        if self.noise.brought and self.inflated.clean_frames and f > 1:
            rough = ROUGHNESS[self.sampling.mask_precision] is not None
            brought = recomposed(first_frame, batch.outlines.to(first_frame), rough=rough)
            # as the masks are taken less, so is what was brought to them
            noise[:, 1:] += self.noise.brought * min(self.sampling.mask_scale, 1.0) * brought
        return noise

    def _shared(self, batch: ClipBatch, first_frame: torch.Tensor) -> torch.Tensor:
        """What the frames of a whole video share, (b, 1, c, h, w): its first segment, the batch's masks, draws it."""
        shape = (1, batch.masks.shape[1], *first_frame.shape[1:])
        return torch.cat([shared_part(shape, mode=self._mode, generator=g) for g in self._generators(batch)])

    @property
    def _mode(self) -> str:
        return self.noise.sampling_mode or self.noise.mode

    def _generators(self, batch: ClipBatch, *place: int) -> list[torch.Generator]:
        """One for each clip, that a video may not depend on its neighbours in the batch."""
        return [seeded(self.seed, "sample", name, *place) for name in batch.ids]

    def _source_latents(self, generators: list[torch.Generator], num_frames: int) -> torch.Tensor:
        """For each clip the latents (b, f, c, h, w) of a training clip, drawn at random."""
        if self.sources is None or self.sources.latents is None:
            raise UserError("method.noise.start=inversion: the training clips are missing; give data.train.")
        latents = self.sources.latents
        return torch.cat([latents[torch.randint(len(latents), (1,), generator=g)] for g in generators])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (b, f, c, h, w) -> frames (b, f, 3, H, W) in [-1, 1], float32."""
        return torch.stack([self.backbone.decode_latents(clip) for clip in latents])

    def _without_prompt(self, batch: ClipBatch) -> ClipBatch:
        """The same clips with the negative prompt; masks stay, so that guidance strengthens the text alone."""
        text, subject, pooled = self.backbone.no_prompt if self.negative is None else self.negative
        if pooled is not None and batch.pooled is not None:
            pooled = pooled.to(batch.pooled).expand_as(batch.pooled)
        return replace(
            batch,
            text=text.to(batch.text).expand_as(batch.text),
            subject=subject.to(batch.subject).expand_as(batch.subject),
            # no words are one subject's rather than another's
            subjects=None if batch.subjects is None else torch.ones_like(batch.subjects),
            prompts=[""] * len(batch),
            pooled=pooled,
            latents=None,
            frames=None,
        )
