"""The frozen backbone: tokenizer, text encoder, VAE, scheduler and the 2-D U-Net, loaded by diffusers."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from maskvid.errors import UserError
from maskvid.model import control
from maskvid.model.control import Control
from maskvid.model.fingerprint import fingerprint
from maskvid.model.known_words import read_known_words, warn_of_unknown
from maskvid.model.latents import decode, encode, place_of
from maskvid.model.loading import SINGLE_FILES, load_folder, load_single_file, predicting, resolve
from maskvid.model.lora import add_lora
from maskvid.model.sd_class import refuse_unlike
from maskvid.model.subject_tokens import cut_text, mark_subject, mark_subjects, subject_faults
from maskvid.prompt import Prompt
from maskvid.weights_folder import refuse_broken

LARGER = 4  # times the pixels that a backbone was made for
PARTS = ("unet", "vae", "text_encoder", "tokenizer")
Embedded = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
"""Prompts as `Backbone.encode_text` gives them: hidden states, subject marks, pooled embedding."""


DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")} | {"float8": torch.bfloat16}
"""Types of weights by name, and what they compute in."""


class Backbone:
    """A Stable-Diffusion-class text-to-image pipeline whose parts are frozen.

    This is deliberately no `nn.Module`: as an attribute of a LightningModule it stays out of checkpoints, of the
    parameters and of deep copies.

    Args:
        path: Local diffusers folder, hub id, single file of a community checkpoint, or `assets://mini` for
            the miniature.
        config: For a single file: diffusers folder or hub id of the same architecture, whose configurations and
            tokenizer it takes.
        prediction_type: What the U-Net predicts, `epsilon` or `v_prediction`, where its files say it wrongly or not at
            all; None takes what they say.
        dtype: Weights' type by name: `float32`, `float16`, `bfloat16`, or `float8`: bfloat16 whose U-Net can be kept in
            eight bits, see `pack`.
        variant: File variant such as `fp16`, as in diffusers.
        lora: Weights of a LoRA to add to the backbone before tuning: local file or folder, or hub id, as diffusers
            loads it. Needs the extra `lora`.
        lora_scale: How much of it.
        controlnet: A ControlNet that makes first frames follow their mask: local folder, hub id, `assets://...`, or
            None. It takes no part in tuning and is not in the fingerprint.
        control_picture: How it is shown the mask: `filled`, `edge` or `scribble`.
        controlnet_scale: How much of what it says is heard.
        safety_checker: Whether the safety checker of Stable Diffusion 1.x and 2.x, where the backbone has one, looks at
            painted first frames. A picture that it flags is an error.

    Attributes:
        fingerprint: Of everything that changes the frozen numbers but for rounding, see `maskvid.model.fingerprint`.
        dtype: The type that the parts compute in.
        packed: Whether the U-Net's weights lie in eight bits.
        known_words: Words seen in training, where the folder says so; else empty.

    Raises:
        UserError: The folder does not exist, lacks a part, or holds no Stable-Diffusion-class pipeline; the single file
            is pickled or does not fit `config`; the ControlNet was made for another.
    """

    controlled: Any = None
    """The pipeline with its ControlNet, where there is one."""
    packed = False
    quickened = False
    """Whether a LoRA for few steps is in the weights, see `quicken`."""

    def __init__(
        self,
        path: str,
        *,
        config: str | None = None,
        prediction_type: str | None = None,
        dtype: str = "float32",
        variant: str | None = None,
        lora: str | None = None,
        lora_scale: float = 1.0,
        controlnet: str | None = None,
        control_picture: str = "filled",
        controlnet_scale: float = 1.0,
        safety_checker: bool = True,
    ) -> None:
        if dtype not in DTYPES:
            raise UserError(f"backbone.dtype={dtype!r}: choose one of {', '.join(DTYPES)}.")
        self.path, self.dtype = path, DTYPES[dtype]
        source = resolve(path)
        diffusers_logging.disable_progress_bar()  # bars of a second would tear the run's own
        transformers_logging.disable_progress_bar()
        self.pipeline: Any
        if Path(source).suffix in SINGLE_FILES:
            self.pipeline = load_single_file(path, source, self.dtype, config)
        else:
            self.pipeline = load_folder(path, source, self.dtype, variant, safety_checker=safety_checker)
        if prediction_type is not None:
            predicting(self.pipeline, prediction_type)
        missing = [part for part in PARTS if getattr(self.pipeline, part, None) is None]
        if missing:
            raise UserError(
                f"backbone.path={path!r} lacks {', '.join(missing)}: give a Stable-Diffusion-class pipeline."
            )
        self._check()
        if lora is not None:
            add_lora(self.pipeline, lora, lora_scale)
        self._freeze()
        self.known_words = read_known_words(Path(source))
        self.control_picture, self.controlnet_scale = control_picture, controlnet_scale
        if controlnet is not None:
            control.control_picture(torch.zeros(1, 1, 4, 4), control_picture)  # refuses unknown kinds now
            self.controlled = control.load_control(controlnet, self.pipeline, variant=variant)

    @classmethod
    def of(cls, parts: Mapping[str, Any]) -> Backbone:
        """A backbone of parts that are loaded already, by the names that pipelines of diffusers give them.

        Raises:
            UserError: They make no Stable-Diffusion-class pipeline.
        """
        kind = StableDiffusionPipeline if parts.get("text_encoder_2") is None else StableDiffusionXLPipeline
        known = inspect.signature(kind).parameters
        options: dict[str, Any] = {"requires_safety_checker": False} if "requires_safety_checker" in known else {}
        backbone = cls.__new__(cls)
        backbone.path, backbone.dtype = "the parts given", parts["unet"].dtype
        backbone.pipeline = kind(**{name: part for name, part in parts.items() if name in known}, **options)
        backbone._check()
        backbone._freeze()
        backbone.known_words = frozenset()
        backbone.control_picture, backbone.controlnet_scale = "filled", 1.0
        return backbone

    def _check(self) -> None:
        refuse_unlike(self.pipeline, self.path)
        for name, module in self._modules():
            refuse_broken(module, f"backbone.path={self.path!r}: {name}")

    def _freeze(self) -> None:
        self.pipeline.set_progress_bar_config(disable=True)
        if self.dtype == torch.float16 and self.pipeline.vae.config.get("force_upcast"):
            self.pipeline.vae.float()  # its activations overflow float16, as diffusers knows of SDXL's
        for _, module in self._modules():
            module.requires_grad_(False).eval()
        self.fingerprint = fingerprint(self.pipeline)

    def _modules(self) -> list[tuple[str, Any]]:
        names = ("unet", "vae", "text_encoder", "text_encoder_2")
        return [(name, part) for name in names if (part := getattr(self.pipeline, name, None)) is not None]

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Frozen, hence shared."""
        return self

    @property
    def unet(self) -> Any:
        """The 2-D `UNet2DConditionModel`."""
        return self.pipeline.unet

    @property
    def scheduler(self) -> Any:
        """The noise schedule the backbone was trained with."""
        return self.pipeline.scheduler

    @property
    def vae_scale_factor(self) -> int:
        """Pixels of an edge of one latent."""
        return 2 ** (len(self.pipeline.vae.config.block_out_channels) - 1)

    def check_clip(self, height: int, width: int, num_frames: int, *, clean_frames: int, place: str = "") -> None:
        """Refuse clips that cannot be made, before anything is read or computed.

        Sides divide by the VAE's factor, and by 8 whatever that is, because the text-to-image pipelines of diffusers,
        which paint first frames, ask for it.

        Args:
            height: Rows in pixels.
            width: Columns in pixels.
            num_frames: Frames.
            clean_frames: Leading frames that are given and not made, see `InflatedUNet.clean_frames`.
            place: Where the sizes were set, for the message: `data.`, or nothing.

        Raises:
            UserError: Names the argument and what it may be instead.
        """
        divisor = math.lcm(self.vae_scale_factor, 8)
        for name, side in (("height", height), ("width", width)):
            if side < 1 or side % divisor:
                below, above = side // divisor * divisor, (side // divisor + 1) * divisor
                sizes = f"{below} or {above}" if below > 0 else f"{above}"
                raise UserError(f"{place}{name}={side}: sides must divide by {divisor} here; give {sizes}.")
        own = self.unet.config.sample_size
        rows, columns = (own, own) if isinstance(own, int) else own or (height, width)
        rows, columns = rows * self.vae_scale_factor, columns * self.vae_scale_factor
        if height * width > LARGER * rows * columns:
            raise UserError(
                f"{place}height={height}, {place}width={width}: the backbone was made for pictures of about {rows} x "
                f"{columns} pixels; give at most {LARGER} times as many pixels, or another backbone."
            )
        if num_frames <= clean_frames:
            raise UserError(
                f"{place}num_frames={num_frames}: the first frame is given and the others are made; give "
                f"{clean_frames + 1} or more."
            )

    def to(self, device: torch.device | str, *, painting: bool = True) -> Backbone:
        """Move the frozen parts; called in `setup`, because Lightning moves only modules.

        Args:
            device: Where to.
            painting: Whether pictures are painted from prompts; else only what clips are encoded and decoded by is
                moved, since their prompts are embedded already. The U-Net goes with the module around it.
        """
        if not painting:
            self.pipeline.vae.to(device)
            return self
        self.pipeline.to(device)
        if self.controlled is not None:
            self.controlled.to(device)
        return self

    def pack(self) -> None:
        """Keep the U-Net's weights in eight bits; each layer's are unpacked while it computes (diffusers' casting).

        For sampling: a backward pass would meet packed weights where it saved unpacked ones. The fingerprint stays, as
        with every type.
        """
        if not self.packed:
            self.unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=self.dtype)
            self.packed = True

    def quicken(self, lora: str) -> None:
        """Add a LoRA that makes few steps do (LCM's, TCD's, Hyper-SD's) behind tuning: the fingerprint stays.

        Args:
            lora: File, folder or hub id.

        Raises:
            UserError: See `maskvid.model.lora.add_lora`.
        """
        add_lora(self.pipeline, lora, 1.0, key="backbone.fast_lora")
        self.quickened = True

    def encoded_shapes(self, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of `latents` (c, h, w) of pictures of this size, `text` (n, d), `subject` (n), maybe `pooled` (p)."""
        factor, length = self.vae_scale_factor, self.pipeline.tokenizer.model_max_length
        second = getattr(self.pipeline, "text_encoder_2", None)
        pooled = {} if second is None else {"pooled": (second.config.projection_dim,)}
        return pooled | {
            "latents": (self.pipeline.vae.config.latent_channels, height // factor, width // factor),
            "text": (length, self.unet.config.cross_attention_dim),
            "subject": (length,),
        }

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """(f, 3, H, W) in [-1, 1] -> scaled latents (f, c, h, w) in float32: the posterior's mode."""
        return encode(self.pipeline.vae, frames)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents (f, c, h, w) -> frames (f, 3, H, W) in [-1, 1], float32; a few frames at a time."""
        return decode(self.pipeline.vae, latents, self.vae_scale_factor)

    @torch.no_grad()
    def encode_text(self, prompts: list[Prompt]) -> Embedded:
        """Embed prompts and mark their subjects' tokens; what the tokenizer does not take of a prompt is warned of.

        The embedding of the empty prompt is zeros where the pipeline says so (`force_zeros_for_empty_prompt`, SDXL).

        Args:
            prompts: b prompts.

        Returns:
            Hidden states (b, n, d), subject marks (b, n) in {0, 1} with a one in each row, see `mark_subject`, and the
            pooled embedding (b, p) of backbones that have one, else None.

        Raises:
            UserError: A subject lies beyond the tokenizer's length.
        """
        for prompt in prompts:
            if faults := self.prompt_faults(prompt):
                raise UserError("; ".join(faults))
            if cut := cut_text(self.pipeline.tokenizer, prompt.text):
                length = self.pipeline.tokenizer.model_max_length
                warnings.warn(
                    f"the backbone's tokenizer takes {length} tokens; {cut!r} is cut from the prompt {prompt.text!r}",
                    stacklevel=2,
                )
        device = place_of(self.pipeline.text_encoder)
        texts = [prompt.text for prompt in prompts]
        encoded = self.pipeline.encode_prompt(
            texts, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        text, pooled = encoded[0].float(), encoded[2].float() if len(encoded) == 4 else None  # SDXL returns four
        if self.pipeline.config.get("force_zeros_for_empty_prompt"):
            empty = torch.tensor([not prompt.text for prompt in prompts], device=text.device)
            text[empty] = 0
            if pooled is not None:
                pooled[empty] = 0
        marks = torch.stack([mark_subject(self.pipeline.tokenizer, prompt) for prompt in prompts])
        return text, marks.to(device), pooled

    def subjects(self, prompt: Prompt) -> torch.Tensor:
        """Marks (k, n) in {0, 1} over the tokens of a prompt, for each of its k subjects."""
        return mark_subjects(self.pipeline.tokenizer, prompt).to(place_of(self.pipeline.text_encoder))

    @cached_property
    def no_prompt(self) -> Embedded:
        """The empty prompt, embedded once."""
        return self.encode_text([Prompt("")])

    def prompt_faults(self, prompt: Prompt) -> list[str]:
        """What is wrong with a prompt, in words: a subject that the tokenizer does not reach."""
        return subject_faults(self.pipeline.tokenizer, prompt)

    def warn_of_unknown(self, prompts: Iterable[Prompt]) -> None:
        """Name words never seen in training, where that is known."""
        warn_of_unknown(self.known_words, prompts)

    @torch.no_grad()
    def control(self, masks: torch.Tensor) -> Control:
        """What the ControlNet, which must be there, says of pictures with these masks (b, 1, H, W)."""
        picture = control.control_picture(masks, self.control_picture)

        def residuals(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor, added: Any) -> Any:
            return self.controlled.controlnet(
                latents, timesteps, text, controlnet_cond=picture.to(latents), added_cond_kwargs=added,
                conditioning_scale=self.controlnet_scale, return_dict=False,
            )  # fmt: skip

        return residuals

    def paint(
        self,
        prompts: list[str],
        size: tuple[int, int],
        *,
        generators: list[torch.Generator],
        guidance_scale: float,
        num_inference_steps: int = 25,
        masks: torch.Tensor | None = None,
        mask_weight: float = 1.0,
    ) -> torch.Tensor:
        """Pictures by text-to-image, plain or steered by masks.

        Args:
            prompts: b captions.
            size: (H, W) in pixels.
            generators: One for each prompt, on the CPU.
            guidance_scale: Classifier-free guidance.
            num_inference_steps: Denoising steps of the backbone's own scheduler.
            masks: (b, 1, H, W) in [0, 1] for the ControlNet, which must be there, or None for plain text-to-image.
            mask_weight: How much of its scale the ControlNet has.

        Returns:
            Scaled latents (b, c, h, w) of the pictures.

        Raises:
            UserError: The safety checker flags a picture; diffusers would make it black, and the whole video with it.
        """
        extra: dict[str, Any] = {}
        if masks is not None:
            extra["image"] = control.control_picture(masks, self.control_picture)
            extra["controlnet_conditioning_scale"] = mask_weight * self.controlnet_scale
        latents = (self.pipeline if masks is None else self.controlled)(
            prompts,
            **extra,
            height=size[0],
            width=size[1],
            generator=generators,
            guidance_scale=guidance_scale,
            num_inference_steps=num_inference_steps,
            output_type="latent",
        ).images
        frames = self.decode_latents(latents)  # here and not in the pipeline, whose VAE must have the U-Net's type
        self._refuse_flagged(prompts, frames)
        return self.encode_frames(frames)

    def _refuse_flagged(self, prompts: list[str], frames: torch.Tensor) -> None:
        checker = getattr(self.pipeline, "safety_checker", None)
        if checker is None:
            return
        _, flagged = self.pipeline.run_safety_checker(frames.clone(), frames.device, checker.dtype)
        for prompt, bad in zip(prompts, flagged, strict=True):
            if bad:
                raise UserError(
                    f"prompt {prompt!r}: the backbone's safety checker flags the first frame painted for it; try "
                    "another seed or prompt, give a picture of your own (first_frame=), or leave the checker out "
                    "(backbone.safety_checker=false)."
                )
