import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler

from maskvid.diffusion import adain_to_first, first_frame_loss, sample_video, shared_noise
from maskvid.diffusion.scheduler import make_scheduler
from maskvid.errors import UserError


def noise(mode, alpha, seed=0):
    return shared_noise((200, 3, 4, 8, 8), mode=mode, alpha=alpha, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("mode", "variance", "covariance"),
    [("independent", 1.0, 0.0), ("preserve", 1.0, 0.2), ("lamp", 0.2**2 + 0.8**2, 0.2**2)],
)
def test_variance_and_covariance_between_frames(mode, variance, covariance):
    x = noise(mode, 0.2)
    assert x[:, 2].var().item() == pytest.approx(variance, abs=0.02)
    assert (x[:, 1] * x[:, 2]).mean().item() == pytest.approx(covariance, abs=0.02)
    assert x[:, 0].var().item() == pytest.approx(1, abs=0.02)


def test_noise_is_the_seeds():
    assert torch.equal(noise("preserve", 0.2, 4), noise("preserve", 0.2, 4))
    assert not torch.equal(noise("preserve", 0.2, 4), noise("preserve", 0.2, 5))


def test_noise_errors():
    with pytest.raises(UserError, match="mode='pink'"):
        noise("pink", 0.2)
    with pytest.raises(UserError, match="alpha=1.5"):
        noise("lamp", 1.5)


def test_the_first_frame_is_never_scored():
    prediction, target = torch.randn(2, 2, 3, 4, 4, 4).unbind(0)
    changed = prediction.clone()
    changed[:, 0] += 100
    assert first_frame_loss(changed, target) == first_frame_loss(prediction, target)
    expected = ((prediction - target)[:, 1:] ** 2).mean()
    torch.testing.assert_close(first_frame_loss(prediction, target), expected)


def test_the_foreground_can_weigh_more():
    prediction, target = torch.zeros(1, 2, 1, 2, 2), torch.zeros(1, 2, 1, 2, 2)
    masks = torch.zeros(1, 2, 1, 8, 8)
    masks[..., :4, :4] = 1
    prediction[0, 1, 0, 0, 0] = 1  # the error lies in the foreground
    plain = first_frame_loss(prediction, target, masks=masks)
    # weights 3, 1, 1, 1 of mean 1.5
    assert first_frame_loss(prediction, target, masks=masks, foreground_weight=2.0).item() == pytest.approx(
        plain.item() * 2
    )


SCHEDULERS = [DDIMScheduler, DPMSolverMultistepScheduler, DDPMScheduler, EulerAncestralDiscreteScheduler]


@pytest.mark.parametrize("kind", SCHEDULERS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_perfect_model_is_sampled_to_its_target_beside_a_clean_first_frame(kind, prediction_type):
    scheduler = make_scheduler(
        kind.__name__, schedule={"beta_schedule": "scaled_linear", "prediction_type": prediction_type}
    )
    schedule = DDPMScheduler(beta_schedule="scaled_linear")
    generator = torch.Generator().manual_seed(0)
    target = 2 * torch.randn(1, 3, 4, 4, 4, generator=generator)
    first = target[:, 0]
    seen = []

    def denoise(latents, timestep, *, unconditional=False):
        seen.append((latents[:, 0].clone(), unconditional))
        alpha = schedule.alphas_cumprod[int(timestep)]
        eps = (latents - alpha.sqrt() * target) / (1 - alpha).sqrt()
        return eps if prediction_type == "epsilon" else alpha.sqrt() * eps - (1 - alpha).sqrt() * target

    out = sample_video(
        denoise,
        scheduler,
        clean=target[:, :1],
        noise=torch.randn(target.shape, generator=generator),
        num_inference_steps=20,
        guidance_scale=2.0,
        generator=generator,
    )
    assert all(torch.equal(frame, first) for frame, _ in seen)
    assert [flag for _, flag in seen] == [False, True] * 20
    assert torch.equal(out[:, 0], first)
    torch.testing.assert_close(out, target, atol=0.05, rtol=0)


def test_guidance_of_one_asks_for_no_unconditional_pass():
    calls = []

    def denoise(latents, timestep, *, unconditional=False):
        calls.append(unconditional)
        return latents

    sample_video(
        denoise,
        DDIMScheduler(),
        clean=torch.zeros(1, 1, 4, 2, 2),
        noise=torch.randn(1, 2, 4, 2, 2),
        num_inference_steps=3,
        guidance_scale=1,
    )
    assert calls == [False] * 3


def test_adain_gives_the_first_frames_statistics():
    x = torch.randn(1, 3, 4, 8, 8) * torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1, 1) + 5
    out = adain_to_first(x)
    assert torch.equal(out[:, 0], x[:, 0])
    torch.testing.assert_close(out[:, 2].mean((-1, -2)), x[:, 0].mean((-1, -2)))
    torch.testing.assert_close(out[:, 2].std((-1, -2)), x[:, 0].std((-1, -2)))


