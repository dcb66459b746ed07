"""The frozen backbone: tokenizer, text encoder, VAE, scheduler and the 2-D U-Net, loaded by diffusers."""

from __future__ import annotations

import hashlib
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from maskvid.errors import UserError
from maskvid.model import control
from maskvid.model.control import Control

ASSETS = "assets://"
SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
PARTS = ("unet", "vae", "text_encoder", "tokenizer")


class Backbone:
    """A Stable-Diffusion-class text-to-image pipeline whose parts are frozen.

    This is deliberately no `nn.Module`: as an attribute of a LightningModule it stays out of checkpoints, of the
    parameters and of deep copies.

    Args:
        path: Local diffusers folder, hub id, single file of a community checkpoint, or `assets://mini` for
            the miniature.
        config: For a single file: diffusers folder or hub id of the same architecture, whose configurations and
            tokenizer it takes.
        dtype: Weights' type by name: `float32`, `float16` or `bfloat16`.
        variant: File variant such as `fp16`, as in diffusers.
        lora: Weights of a LoRA to add to the backbone before tuning: local file or folder, or hub id, as diffusers
            loads it. Needs the extra `lora`.
        lora_scale: How much of it.
        controlnet: A ControlNet that makes first frames follow their mask: local folder, hub id, `assets://...`, or
            None. It takes no part in tuning and is not in the fingerprint.
        control_picture: How it is shown the mask: `filled`, `edge` or `scribble`.
        controlnet_scale: How much of what it says is heard.

    Raises:
        UserError: The folder does not exist, lacks a part, or holds no Stable-Diffusion-class pipeline; the single file
            is pickled or does not fit `config`; the ControlNet was made for another.
    """

    def __init__(
        self,
        path: str,
        *,
        config: str | None = None,
        dtype: str = "float32",
        variant: str | None = None,
        lora: str | None = None,
        lora_scale: float = 1.0,
        controlnet: str | None = None,
        control_picture: str = "filled",
        controlnet_scale: float = 1.0,
    ) -> None:
        if dtype not in ("float32", "float16", "bfloat16"):
            raise UserError(f"backbone.dtype={dtype!r}: choose float32, float16 or bfloat16.")
        self.path = path
        source = _resolve(path)
        diffusers_logging.disable_progress_bar()  # bars of a second would tear the run's own
        transformers_logging.disable_progress_bar()
        if Path(source).suffix in SINGLE_FILES:
            self.pipeline = _load_single_file(path, source, getattr(torch, dtype), config)
        else:
            self.pipeline = _load(path, source, getattr(torch, dtype), variant)
        missing = [part for part in PARTS if getattr(self.pipeline, part, None) is None]
        if missing:
            raise UserError(
                f"backbone.path={path!r} lacks {', '.join(missing)}: give a Stable-Diffusion-class pipeline."
            )
        self.pipeline.set_progress_bar_config(disable=True)
        if lora is not None:
            _add_lora(self.pipeline, lora, lora_scale)
        for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
            module = getattr(self.pipeline, part, None)
            if module is not None:
                module.requires_grad_(False).eval()
        self.fingerprint = _fingerprint(self.pipeline)
        self.control_picture, self.controlnet_scale = control_picture, controlnet_scale
        self.controlled: Any = None
        if controlnet is not None:
            control.control_picture(torch.zeros(1, 1, 4, 4), control_picture)  # refuses unknown kinds now
            source, local = _resolve(controlnet), _looks_local(_resolve(controlnet))
            self.controlled = control.load_control(controlnet, source, self.pipeline, variant=variant, local=local)

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
        if num_frames <= clean_frames:
            raise UserError(
                f"{place}num_frames={num_frames}: the first frame is given and the others are made; give "
                f"{clean_frames + 1} or more."
            )

    def to(self, device: torch.device | str) -> Backbone:
        """Move the frozen parts; called in `setup`, because Lightning moves only modules."""
        self.pipeline.to(device)
        if self.controlled is not None:
            self.controlled.to(device)
        return self

    @torch.no_grad()
    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """(f, 3, H, W) in [-1, 1] -> scaled latents (f, c, h, w) in float32: the posterior's mode."""
        vae = self.pipeline.vae
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        chunks = [vae.encode(chunk.to(vae.device, vae.dtype)).latent_dist.mode().float() for chunk in frames.split(8)]
        return (torch.cat(chunks) - shift) * vae.config.scaling_factor

    @torch.no_grad()
    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents (f, c, h, w) -> frames (f, 3, H, W) in [-1, 1], float32; a few frames at a time."""
        vae = self.pipeline.vae
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        latents = latents.float() / vae.config.scaling_factor + shift
        chunks = [vae.decode(chunk.to(vae.device, vae.dtype)).sample.float() for chunk in latents.split(8)]
        return torch.cat(chunks).clamp(-1, 1)

    @torch.no_grad()
    def encode_text(
        self, prompts: list[str], subjects: list[str | None]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Embed prompts and find their subjects' tokens.

        Args:
            prompts: b captions.
            subjects: For each the words that name the foreground, or None.

        Returns:
            Hidden states (b, n, d), subject marks (b, n) in {0, 1} (all zero where no subject is marked or found within
            the tokenizer's length), and the pooled embedding (b, p) of backbones that have one, else None.
        """
        device = self.pipeline.text_encoder.device
        encoded = self.pipeline.encode_prompt(
            prompts, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        pooled = encoded[2].float() if len(encoded) == 4 else None  # SDXL returns four
        text = encoded[0].float()
        marks = torch.stack([self._mark(p, s, text.shape[1]) for p, s in zip(prompts, subjects, strict=True)])
        return text, marks.to(device), pooled

    @torch.no_grad()
    def control(self, masks: torch.Tensor) -> Control:
        """What the ControlNet, which must be there, says of pictures with these masks (b, 1, H, W)."""
        picture = control.control_picture(masks, self.control_picture)

        def residuals(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor, added: Any) -> Any:
            return self.controlled.controlnet(
                latents,
                timesteps,
                text,
                controlnet_cond=picture.to(latents),
                conditioning_scale=self.controlnet_scale,
                added_cond_kwargs=added,
                return_dict=False,
            )

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
    ) -> torch.Tensor:
        """Pictures by text-to-image, plain or steered by masks.

        Args:
            prompts: b captions.
            size: (H, W) in pixels.
            generators: One for each prompt, on the CPU.
            guidance_scale: Classifier-free guidance.
            num_inference_steps: Denoising steps of the backbone's own scheduler.
            masks: (b, 1, H, W) in [0, 1] for the ControlNet, which must be there, or None for plain text-to-image.

        Returns:
            Scaled latents (b, c, h, w) of the pictures.
        """
        extra: dict[str, Any] = {}
        if masks is not None:
            extra["image"] = control.control_picture(masks, self.control_picture)
            extra["controlnet_conditioning_scale"] = self.controlnet_scale
        images = (self.pipeline if masks is None else self.controlled)(
            prompts,
            **extra,
            height=size[0],
            width=size[1],
            generator=generators,
            guidance_scale=guidance_scale,
            num_inference_steps=num_inference_steps,
            output_type="pt",
        ).images
        return self.encode_frames(2 * images.float() - 1)

    def _mark(self, prompt: str, subject: str | None, length: int) -> torch.Tensor:
        marks = torch.zeros(length)
        if not subject:
            return marks
        tokenizer = self.pipeline.tokenizer
        prompt_ids = tokenizer(prompt, truncation=True, max_length=length)["input_ids"]
        subject_ids = tokenizer(subject, add_special_tokens=False)["input_ids"]
        for start in range(len(prompt_ids) - len(subject_ids) + 1):
            if prompt_ids[start : start + len(subject_ids)] == subject_ids:
                marks[start : start + len(subject_ids)] = 1
                break
        return marks


