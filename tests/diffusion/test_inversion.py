import torch
from diffusers import DDIMScheduler, DDPMScheduler

from maskvid.diffusion import drifting_start, invert_video, sample_video
from maskvid.diffusion.drift import shifted
from maskvid.seeds import seeded

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "epsilon"}


class Gaussian:
    """The exact predictor of noise for independent values of one mean and deviation."""

    def __init__(self, mean: float, deviation: float) -> None:
        self.alphas = DDPMScheduler.from_config(SCHEDULE).alphas_cumprod
        self.mean, self.variance = mean, deviation**2

    def __call__(self, latents, timestep, *, unconditional=False):
        alpha = self.alphas[int(timestep)]
        return (1 - alpha).sqrt() * (latents - alpha.sqrt() * self.mean) / (alpha * self.variance + 1 - alpha)


def clip():
    return 0.7 + 0.5 * torch.randn(2, 3, 4, 16, 24, generator=torch.Generator().manual_seed(0))


def test_inversion_ends_in_standard_noise_and_sampling_leads_back():
    latents, denoise = clip(), Gaussian(0.7, 0.5)
    path = invert_video(denoise, SCHEDULE, latents, clean_frames=1, num_inference_steps=50)
    assert len(path) == 51
    assert torch.equal(path[0], latents)
    assert torch.equal(path[-1][:, 0], latents[:, 0])  # the clean frame stays
    noise = path[-1][:, 1:]
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.08  # fifty steps are not infinitely many
    scheduler = DDIMScheduler.from_config(SCHEDULE, timestep_spacing="trailing", clip_sample=False)
    back = sample_video(
        denoise,
        scheduler,
        clean=latents[:, :1],
        noise=path[-1],
        num_inference_steps=50,
        guidance_scale=1,
        generators=[seeded(0), seeded(1)],
    )
    assert (back - latents).abs().max() < 0.02


def test_a_shift_moves_frame_i_by_i_cells():
    latents = torch.randn(1, 3, 2, 8, 9)
    moved = shifted(latents, 1, 2)
    assert torch.equal(moved[:, 0], latents[:, 0])
    assert torch.equal(moved[:, 2, :, 2:, 4:], latents[:, 2, :, :-2, :-4])


def test_a_drifting_start_has_unit_variance_and_carries_the_picture():
    first = clip()[:, 0]
    start = drifting_start(
        Gaussian(0.7, 0.5),
        SCHEDULE,
        first,
        num_frames=3,
        num_inference_steps=50,
        generators=[torch.Generator().manual_seed(i) for i in range(2)],
        shift=1 / 24,
    )
    assert start.shape == (2, 3, 4, 16, 24)
    assert abs(start.std() - 1) < 0.12
    moved = start[:, 2, :, 2:, 2:] * first[:, :, :-2, :-2]
    assert moved.mean() - start[:, 2].mean() * first.mean() > 0.05
    assert not torch.equal(start[0], start[1])
