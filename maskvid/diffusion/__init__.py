"""Pure functions of the diffusion process: shared noise, first-frame loss, sampling."""

from maskvid.diffusion.loss import first_frame_loss
from maskvid.diffusion.noise import shared_noise
from maskvid.diffusion.sampling import adain_to_first, sample_video

__all__ = ["adain_to_first", "first_frame_loss", "sample_video", "shared_noise"]