def _resolve(path: str) -> str:
    if path.startswith(ASSETS):
        return str(resources.files("maskvid") / "assets" / path.removeprefix(ASSETS))
    return path


def _looks_local(source: str) -> bool:
    return Path(source).is_absolute() or source.startswith((".", "~")) or Path(source).exists()


def _load(path: str, source: str, dtype: torch.dtype, variant: str | None) -> DiffusionPipeline:
    looks_local = _looks_local(source)
    if looks_local:
        folder = Path(source).expanduser()
        index = folder / "model_index.json"
        if not index.is_file():
            raise UserError(f"backbone.path={path!r}: no model_index.json there; give a diffusers folder or a hub id.")
        for part, (library, _) in ((k, v) for k, v in json.loads(index.read_text()).items() if isinstance(v, list)):
            if library is not None and not (folder / part).is_dir():
                raise UserError(f"backbone.path={path!r}: the part {part!r} is missing; copy the whole folder.")
        source = str(folder)
    try:
        return DiffusionPipeline.from_pretrained(source, dtype=dtype, variant=variant, local_files_only=looks_local)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"backbone.path={path!r} cannot be loaded by diffusers: {reason}") from error


def _load_single_file(path: str, source: str, dtype: torch.dtype, config: str | None) -> DiffusionPipeline:
    if Path(source).suffix != ".safetensors":
        raise UserError(
            f"backbone.path={path!r} is pickled and could run anything when read; give a .safetensors file of it."
        )
    if not Path(source).is_file():
        raise UserError(f"backbone.path={path!r}: no such file.")
    if config is None:
        raise UserError(
            f"backbone.path={path!r} is a single file: give backbone.config=PATH, a diffusers folder or hub id of its "
            "architecture, or choose backbone=sd14|sd15|sd21|sdxl, which name one."
        )
    layout, local = _resolve(config), _looks_local(_resolve(config))
    try:
        names = DiffusionPipeline.load_config(layout, local_files_only=local)
        pipeline_class: Any = getattr(diffusers, str(names["_class_name"]), None)
        if not hasattr(pipeline_class, "from_single_file"):
            raise UserError(f"backbone.config={config!r}: {names['_class_name']} cannot be read from a single file.")
        return pipeline_class.from_single_file(source, config=layout, local_files_only=local, torch_dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"backbone.path={path!r} cannot be loaded by diffusers with backbone.config={config!r}: {reason}"
        ) from error


