"""Settings of the module, as conf/ names them and as a run keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from maskvid.bounds import bounded, check_bounds
from maskvid.errors import UserError

NOISES = ("independent", "preserve", "lamp")
STARTS = ("noise", "inversion", "drift")
KINDS = ("dilate", "erode", "shift", "drop", "boxes")
"""Ways in which masks are imprecise, see `maskvid.masks.perturb`."""
STRENGTHS = 5
FIRST_FRAMES = ("given", "text_to_image", "controlnet")
LEVELS = 1000
"""Noise levels of every schedule of Stable Diffusion's class: no scheduler takes more steps."""


@dataclass(kw_only=True)
class Noise:
    """Where the noise of a clip's frames comes from.

    Attributes:
        mode: How frames share it: `independent`, `preserve` or `lamp`, see `shared_noise`.
        alpha: How much they share, in [0, 1].
        sampling_mode: The mode in sampling where it is another than in training; null is the same.
        sampling_alpha: How much frames share in sampling; null is the same as in training. What they share cannot
            flicker: with `preserve` 0.9 backgrounds stand still and the foreground moves as before.
        start: What sampling starts from: `noise`; `inversion`, the inverted noise of one of the training clips
            (Tune-A-Video); or `drift`, the first picture's, shifted from frame to frame (Text2Video-Zero).
    """

    mode: str = bounded("preserve", choices=NOISES)
    alpha: float = bounded(0.2, low=0, high=1)
    sampling_mode: str | None = bounded(None, choices=NOISES)
    sampling_alpha: float | None = bounded(None, low=0, high=1)
    start: str = bounded("noise", choices=STARTS)

    def __post_init__(self) -> None:
        """Refuse what no noise knows."""
        check_bounds(self, "method.noise.")


@dataclass(kw_only=True)
class Optim:
    """AdamW with a linear warm-up and a linear decay over the last part of training.

    Attributes:
        learning_rate: Of temporal layers and attention.
        mask_learning_rate: Of the mask's and first frame's inputs, of what the words feed, and of the attentions'
            strengths and gates.
        weight_decay: AdamW's, of the weight matrices and kernels of new layers alone: see `maskvid.model.roles`.
        warmup_steps: Optimiser steps until the full rate.
        decay_from: Share of training after which the rate falls to zero.
    """

    learning_rate: float = bounded(3e-4, low=0)
    mask_learning_rate: float = bounded(3e-3, low=0)
    weight_decay: float = bounded(1e-2, low=0)
    warmup_steps: int = bounded(20, low=0)
    decay_from: float = bounded(0.5, low=0, high=1)

    def __post_init__(self) -> None:
        """Refuse what no optimiser can do."""
        check_bounds(self, "optim.")


@dataclass(kw_only=True)
class Sampling:
    """How videos are sampled.

    Attributes:
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance; 1 is off.
        adain_fraction: Share of the last steps in which frames take the first frame's statistics, foreground and
            background apart where masks are used; 0 is off.
        first_frame: `given` (the clip's own), `text_to_image` (painted by the 2-D backbone from the prompt) or
            `controlnet` (painted, led by the first mask; needs `backbone.controlnet`).
        first_frame_guidance_scale: Classifier-free guidance of that picture; it needs more than a video does.
        samples: Videos of each validation clip, with seeds that follow each other; two or more are measured for
            diversity.
        perturb: Kind of imprecision given to the masks of validation clips, see `maskvid.masks.perturb`; the videos are
            scored by the exact ones. Null leaves them exact.
        perturb_strength: 0 to 5.
    """

    num_inference_steps: int = bounded(25, low=1, high=LEVELS)
    guidance_scale: float = bounded(7.5, low=0)
    adain_fraction: float = bounded(0.0, low=0, high=1)
    first_frame: str = bounded("given", choices=FIRST_FRAMES)
    first_frame_guidance_scale: float = bounded(4.0, low=0)
    samples: int = bounded(1, low=1)
    perturb: str | None = bounded(None, choices=KINDS)
    perturb_strength: int = bounded(0, low=0, high=STRENGTHS)

    def __post_init__(self) -> None:
        """Refuse what no sampling knows."""
        check_bounds(self, "sampling.")
        if self.perturb is None and self.perturb_strength:
            raise UserError(
                f"sampling.perturb_strength={self.perturb_strength} says how imprecise masks are, and none are; give "
                "sampling.perturb as well."
            )
