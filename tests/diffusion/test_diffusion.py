import pytest
import torch
from diffusers import DDIMScheduler

from maskvid.diffusion import adain_to_first, first_frame_loss, sample_video, shared_noise, shared_part
from maskvid.errors import UserError
from maskvid.seeds import seeded


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


@pytest.mark.parametrize(("mode", "covariance"), [("preserve", 0.9), ("lamp", 0.9 * 0.9)])
def test_segments_share_what_the_first_one_drew_and_it_is_unchanged(mode, covariance):
    shape = (1, 8, 4, 16, 24)
    shared = shared_part(shape, mode=mode, generator=seeded(0))
    alone = shared_noise(shape, mode=mode, alpha=0.9, generator=seeded(0))
    assert torch.equal(shared_noise(shape, mode=mode, alpha=0.9, generator=seeded(0), shared=shared), alone)
    later = shared_noise((1, 5, 4, 16, 24), mode=mode, alpha=0.9, generator=seeded(1), shared=shared)
    assert (later[:, 1:] * alone[:, 7:]).mean().item() == pytest.approx(covariance, abs=0.06)
    assert not torch.equal(later[:, 1:], alone[:, 1:5])


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
        generators=[seeded(0)],
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
            generators=[seeded(0)],
            adain_fraction=fraction,
        )

    styled = run(0.25)
    torch.testing.assert_close(styled[:, 1].std((-1, -2)), styled[:, 0].std((-1, -2)))
    assert not torch.allclose(run(0.0), styled)
