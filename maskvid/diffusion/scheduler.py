"""The scheduler that samples: any of diffusers, on the backbone's own noise schedule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers

from maskvid.errors import UserError


def make_scheduler(name: str, *, schedule: Mapping[str, Any], **settings: Any) -> Any:
    """Build a diffusers scheduler by its class name.

    Args:
        name: For example `DPMSolverMultistepScheduler`.
        schedule: The backbone's scheduler configuration: betas and prediction type.
        settings: Settings of that class which differ from it.

    Raises:
        UserError: No such scheduler, it does not know a setting, or it contradicts what the backbone predicts.
    """
    kind: Any = getattr(diffusers, name, None)
    is_scheduler = inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)
    if not is_scheduler:
        raise UserError(f"scheduler.name={name!r} is no scheduler of diffusers; for example DDIMScheduler.")
    known = inspect.signature(kind).parameters
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise UserError(f"scheduler.{unknown[0]}: {name} does not know it; it knows {', '.join(known)}.")
    wanted = schedule.get("prediction_type", "epsilon")
    given = settings.get("prediction_type", wanted)
    if given != wanted or (wanted != "epsilon" and "prediction_type" not in known):
        raise UserError(
            f"scheduler.name={name} with prediction_type={given!r}: the backbone predicts {wanted!r}, and a scheduler "
            "that takes it for something else samples noise; leave prediction_type away, or choose one that knows it."
        )
    if "clip_sample" in known:
        # Clipping is the default of some and means pictures in [-1, 1]; latents reach far beyond.
        settings = {"clip_sample": False, **settings}
    return kind.from_config(dict(schedule), **settings)
