"""Inflation: any 2-D diffusion U-Net of diffusers becomes a mask-guided video U-Net, by public means only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle

from maskvid.errors import UserError
from maskvid.method import Parts
from maskvid.model import peers
from maskvid.model.attention import (
    CrossAttentionProcessor,
    CrossSteering,
    SelfAttentionProcessor,
    SelfSteering,
)
from maskvid.model.control import Control
from maskvid.model.first_frame_input import FirstFrameInput
from maskvid.model.guide import Guide
from maskvid.model.mask_input import MaskInput
from maskvid.model.temporal import TemporalLayer, add_from
from maskvid.seeds import drawn_from

Layer = TypeVar("Layer", bound=nn.Module)
ROUGH = "rough-"
"""Begins the names of the mask encoders for rough masks; the rest is that of the exact one."""


class InflatedUNet(nn.Module):
    """A frozen `UNet2DConditionModel` with trained steering beside it.

    Nothing of the U-Net is altered: attention processors are set, and forward hooks add the mask input where the way up
    reaches the latents' own size (or behind `conv_in`, see `Parts.layers`) and the temporal layers behind each spatial
    transformer. Every trained weight lives in `steering`, so
    the adapter file is `steering.state_dict()`, and `plain()` gives the 2-D model back.

    With `first_frame: clean`, frame 0 is the clean reference. No trained weight touches it: its output equals the 2-D
    U-Net's at any time, and the other frames' does at the start where reference is `self` and the biases start at 0 or
    are off. With `first_frame: denoised` it is one more frame, as in Tune-A-Video.

    What is trained is float32, whatever the U-Net's type. Its random start depends on each layer's name alone, not on
    what was drawn before: all adapters of one method on one backbone begin from the same weights.

    Args:
        unet: The 2-D U-Net (SD 1.x, 2.x, SDXL, the miniature). It is frozen in place.
        vae_scale_factor: Spatial factor of the VAE; masks are given at that many times the latents' size.
        rough_masks: Whether a second set of mask encoders exists, for rough masks; see `begin_rough`.
        parts: Fields of `maskvid.method.Parts`.

    Attributes:
        sees_masks: Whether any part takes masks; where none does, none should be given.

    Raises:
        UserError: A choice is none of those named, or the parts contradict each other.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        *,
        vae_scale_factor: int,
        rough_masks: bool = False,
        **parts: Any,
    ) -> None:
        super().__init__()
        has = Parts(**parts)
        self.unet = unet.requires_grad_(False)
        self.vae_scale_factor = vae_scale_factor
        self.guide = Guide(first_steered=1 if has.first_frame == "clean" else 0)
        self.steering = nn.ModuleDict()
        self._before = (dict(unet.attn_processors), unet.is_gradient_checkpointing)
        self._hooks: list[RemovableHandle] = []
        processors: dict[str, Any] = {}
        for name, attn in _attentions(unet):
            if not _steered(name, has):
                processors[f"{name}.processor"] = attn.processor
                continue
            key = name.replace(".", "-")
            layer: SelfSteering | CrossSteering
            if name.endswith("attn1"):
                layer = self._new(
                    key, SelfSteering, attn, strength=has.self_attention_strength, query=has.self_query, rank=has.rank
                )
                processors[f"{name}.processor"] = SelfAttentionProcessor(layer, self.guide, reference=has.reference)
            else:
                layer = self._new(
                    key, CrossSteering, attn, strength=has.cross_attention_strength, branch=has.subject_branch,
                    query=has.cross_query, rank=has.rank,
                )  # fmt: skip
                processors[f"{name}.processor"] = CrossAttentionProcessor(layer, self.guide)
        unet.set_attn_processor(processors)
        entry: Any = unet.conv_in if has.layers == "all" else unet.up_blocks[-1].resnets[0]
        if has.mask_input:
            encoders = self._mask_inputs("mask_input", entry.out_channels, vae_scale_factor, has, rough_masks)
            self._hook(entry, _Hook(self.guide, encoders, None))
        if has.first_frame_input:
            first = self._new("first_frame_input", FirstFrameInput, unet.config.in_channels, entry.out_channels)
            self._hook(entry, _FirstFrameHook(self.guide, first))
        for name, block in unet.named_modules():
            if isinstance(block, Transformer2DModel) and _steered(name, has):
                channels, key = block.config.in_channels, name.replace(".", "-")
                encoders, temporal_layer = [], None
                if has.mask_pyramid:
                    encoders = self._mask_inputs(f"mask_input-{key}", channels, 4, has, rough_masks)
                if "compact" in (has.temporal_attention, has.temporal_conv):
                    temporal_layer = self._new(
                        f"temporal-{key}",
                        TemporalLayer,
                        channels,
                        attention=has.temporal_attention == "compact",
                        conv=has.temporal_conv == "compact",
                        groups=unet.config.norm_num_groups,
                        text_width=unet.config.cross_attention_dim if has.temporal_words else None,
                        rank=has.rank,
                    )
                self._hook(block, _Hook(self.guide, encoders, temporal_layer))
        if has.temporal_conv == "full":
            for name, conv in peers.convolutions(unet).items():
                if not _steered(name, has):
                    continue
                companion = self._new(f"conv-{name.replace('.', '-')}", peers.ConvOverFrames, conv.out_channels)
                self._hook(conv, _PeerHook(self.guide, companion))
        if has.temporal_attention == "full":
            for name, inner in peers.transformer_blocks(unet).items():
                if not _steered(name, has):
                    continue
                over_frames = self._new(f"temporal-{name.replace('.', '-')}", peers.FullTemporalAttention, inner)
                self._hook(inner, _PeerHook(self.guide, over_frames))
        self.sees_masks = has.sees_masks
        if has.gradient_checkpointing:
            unet.enable_gradient_checkpointing()

    def _hook(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        self._hooks.append(module.register_forward_hook(hook))

    def _mask_inputs(self, key: str, channels: int, factor: int, has: Parts, rough: bool) -> list[MaskInput]:
        """The encoder of exact masks for one feature map, and that of rough ones, which is not tuned with the rest."""
        made = [
            self._new(name, MaskInput, channels, factor=factor, rank=has.rank)
            for name in (key, ROUGH + key)[: 1 + rough]
        ]
        for layer in made[1:]:
            layer.requires_grad_(False)
        return made

    def begin_rough(self) -> None:
        """From here on the encoders for rough masks are tuned, and nothing else; they begin as the exact ones are.

        Tuned on exact masks, all else believes masks to the pixel; tuned on imprecise ones, it would follow exact ones
        less. So exact masks lose nothing by it.
        """
        self.steering.requires_grad_(False)
        for name, layer in self.steering.items():
            if isinstance(layer, MaskInput) and name.startswith(ROUGH):
                layer.load_state_dict(self.steering[name.removeprefix(ROUGH)].state_dict())
                layer.remember(torch.full_like(layer.merged, -torch.inf))
                layer.requires_grad_(True)

    @property
    def knows_rough_masks(self) -> bool:
        """Whether there are encoders for rough masks."""
        return any(name.startswith(ROUGH) for name in self.steering)

    def _new(self, key: str, kind: Callable[..., Layer], *args: Any, **kwargs: Any) -> Layer:
        """Add a layer to the steering, its random start a function of its key."""
        with drawn_from("start", key):
            layer = kind(*args, **kwargs)
        self.steering[key] = layer
        return layer

    def forward(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: torch.Tensor,
        *,
        masks: torch.Tensor | None = None,
        subject: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
        clean_frames: int | None = None,
        control: Control | None = None,
        roughness: torch.Tensor | None = None,
        objects: torch.Tensor | None = None,
        subjects: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict noise (or velocity) for a clip.

        Args:
            latents: (b, f, c, h, w), noised; frame 0 clean where it is the clean reference.
            timesteps: (b,), the noise level of the noised frames; a clean frame is at timestep 0.
            text: (b, n, d), the prompts' hidden states.
            masks: (b, f, 1, H, W) in [0, 1], or None for no mask path at all; see `sees_masks`.
            subject: (b, n), 1 at the tokens that name the foreground.
            pooled: (b, p) for backbones with added text conditioning (SDXL).
            clean_frames: Frames at the front that are clean; None for those of the method. A continued video has more.
            control: A ControlNet's say on a single frame, which the steering does not reach, see `Backbone.control`.
            roughness: (b,) in [0, 1] of masks that the encoders for rough masks read; None for exact ones.
            objects: (b, f, k, H, W), the masks of k subjects, of which `masks` is the union; None where there is one.
            subjects: (b, k, n) with them, 1 at each subject's own tokens.

        Returns:
            (b, f, c, h, w); for a clean frame 0 it is the 2-D model's and is not meant to be used.
        """
        b, f, _, h, w = latents.shape
        if masks is not None and masks.shape[-2:] != (h * self.vae_scale_factor, w * self.vae_scale_factor):
            raise UserError(
                f"masks of size {tuple(masks.shape[-2:])} for latents of size {(h, w)}: "
                f"give masks at {self.vae_scale_factor} times the latents' size."
            )
        self.guide.set(latents, masks, subject, text, roughness, objects, subjects)
        levels = timesteps[:, None].repeat(1, f)
        levels[:, : self.clean_frames if clean_frames is None else clean_frames] = 0
        added = None
        if pooled is not None:
            size = torch.tensor([h, w], device=latents.device, dtype=text.dtype) * self.vae_scale_factor
            time_ids = torch.cat([size, torch.zeros_like(size), size]).repeat(b * f, 1)
            added = {"text_embeds": pooled.repeat_interleave(f, 0), "time_ids": time_ids}
        frames, levels, text = latents.flatten(0, 1), levels.flatten(), text.repeat_interleave(f, 0)
        down, mid = (None, None) if control is None else control(frames, levels, text, added)
        out = self.unet(
            frames,
            levels,
            text,
            added_cond_kwargs=added,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]
        return out.unflatten(0, (b, f))

    @property
    def clean_frames(self) -> int:
        """Frames at the front that are given clean: 1, or 0 where all are denoised."""
        return self.guide.first_steered

    @contextmanager
    def plain(self) -> Iterator[UNet2DConditionModel]:
        """Lend the untouched 2-D U-Net, for example to a text-to-image pipeline."""
        self.guide.clear()
        yield self.unet

    def restore(self) -> UNet2DConditionModel:
        """Give the 2-D U-Net back as it came, with its own processors and no hook of ours; nothing is inflated then."""
        self.guide.clear()
        for hook in self._hooks:
            hook.remove()
        processors, checkpointing = self._before
        self.unet.set_attn_processor(dict(processors))
        if self.unet.is_gradient_checkpointing and not checkpointing:
            self.unet.disable_gradient_checkpointing()
        return self.unet

    def train(self, mode: bool = True) -> InflatedUNet:
        """Only the steering is trained; the frozen U-Net trains just so far as gradient checkpointing asks for it."""
        super().train(mode)
        if not self.unet.is_gradient_checkpointing:
            self.unet.eval()
        return self


class _Hook:
    """Adds the mask, by the encoder of exact or of rough ones, then runs the temporal layer, behind a module."""

    def __init__(self, guide: Guide, encoders: list[MaskInput], temporal_layer: TemporalLayer | None) -> None:
        self.guide, self.encoders, self.temporal_layer = guide, encoders, temporal_layer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        f = self.guide.num_frames
        if f is None or f == 1:
            return None
        sample = out if isinstance(out, torch.Tensor) else out[0]
        if self.encoders and self.guide.seen is not None:
            encoder = self.encoders[self.guide.seen.rough]
            sample = sample + self.guide.features(encoder, tuple(sample.shape[-2:])).to(sample.dtype)
        if self.temporal_layer is not None:
            given = sample.unflatten(0, (-1, f)), self.guide.first_steered, self.guide.words
            # what is behind a block is not in its checkpoint: at Stable Diffusion's shape it was half of what was kept
            kept = torch.is_grad_enabled() and getattr(module, "gradient_checkpointing", False)
            layer = partial(checkpoint, self.temporal_layer, use_reentrant=False) if kept else self.temporal_layer
            sample = layer(*given).flatten(0, 1)
        if isinstance(out, torch.Tensor):
            return sample
        return (sample, *out[1:]) if isinstance(out, tuple) else type(out)(sample=sample)


class _PeerHook:
    """Adds a peer's temporal layer to what a convolution or a transformer block returns."""

    def __init__(self, guide: Guide, layer: nn.Module) -> None:
        self.guide, self.layer = guide, layer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor | None:
        f = self.guide.num_frames
        if f is None or f == 1:
            return None
        frames = out.unflatten(0, (-1, f))
        return add_from(frames, self.layer(frames), self.guide.first_steered).flatten(0, 1)


class _FirstFrameHook:
    """Adds the first frame to what a module returns."""

    def __init__(self, guide: Guide, layer: FirstFrameInput) -> None:
        self.guide, self.layer = guide, layer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor | None:
        guide = self.guide
        if guide.num_frames is None or guide.num_frames == 1 or guide.first_frame is None:
            return None
        outlines, rough = (None, False) if guide.seen is None else (guide.seen.outlines, guide.seen.rough)
        added = self.layer(guide.first_frame, outlines, guide.num_frames, rough=rough)
        return out + added.to(out.dtype)


def _steered(name: str, has: Parts) -> bool:
    """Whether a layer of the U-Net is steered."""
    return has.layers == "all" or name.startswith("up_blocks")


def _attentions(unet: UNet2DConditionModel) -> list[tuple[str, Any]]:
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return [(name, unet.get_submodule(name)) for name in names]
