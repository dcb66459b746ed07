"""The pipeline: prompt and masks in, video out; a `DiffusionPipeline` of diffusers whose U-Net an adapter steers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.video_processor import VideoProcessor
from PIL import Image

from maskvid.asked import Asked
from maskvid.clip import ClipBatch, layered
from maskvid.diffusion.long_video import segments
from maskvid.errors import UserError
from maskvid.inputs import Callback, Interrupted, Steps, drawn_name, picture_given
from maskvid.model import Embedded
from maskvid.prompt import SUBJECTS, parse_prompt
from maskvid.tuned import arithmetic

OUTPUTS = ("pil", "np", "pt", "latent")


@dataclass
class MaskVidPipelineOutput(BaseOutput):
    """What a call returns.

    Attributes:
        frames: One entry for each video: a list of PIL pictures, or stacked arrays or tensors (b, f, ...).
    """

    frames: Any


class MaskVidPipeline(Asked, DiffusionPipeline):
    """Video from a prompt and masks, by a Stable-Diffusion-class backbone and an adapter that learnt a motion.

    Without an adapter the U-Net is the plain 2-D one, and nothing can be sampled; `load_adapter` steers it, and
    `unload_adapter` gives it back as it was.

    Args:
        vae: `AutoencoderKL`.
        text_encoder: CLIP's.
        tokenizer: Its tokenizer.
        unet: `UNet2DConditionModel`, 2-D.
        scheduler: The noise schedule that the U-Net was trained on; with an adapter its sampler takes the place.
        safety_checker: Looks at painted first frames.
        feature_extractor: For the safety checker.
        image_encoder: Not used; pipelines of diffusers bring one.
        text_encoder_2: SDXL's second.
        tokenizer_2: Its tokenizer.

    Examples:
        >>> import torch
        >>> from maskvid import MaskVidPipeline
        >>> pipe = MaskVidPipeline.from_pretrained(run)
        >>> generator = torch.Generator().manual_seed(1)
        >>> video = pipe("[a fox] runs", masks=masks, num_frames=3, generator=generator).frames[0]
        >>> len(video), video[0].size
        (3, (48, 32))
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->unet->vae"
    _optional_components = [  # noqa: RUF012 - as diffusers declares it
        "safety_checker", "feature_extractor", "image_encoder", "text_encoder_2", "tokenizer_2",
    ]  # fmt: skip
    _callback_tensor_inputs = ["latents"]  # noqa: RUF012

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any = None,
        feature_extractor: Any = None,
        image_encoder: Any = None,
        text_encoder_2: Any = None,
        tokenizer_2: Any = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
            safety_checker=safety_checker, feature_extractor=feature_extractor, image_encoder=image_encoder,
            text_encoder_2=text_encoder_2, tokenizer_2=tokenizer_2,
        )  # fmt: skip
        self._hold(None)
        self._interrupt = False
        self.video_processor = VideoProcessor(vae_scale_factor=1)

    def to(self, *args: Any, **kwargs: Any) -> MaskVidPipeline:
        """Move everything; the adapter stays float32 whatever the type asked for."""
        super().to(*args, **kwargs)
        self._follow()
        return self

    def enable_model_cpu_offload(self, *args: Any, **kwargs: Any) -> None:
        """As diffusers': each part is on the device while it computes; the adapter, which is small, stays there."""
        super().enable_model_cpu_offload(*args, **kwargs)
        self._follow()

    @property
    def interrupt(self) -> bool:
        """Whether a callback has asked to stop: steps that are left are not made."""
        return self._interrupt

    def encode_prompt(self, prompt: str) -> Embedded:
        """Embed a prompt and mark its subject's tokens.

        Args:
            prompt: The words in [brackets] name the foreground; without them the whole prompt does. Of several subjects
                all are marked.

        Returns:
            Hidden states (1, n, d), subject marks (1, n), and the pooled embedding (1, p) of SDXL, else None.
        """
        return self.backbone.encode_text([parse_prompt(prompt, most=SUBJECTS)])

    def clip(
        self, prompt: str | None, masks: torch.Tensor, *, name: str | None = None, embedded: Embedded | None = None,
        place: str = "prompt",
    ) -> ClipBatch:  # fmt: skip
        """One clip asked for, on the device where everything is.

        Args:
            prompt: The words in [brackets] name the foreground, or each of several subjects.
            masks: (f, k, H, W) in [0, 1]: one, or one for each subject, of which later ones stand in front.
            name: With the seed it decides all that is drawn; None takes the prompt's text, so that a prompt gives one
                video, whatever stands beside it in a list.
            embedded: In place of the prompt, see `encode_prompt`.
            place: The prompt's argument, for messages.

        Raises:
            UserError: The prompt marks several subjects, and there is not a mask for each.
        """
        asked = None if prompt is None else parse_prompt(prompt, name=place, most=SUBJECTS)
        several = 0 if asked is None or len(asked.subjects) < 2 else len(asked.subjects)
        if several and several != masks.shape[1]:
            raise UserError(
                f"{place}={prompt!r} marks {several} subjects, and the masks are of {masks.shape[1]}; give a mask for "
                "each, in the prompt's order, or mark one subject."
            )
        text, subject, pooled = embedded if asked is None else self.backbone.encode_text([asked])  # type: ignore[misc]
        words = "" if asked is None else asked.text
        return ClipBatch(
            ids=[words if name is None else name], masks=masks.amax(1, keepdim=True).unsqueeze(0), text=text,
            subject=subject, latents=None, frames=None, prompts=[words], pooled=pooled,
            objects=layered(masks).unsqueeze(0) if several else None,
            subjects=self.backbone.subjects(asked).unsqueeze(0) if asked and several else None,
        ).to(self._execution_device)  # fmt: skip

    def prepare_latents(self, batch: ClipBatch, first_frame: torch.Tensor) -> torch.Tensor:
        """The noise (b, f, c, h, w) that sampling starts from; what its frames share is the method's."""
        return self.start(batch, first_frame)

    def check_inputs(
        self, prompt: Any, masks: Any, height: int, width: int, num_frames: int, *,
        prompt_embeds: Any = None, latents: Any = None, output_type: str = "pil", generator: Any = None,
        num_videos: int = 1, tensor_inputs: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Refuse what cannot be made, before any work.

        Raises:
            UserError: Names the argument, its value and the remedy.
        """
        if (prompt is None) == (prompt_embeds is None):
            raise UserError("prompt: give it, or prompt_embeds in its place.")
        if prompt is not None and not (isinstance(prompt, str) and prompt.strip()):
            raise UserError(f"prompt={prompt!r}: give a text.")
        if masks is None:
            raise UserError("masks=None: give a path, pictures or an array; white is foreground.")
        if output_type not in OUTPUTS:
            raise UserError(f"output_type={output_type!r}: choose one of {', '.join(OUTPUTS)}.")
        if num_videos < 1 or (isinstance(generator, list) and len(generator) != num_videos):
            raise UserError(f"generator: give one, or a list of {num_videos}, one for each video.")
        if unknown := [name for name in tensor_inputs if name not in self._callback_tensor_inputs]:
            raise UserError(f"callback_on_step_end_tensor_inputs: {unknown[0]!r} is none of latents.")
        self.backbone.check_clip(height, width, num_frames, clean_frames=self.inflated.clean_frames)
        self.check_length(num_frames)
        window = self.run.clips.num_frames
        if num_frames > window and (latents is not None or output_type == "latent"):
            raise UserError(
                f"num_frames={num_frames}: latents are given and returned of at most {window} frames, the run's window."
            )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        masks: Any = None,
        image: Any = None,
        negative_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        mask_scale: float | None = None,
        mask_precision: str | None = None,
        num_videos_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: Embedded | None = None,
        negative_prompt_embeds: Embedded | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> MaskVidPipelineOutput | tuple[Any]:
        """Make videos; more frames than the run's windows have are made segment after segment.

        Args:
            prompt: One, or a list; the words in [brackets] name the foreground. Several subjects, each in brackets of
                its own, have a mask each.
            masks: Where the foreground is, white: a path as the programs take it, a list of PIL pictures, an array or a
                tensor, see `maskvid.masks.given.masks_given`. Of several subjects a path of numbered objects, a list of
                a path for each, or (f, k, h, w), in the prompt's order.
            image: The first frame: a path, a PIL picture, an array (h, w, 3) or a tensor (3, h, w) in [0, 1], to which
                rough masks are fitted where `find` is set. None paints one from the prompt, led by the first mask where
                there is a ControlNet.
            negative_prompt: What guidance leads away from.
            height: Rows; None takes the run's.
            width: Columns; None takes the run's.
            num_frames: None takes the run's, or as many as there are masks in memory.
            num_inference_steps: None takes the run's.
            guidance_scale: Of the text; 1 is off, None takes the run's.
            mask_scale: Of the masks; below 1 the foreground is freer, above it keeps to them more closely.
            mask_precision: How far they are to be believed, see `maskvid.settings.Sampling`; None looks at them, and
                says what it takes where that is not `exact`.
            num_videos_per_prompt: Each has its own draws.
            generator: One for all, or one for each video; None draws anew each time.
            latents: (1, f, c, h, w) of unit variance to start from, see `prepare_latents`.
            prompt_embeds: In place of a prompt, see `encode_prompt`.
            negative_prompt_embeds: Likewise.
            output_type: `pil`, `np` (b, f, H, W, 3) and `pt` (b, f, 3, H, W) in [0, 1], or `latent` (b, f, c, h, w).
            return_dict: False returns a tuple.
            callback_on_step_end: Called as (pipeline, step, timestep, {"latents": ...}) behind each step; `latents` in
                what it returns are gone on with. Where it sets `pipeline._interrupt`, what there is is returned.
            callback_on_step_end_tensor_inputs: `latents`, or nothing.

        Raises:
            UserError: See `check_inputs`.
        """
        prompts: list[Any] = prompt if isinstance(prompt, list) else [prompt]
        height, width, num_frames = self._size(masks, height, width, num_frames)
        for one in prompts:
            self.check_inputs(
                one, masks, height, width, num_frames, prompt_embeds=prompt_embeds, latents=latents,
                output_type=output_type, generator=generator, num_videos=len(prompts) * num_videos_per_prompt,
                tensor_inputs=callback_on_step_end_tensor_inputs,
            )  # fmt: skip
        negative = negative_prompt_embeds or (None if negative_prompt is None else self.encode_prompt(negative_prompt))
        asked = self.asked(
            num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, mask_scale=mask_scale,
            mask_precision=mask_precision, negative=negative,
        )  # fmt: skip
        asked, given = asked._believing(masks, prompts, height, width, num_frames, mask_precision)
        total = sum(1 for _ in segments(num_frames, self.run.clips.num_frames, 1)) * asked.sampling.num_inference_steps
        self._interrupt, videos = False, []
        for index in range(len(prompts) * num_videos_per_prompt):
            draws = generator[index] if isinstance(generator, list) else generator
            batch = self.clip(
                prompts[index // num_videos_per_prompt], given, embedded=prompt_embeds, name=drawn_name(draws)
            )
            if image is not None:
                batch = asked.fitted(batch, picture_given(image, (height, width)))
            with self.arithmetic(), self.progress_bar(total=total) as bar:
                first = asked._first_frame(batch, image, (height, width))
                step = Steps(self, bar, callback_on_step_end, callback_on_step_end_tensor_inputs)
                videos.append(asked._video(batch, first, latents, step, decoded=output_type != "latent"))
            if self._interrupt:
                break
        self.maybe_free_model_hooks()
        frames: Any = torch.cat(videos)
        if output_type != "latent":
            frames = self.video_processor.postprocess_video(frames.transpose(1, 2), output_type)
        return MaskVidPipelineOutput(frames=frames) if return_dict else (frames,)

    @torch.no_grad()
    def long(
        self,
        prompt: str,
        masks: Any,
        image: Any = None,
        *,
        negative_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        mask_scale: float | None = None,
        mask_precision: str | None = None,
        generator: torch.Generator | None = None,
    ) -> Iterator[Image.Image]:
        """Make a video of any length, a frame at a time: memory does not grow with it.

        Arguments are those of `__call__`.

        Yields:
            PIL pictures.

        Examples:
            >>> from maskvid import MaskVidPipeline
            >>> pipe = MaskVidPipeline.from_pretrained(run)
            >>> sum(1 for frame in pipe.long("[a fox] runs", masks=masks, num_frames=5))
            5
        """
        height, width, num_frames = self._size(masks, height, width, num_frames)
        self.check_inputs(prompt, masks, height, width, num_frames)
        negative = None if negative_prompt is None else self.encode_prompt(negative_prompt)
        asked = self.asked(
            num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, mask_scale=mask_scale,
            mask_precision=mask_precision, negative=negative,
        )  # fmt: skip
        asked, given = asked._believing(masks, [prompt], height, width, num_frames, mask_precision)
        batch = self.clip(prompt, given, name=drawn_name(generator))
        with self.arithmetic():
            first = asked._first_frame(batch, image, (height, width))
            for piece in asked.stream(batch, first):
                yield from self.video_processor.postprocess_video(piece.cpu().transpose(1, 2), "pil")[0]
        self.maybe_free_model_hooks()

    @torch.no_grad()
    def edit(
        self,
        prompt: str,
        video: Any,
        masks: Any,
        *,
        source_prompt: str = "",
        keep_background: bool = True,
        num_inference_steps: int = 25,
        guidance_scale: float = 4.0,
        mask_precision: str | None = None,
        output_type: str = "pil",
    ) -> MaskVidPipelineOutput:
        """Edit a clip: its inverted noise is denoised again with another prompt. Nothing is drawn at random.

        Args:
            prompt: What is wanted.
            video: The clip, (f, 3, H, W) in [-1, 1] at a size that the backbone takes, f at most the run's window; or a
                list of PIL pictures.
            masks: Its own, see `__call__`.
            source_prompt: What it shows; it makes the inversion truer.
            keep_background: Whether everything outside the masks stays the source's, to the pixel.
            num_inference_steps: Up to noise, and back again.
            guidance_scale: More than for a new video, since the source says otherwise: the text has to be heard.
            mask_precision: See `__call__`.
            output_type: `pil`, `np` or `pt`.

        Examples:
            >>> from maskvid import MaskVidPipeline
            >>> pipe = MaskVidPipeline.from_pretrained(run)
            >>> len(pipe.edit("[a zebra] runs", clip, masks, num_inference_steps=1).frames[0])
            3
        """
        if not isinstance(video, torch.Tensor):
            video = torch.cat([picture_given(frame, (frame.height, frame.width)) for frame in video])
        num_frames, _, height, width = video.shape
        self.check_inputs(prompt, masks, height, width, num_frames, output_type=output_type)
        if num_frames > self.run.clips.num_frames or output_type == "latent":
            raise UserError(
                f"video: {num_frames} frames, output_type={output_type!r}; edit at most the "
                f"{self.run.clips.num_frames} of the run's windows at a time, to pictures."
            )
        asked = self.asked(
            num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, mask_precision=mask_precision
        )
        asked, given = asked._believing(masks, [prompt], height, width, num_frames, mask_precision)
        with self.arithmetic():
            latents = self.backbone.encode_frames(video).unsqueeze(0)
            source = replace(self.clip(source_prompt, given), latents=latents, frames=video.unsqueeze(0))
            frames = asked.edit_clips(source, self.clip(prompt, given), keep_background=keep_background)
        self.maybe_free_model_hooks()
        return MaskVidPipelineOutput(self.video_processor.postprocess_video(frames.cpu().transpose(1, 2), output_type))

    def arithmetic(self) -> AbstractContextManager[Any]:
        """The precision that the run was tuned in, on the device where everything is."""
        return arithmetic(self.run.precision, self._execution_device)

    def _video(
        self, batch: ClipBatch, first: torch.Tensor, noise: torch.Tensor | None, step: Steps, *, decoded: bool
    ) -> torch.Tensor:
        """Frames or latents of one clip, as far as they were made where the steps were interrupted."""
        pieces: list[torch.Tensor] = []
        try:
            if batch.masks.shape[1] > self.run.clips.num_frames:
                pieces.extend(piece.cpu() for piece in self.stream(batch, first, after_step=step))
                return torch.cat(pieces, 1)
            made = self.latents(batch, first, noise=noise, after_step=step)
        except Interrupted as stopped:
            if pieces:
                return torch.cat(pieces, 1)
            made = stopped.latents
        return (self.decode(made) if decoded else made).cpu()