def test_adain_with_masks_matches_foreground_and_background_apart():
    masks = torch.zeros(1, 3, 1, 16, 16)
    masks[:, 0, :, :8, :8] = masks[:, 1, :, :8, 8:] = 1  # the foreground moved; in frame 2 it is gone
    region = masks[:, :, :, ::2, ::2].bool()
    colours = torch.where(region, 3.0, -1.0)
    first = colours[:, :1] + 0.1 * torch.randn(1, 1, 4, 8, 8)
    x = torch.cat([first, 2 * colours[:, 1:] + 0.5 + torch.randn(1, 2, 4, 8, 8)], 1)
    out = adain_to_first(x, masks)
    assert torch.equal(out[:, 0], x[:, 0])
    inside, shared = region[0, 1, 0], ~region[0, 0, 0] & ~region[0, 1, 0]
    for given, where in ((region[0, 0, 0], inside), (shared, shared)):
        torch.testing.assert_close(out[0, 1][:, where].mean(-1), x[0, 0][:, given].mean(-1))
        torch.testing.assert_close(out[0, 1][:, where].std(-1), x[0, 0][:, given].std(-1), rtol=0.02, atol=0)
    gone = ~region[0, 0, 0]
    torch.testing.assert_close(out[0, 2][:, gone].mean(-1), x[0, 0][:, gone].mean(-1))
    nothing = torch.zeros_like(masks)  # no foreground at all: background statistics are those of whole frames
    torch.testing.assert_close(adain_to_first(x, nothing), adain_to_first(x))


def test_adain_fraction_counts_from_the_last_step():
    def run(fraction):
        return sample_video(
            lambda latents, timestep, *, unconditional=False: 0.1 * latents,
            DDIMScheduler(),
            clean=torch.randn(1, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
            noise=torch.randn(1, 2, 4, 8, 8, generator=torch.Generator().manual_seed(2)),
            num_inference_steps=4,
            guidance_scale=1,
            adain_fraction=fraction,
        )

    styled = run(0.25)
    torch.testing.assert_close(styled[:, 1].std((-1, -2)), styled[:, 0].std((-1, -2)))
    assert not torch.allclose(run(0.0), styled)


def test_schedulers_by_name():
    schedule = DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction").config
    scheduler = make_scheduler("DPMSolverMultistepScheduler", schedule=schedule, timestep_spacing="trailing")
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.config.timestep_spacing == "trailing"
    with pytest.raises(UserError, match=r"scheduler\.name='UNet2DModel'"):
        make_scheduler("UNet2DModel", schedule=schedule)
    with pytest.raises(UserError, match=r"scheduler\.stepps"):
        make_scheduler("DDIMScheduler", schedule=schedule, stepps=3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("DDIMScheduler", {"prediction_type": "epsilon"}), ("FlowMatchEulerDiscreteScheduler", {})],
)
def test_a_scheduler_that_contradicts_the_backbone_is_refused(name, settings):
    with pytest.raises(UserError, match="the backbone predicts 'v_prediction'"):
        make_scheduler(name, schedule={"prediction_type": "v_prediction"}, **settings)
