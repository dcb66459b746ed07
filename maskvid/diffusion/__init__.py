"""Pure functions of the diffusion process: shared noise, first-frame loss, sampling, inversion, long video."""

from maskvid.diffusion.drift import drifting_start
from maskvid.diffusion.editing import edit_region, keep_outside, paste_outside
from maskvid.diffusion.inversion import invert_video
from maskvid.diffusion.long_video import long_video
from maskvid.diffusion.loss import first_frame_loss
from maskvid.diffusion.noise import shared_noise, shared_part
from maskvid.diffusion.sampling import Denoise, adain_to_first, sample_video

__all__ = [
    "Denoise",
    "adain_to_first",
    "drifting_start",
    "edit_region",
    "first_frame_loss",
    "invert_video",
    "keep_outside",
    "paste_outside",
    "long_video",
    "sample_video",
    "shared_noise",
    "shared_part",
]
