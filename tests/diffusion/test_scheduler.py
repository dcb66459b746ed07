"""Every scheduler of diffusers samples a seed's one video, whatever stands beside it, or is refused by name."""

import inspect

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, SchedulerMixin

from maskvid.diffusion import sample_video
from maskvid.diffusion.scheduler import SAMPLERS, make_scheduler
from maskvid.errors import UserError
from maskvid.seeds import seeded

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SDE = {"algorithm_type": "sde-dpmsolver++"}
CASES = [(name, {}) for name in SAMPLERS]
CASES += [("DPMSolverMultistepScheduler", SDE), ("DPMSolverSinglestepScheduler", SDE)]
DRAWING = ("DDPMScheduler", "EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "LCMScheduler")
DRAWING += ("SASolverScheduler", "TCDScheduler", "DDPMParallelScheduler")


class Model:
    """The exact predictor for clips whose values are independent, of one mean and deviation, at any noise level."""

    def __init__(self, prediction_type, mean, deviation=0.0):
        alphas = DDPMScheduler(**SCHEDULE).alphas_cumprod
        self.levels = ((1 - alphas) / alphas).log()
        self.prediction_type, self.mean, self.variance = prediction_type, mean, deviation**2
        self.seen = []

    def __call__(self, latents, timestep, *, unconditional=False):
        self.seen.append((latents[:, 0].clone(), unconditional))
        lower = min(int(timestep), len(self.levels) - 2)  # some schedulers stop between two timesteps
        alpha = torch.sigmoid(-torch.lerp(self.levels[lower], self.levels[lower + 1], float(timestep) - lower))
        away = latents - alpha.sqrt() * self.mean
        noise = (1 - alpha).sqrt() * away / (alpha * self.variance + 1 - alpha)
        if self.prediction_type == "epsilon":
            return noise
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()


def scheduler_of(name, settings, prediction_type="epsilon"):
    return make_scheduler(name, schedule={**SCHEDULE, "prediction_type": prediction_type}, **settings)


def sampled(scheduler, names, steps=6):
    """Clips by name, each from its own noise."""
    return sample_video(
        Model(scheduler.config.prediction_type, 0.7, 0.5),
        scheduler,
        clean=torch.zeros(len(names), 1, 4, 8, 8),
        noise=torch.cat([torch.randn(1, 3, 4, 8, 8, generator=seeded("start", name)) for name in names]),
        num_inference_steps=steps,
        guidance_scale=1,
        generators=[seeded("step", name) for name in names],
    )


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_seed_is_one_video_alone_or_beside_another(name, settings):
    scheduler, drawn_before = scheduler_of(name, settings), torch.get_rng_state()
    both = sampled(scheduler, ["a", "b"])
    sampled(scheduler, ["c"], steps=5)
    assert torch.equal(sampled(scheduler, ["a", "b"]), both)  # of the scheduler that has sampled others meanwhile
    assert torch.equal(sampled(scheduler, ["b"])[0], both[1])
    assert torch.equal(torch.get_rng_state(), drawn_before)


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_perfect_model_is_sampled_to_its_target_beside_a_clean_first_frame(name, settings, prediction_type):
    target = 2 * torch.randn(1, 3, 4, 4, 4, generator=seeded("target"))
    model = Model(prediction_type, target)
    out = sample_video(
        model,
        scheduler_of(name, settings, prediction_type),
        clean=target[:, :1],
        noise=torch.randn(target.shape, generator=seeded("start")),
        num_inference_steps=10,
        guidance_scale=2.0,
        generators=[seeded("step")],
    )
    assert all(torch.equal(frame, target[:, 0]) for frame, _ in model.seen)
    assert [unconditional for _, unconditional in model.seen] == [False, True] * (len(model.seen) // 2)
    assert torch.equal(out[:, 0], target[:, 0])
    torch.testing.assert_close(out, target, atol=0.15, rtol=0)


def test_what_steps_draw_is_the_generators():
    def noise_of(name, seed):
        return sample_video(
            Model("epsilon", 0.7, 0.5),
            scheduler_of(name, {}),
            clean=torch.zeros(1, 1, 4, 8, 8),
            noise=torch.ones(1, 2, 4, 8, 8),
            num_inference_steps=3,
            guidance_scale=1,
            generators=[seeded(seed)],
        )

    assert all(not torch.allclose(noise_of(name, 0), noise_of(name, 1)) for name in DRAWING)


def test_all_others_of_diffusers_are_refused_by_name():
    schedulers = [
        name
        for name in dir(diffusers)
        if name.endswith("Scheduler")  # looking at the others would import all of diffusers
        and inspect.isclass(getattr(diffusers, name))
        and issubclass(getattr(diffusers, name), SchedulerMixin)
    ]
    assert set(SAMPLERS) < set(schedulers)
    compatible = {kind.__name__ for kind in DDIMScheduler().compatibles}
    # EDM's has a schedule of its own; the tree of DPMSolverSDE is one for the batch
    assert compatible - set(SAMPLERS) == {"EDMEulerScheduler", "DPMSolverSDEScheduler"}
    for name in {*schedulers, *compatible, "UNet2DModel", "NoneSuch"} - set(SAMPLERS):
        with pytest.raises(UserError, match=rf"scheduler\.name='{name}'.*(DDIMScheduler|DPMSolverMultistepScheduler)"):
            make_scheduler(name, schedule=SCHEDULE)


def test_a_scheduler_has_the_backbones_schedule_and_settings_of_its_own():
    schedule = DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction").config
    scheduler = make_scheduler("DPMSolverMultistepScheduler", schedule=schedule)
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.config.beta_schedule == "scaled_linear"
    assert scheduler.config.timestep_spacing == "trailing"
    scheduler = make_scheduler("DPMSolverMultistepScheduler", schedule=schedule, timestep_spacing="leading")
    assert scheduler.config.timestep_spacing == "leading"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("DDIMScheduler", {"stepps": 3}, r"~scheduler\.stepps"),
        ("DDIMScheduler", {"prediction_type": "epsilon"}, "the backbone predicts 'v_prediction'"),
        ("DDIMScheduler", {"beta_schedule": "linear"}, "was trained with 'scaled_linear'"),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, r"scheduler\.use_flow_sigmas"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde"}, "diffusers refuses its settings"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(name, settings, message):
    with pytest.raises(UserError, match=message):
        make_scheduler(name, schedule={**SCHEDULE, "prediction_type": "v_prediction"}, **settings)


def test_a_backbone_that_predicts_neither_noise_nor_velocity_is_refused():
    with pytest.raises(UserError, match="the backbone predicts 'flow_prediction'"):
        make_scheduler("DPMSolverMultistepScheduler", schedule={**SCHEDULE, "prediction_type": "flow_prediction"})


def test_steps_that_a_scheduler_cannot_take_are_refused():
    with pytest.raises(UserError, match=r"sampling\.num_inference_steps=2: PNDMScheduler"):
        sampled(scheduler_of("PNDMScheduler", {}), ["a"], steps=2)
