"""The scheduler that samples: one of diffusers, on the backbone's own noise schedule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers

from maskvid.bounds import Bounds
from maskvid.errors import UserError

SAMPLERS = (
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "SASolverScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
"""Schedulers of diffusers that sample Stable Diffusion's noise schedule, and draw from one generator for each clip.

Others bring a schedule of their own (EDM, flow matching, CogVideoX), walk towards noise, or draw by other means."""

SCHEDULE = ("prediction_type", "beta_start", "beta_end", "beta_schedule", "trained_betas", "num_train_timesteps")
"""What the backbone was trained with, no matter of taste."""

ORDERS = dict.fromkeys(("solver_order", "predictor_order", "corrector_order"), Bounds(low=1, high=3, whole=True))
"""Of multistep solvers; diffusers takes any number and solves by another."""


def make_scheduler(name: str, *, schedule: Mapping[str, Any], **settings: Any) -> Any:
    """Build a diffusers scheduler by its class name.

    Args:
        name: One of `SAMPLERS`, for example `DPMSolverMultistepScheduler`.
        schedule: The backbone's scheduler configuration: betas and prediction type.
        settings: Settings of that class which differ from it.

    Raises:
        UserError: The scheduler does not fit Stable Diffusion or draws noise that no seed decides; it does not know a
            setting; or a setting contradicts what the backbone was trained with.
    """
    if name == "DPMSolverSDEScheduler":
        raise UserError(
            f"scheduler.name={name!r} draws its noise for the whole batch from one Brownian tree; the same equation is "
            "solved by scheduler.name=DPMSolverMultistepScheduler +scheduler.algorithm_type=sde-dpmsolver++."
        )
    if name not in SAMPLERS:
        raise UserError(
            f"scheduler.name={name!r} is no scheduler of diffusers that samples Stable Diffusion's noise schedule; "
            f"choose one of {', '.join(SAMPLERS)}."
        )
    kind: Any = getattr(diffusers, name)
    known = inspect.signature(kind).parameters
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise UserError(
            f"scheduler.{unknown[0]}: {name} does not know it; leave it away (~scheduler.{unknown[0]}), or choose "
            f"among {', '.join(known)}."
        )
    for key in ORDERS.keys() & settings.keys():
        ORDERS[key].refuse(f"scheduler.{key}", settings[key])
    schedule = {"prediction_type": "epsilon", **schedule}
    if schedule["prediction_type"] not in ("epsilon", "v_prediction"):
        raise UserError(
            f"backbone.path: the backbone predicts {schedule['prediction_type']!r}; give one that predicts noise "
            "('epsilon') or velocity ('v_prediction')."
        )
    for key in SCHEDULE:
        if key in settings and key in schedule and settings[key] != schedule[key]:
            does = "predicts" if key == "prediction_type" else "was trained with"
            raise UserError(
                f"scheduler.{key}={settings[key]!r}: the backbone {does} {schedule[key]!r}, and a scheduler that takes "
                "it for something else samples noise; leave it away."
            )
    if settings.get("use_flow_sigmas"):
        raise UserError("scheduler.use_flow_sigmas=true: the backbone matches no flow; leave it away.")
    if "clip_sample" in known:
        # Clipping is the default of some and means pictures in [-1, 1]; latents reach far beyond.
        settings = {"clip_sample": False, **settings}
    if "timestep_spacing" in known:
        settings = {"timestep_spacing": "trailing", **settings}  # the first of few steps is that of pure noise
    try:
        return kind.from_config(schedule, **settings)
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"scheduler.name={name}: diffusers refuses its settings {settings}: {error}") from error
