"""A method: which parts, which noise, which loss. The one declaration that conf/, adapters and the U-Net read."""

from __future__ import annotations

from dataclasses import dataclass, field

from maskvid.bounds import MUST_BE_SET, bounded, check_bounds
from maskvid.errors import UserError
from maskvid.settings import Noise

REFERENCES = ("self", "first", "first_self", "first_previous")


@dataclass(kw_only=True)
class Parts:
    """The parts of the inflated U-Net, each of which can be switched, see `maskvid.model.InflatedUNet`.

    Attributes:
        layers: Which layers are steered: `decoder`, the U-Net's way up, so that the rest stays the 2-D model's and
            needs no backward pass; or `all`.
        first_frame: `clean`, given and never altered, or `denoised`, one more frame.
        reference: Frames that give keys and values to self-attention: `self`, `first`, `first_self` or
            `first_previous`.
        self_attention_strength: Start of lambda_h in logits (0 keeps the identity, about 16 steers from the first
            step); null switches mask-guided self-attention off.
        cross_attention_strength: Start of gamma_h in logits; null switches the bias of subject tokens off.
        subject_branch: Whether the gated branch over the subject's tokens exists.
        mask_input: Whether the mask enters at full resolution: behind `conv_in`, or with `layers: decoder` where the
            way up reaches the latents' own size.
        mask_pyramid: Whether it also enters behind each spatial transformer, at four times that map's resolution.
        first_frame_input: Whether the first frame's latents enter at the same place.
        self_query: Whether self-attention trains a query projection.
        cross_query: Whether cross-attention trains one.
        temporal_attention: `compact` (ours), `full` (of the peers, see `maskvid.model.peers`) or null.
        temporal_conv: `compact` (ours), `full` (LAMP's, beside every convolution but the last) or null.
        temporal_words: Whether the compact temporal attention hears the subject's words: for several motions in one
            adapter.
        rank: Of what is trained: projections are differences of this rank from the frozen ones, mask features pass
            through so many channels, temporal layers are at most four (attention) and two times (convolution) as wide.
            Null trains whole copies and wider layers: at Stable Diffusion 1.5's shape 268 MiB, of rank 16 a fourteenth.
        gradient_checkpointing: Whether time is traded for memory in training.
    """

    layers: str = bounded("decoder", choices=("decoder", "all"))
    first_frame: str = bounded("clean", choices=("clean", "denoised"))
    reference: str = bounded("first_self", choices=REFERENCES)
    self_attention_strength: float | None = 16.0
    cross_attention_strength: float | None = 4.0
    subject_branch: bool = True
    mask_input: bool = True
    mask_pyramid: bool = True
    first_frame_input: bool = True
    self_query: bool = True
    cross_query: bool = False
    temporal_attention: str | None = bounded("compact", choices=("compact", "full"))
    temporal_conv: str | None = bounded("compact", choices=("compact", "full"))
    temporal_words: bool = False
    rank: int | None = bounded(None, low=1, high=2**10)
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse what no U-Net can be.

        Raises:
            UserError: A value is out of range, or parts contradict each other.
        """
        check_bounds(self, "method.unet.")
        if self.first_frame == "denoised" and self.first_frame_input:
            raise UserError(
                "method.unet.first_frame_input=true: there is no clean frame with method.unet.first_frame=denoised; "
                "set one of them otherwise."
            )

    @property
    def sees_masks(self) -> bool:
        """Whether any part takes masks; where none does, none should be given."""
        biased = self.self_attention_strength is not None or self.cross_attention_strength is not None
        return biased or self.mask_input or self.mask_pyramid or self.subject_branch


@dataclass(kw_only=True)
class Method:
    """A method: which parts, which noise, which loss, and whether it is tuned at all.

    Attributes:
        name: What it is called in files and tables.
        unet: Its parts.
        noise: Where the noise of the frames comes from.
        mask_dropout: Share of training windows whose masks are not known, so that `sampling.mask_scale` has something
            to lead away from.
        rough_masks: Steps behind the tuning, as a share of its own, in which a second set of mask encoders learns
            imprecise masks, all else frozen: exact masks are followed as without. 0 makes no such set.
        foreground_weight: How much more the foreground counts in the loss; 0 is the paper's.
        trained: False samples and measures without any tuning.
    """

    name: str = MUST_BE_SET
    unet: Parts = field(default_factory=Parts)
    noise: Noise = field(default_factory=Noise)
    mask_dropout: float = bounded(0.0, low=0, high=1)
    rough_masks: float = bounded(0.0, low=0, high=100)
    foreground_weight: float = bounded(0.0, low=0)
    trained: bool = True

    def __post_init__(self) -> None:
        """Refuse what would be ignored."""
        if self.rough_masks and not (self.unet.mask_input or self.unet.mask_pyramid):
            raise UserError(
                f"method.rough_masks={self.rough_masks:g}: the method has no mask encoders to learn them; set it to 0."
            )
        if self.noise.brought and not self.unet.sees_masks:
            raise UserError(
                f"method.noise.brought={self.noise.brought:g}: it sees no masks to bring the first frame to; set "
                "it to 0."
            )
        if self.mask_dropout and not self.unet.sees_masks:
            raise UserError(
                f"method.mask_dropout={self.mask_dropout}: the method sees no masks to leave out; set it to 0."
            )
