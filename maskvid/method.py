"""A method: which parts, which noise, which loss."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from maskvid.bounds import bounded
from maskvid.settings import Noise


@dataclass
class UNetConfig:
    """Arguments of `maskvid.model.InflatedUNet`: the parts of the method, each of which can be switched."""

    first_frame: str = "clean"
    reference: str = MISSING
    self_attention_strength: float | None = None
    cross_attention_strength: float | None = None
    subject_branch: bool = False
    mask_input: bool = False
    mask_pyramid: bool = False
    first_frame_input: bool = False
    self_query: bool = True
    cross_query: bool = False
    temporal_attention: str | None = None
    temporal_conv: str | None = None
    temporal_words: bool = False
    rank: int | None = bounded(None, low=1, high=2**10)
    gradient_checkpointing: bool = False


@dataclass
class MethodConfig:
    """A method: which parts, which noise, which loss, and whether it is tuned at all.

    Attributes:
        name: What it is called in files and tables.
        unet: Its parts.
        noise: Where the noise of the frames comes from.
        mask_dropout: Share of training windows whose masks are not known, so that `sampling.mask_scale` has something
            to lead away from.
        foreground_weight: How much more the foreground counts in the loss; 0 is the paper's.
        trained: False samples and measures without any tuning.
    """

    name: str = MISSING
    unet: UNetConfig = field(default_factory=UNetConfig)
    noise: Noise = field(default_factory=Noise)
    mask_dropout: float = bounded(0.0, low=0, high=1)
    foreground_weight: float = bounded(0.0, low=0)
    trained: bool = True
