"""DDIM inversion: the noise from which a deterministic sampler comes back to a given clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDIMInverseScheduler

from maskvid.diffusion.sampling import Denoise


@torch.no_grad()
def invert_video(
    denoise: Denoise,
    schedule: Mapping[str, Any],
    latents: torch.Tensor,
    *,
    clean_frames: int,
    num_inference_steps: int,
    up_to: float = 1.0,
    evaluations: int = 2,
) -> list[torch.Tensor]:
    """Walk a clip from clean to noise along the deterministic path of DDIM (arXiv 2010.02502, section 4.3).

    A step up is the inverse of DDIM's step down, where the noise is predicted from the step's upper end. That end is
    not known yet; it is first taken for the lower one, as is usual, then for the step's own result.

    Args:
        denoise: The model with the source's prompt; guidance would leave the path.
        schedule: The backbone's scheduler configuration: betas and prediction type.
        latents: (b, f, c, h, w), the clean clip.
        clean_frames: Frames at the front that are held clean, as in sampling.
        num_inference_steps: Steps of the whole path; the sampler that goes back takes as many.
        up_to: Share of the path to walk, in (0, 1].
        evaluations: Predictions for each step; 1 is the usual inversion.

    Returns:
        The path, clean first: latents (b, f, c, h, w) before and after each step; its last is the noise.
    """
    scheduler = DDIMInverseScheduler.from_config(
        dict(schedule), timestep_spacing="trailing", clip_sample=False, prediction_type="epsilon"
    )
    scheduler.set_timesteps(num_inference_steps, device=latents.device)
    timesteps = scheduler.timesteps[: max(1, round(up_to * num_inference_steps))]
    clean, later = latents[:, :clean_frames], latents[:, clean_frames:]
    path = [latents]
    for timestep in timesteps:
        alpha = scheduler.alphas_cumprod[int(timestep)].to(later)
        upper = later
        for _ in range(evaluations):
            prediction = denoise(torch.cat([clean, upper], 1), timestep)[:, clean_frames:].float()
            if schedule["prediction_type"] == "v_prediction":
                prediction = alpha.sqrt() * prediction + (1 - alpha).sqrt() * upper
            upper = scheduler.step(prediction, timestep, later, return_dict=False)[0]
        later = upper
        path.append(torch.cat([clean, later], 1))
    return path