def _add_lora(pipeline: Any, lora: str, scale: float) -> None:
    """Fuse a LoRA into the weights, so that inflation finds plain layers."""
    source = str(Path(lora).expanduser()) if _looks_local(lora) else lora
    try:
        pipeline.load_lora_weights(source)
        pipeline.fuse_lora(lora_scale=scale)
        pipeline.unload_lora_weights()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        hint = " Install the extra `lora`." if "PEFT" in reason else ""
        raise UserError(f"backbone.lora={lora!r} cannot be added by diffusers: {reason}{hint}") from error


def _fingerprint(pipeline: DiffusionPipeline) -> str:
    """A digest of configurations and of a sample of every weight: another training gives another fingerprint.

    The VAE's decoder is left out: latents, and hence what is tuned on them, do not depend on it, so that an adapter
    stays valid where the decoder alone was refined, as in the VAEs published for Stable Diffusion 1.x.
    """
    digest = hashlib.sha256()
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        module = getattr(pipeline, part, None)
        if module is None:
            continue
        digest.update(part.encode())
        for name, value in module.state_dict().items():
            if part == "vae" and name.startswith(("decoder.", "post_quant_conv.")):
                continue
            flat = value.detach().flatten()
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(flat[:: max(1, flat.numel() // 256)].float().cpu().numpy().tobytes())
    scaling = getattr(pipeline.vae.config, "scaling_factor", None)
    digest.update(f"{scaling}{getattr(pipeline.vae.config, 'shift_factor', None)}".encode())
    return digest.hexdigest()[:16]
