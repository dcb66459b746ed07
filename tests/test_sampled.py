"""What is sampled is a function of seed and clip: not of what was sampled before, nor of the neighbours in a batch."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler

import maskvid.sampled
from maskvid.clip import ClipBatch
from maskvid.diffusion.scheduler import make_scheduler
from maskvid.errors import UserError
from maskvid.model.mask_input import mask_inputs
from maskvid.model.registration import recomposed
from maskvid.module import MaskVidModule
from maskvid.pipeline import MaskVidPipeline
from maskvid.seeds import seeded
from maskvid.settings import ROUGHNESS, Noise
from maskvid.train import train
from tests.runs import configure

WINDOW, PROMPTS = 4, ("[a horse] gallops", "[a bird] sings")
NEAR = {"atol": 1e-4, "rtol": 0}  # products of another batch size may round otherwise; pictures lie in [-1, 1]


@pytest.fixture(scope="module")
def module(overrides, tmp_path_factory):
    """An untrained model whose layers do something."""
    run = tmp_path_factory.mktemp("run")
    train(configure(overrides, f"run_dir={run}", "method.trained=false", "data.validation=null"))
    pipe = MaskVidPipeline.from_pretrained(run)
    pipe._run = replace(pipe.run, clips=replace(pipe.run.clips, num_frames=WINDOW))
    for index, parameter in enumerate(pipe.inflated.steering.parameters()):
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=seeded("weights", index))
    return MaskVidModule(pipe).eval()


@pytest.fixture
def pipe(module):
    """One whose scheduler draws noise in every step."""
    pipe = module.pipeline.asked(seed=3, num_inference_steps=2, guidance_scale=1.0)
    pipe.noise = replace(pipe.noise)
    schedule = pipe.backbone.scheduler.config
    pipe.register_modules(scheduler=make_scheduler("EulerAncestralDiscreteScheduler", schedule=schedule))
    return pipe


@pytest.fixture
def clips(module):
    """Two clips of seven frames asked for, and their first frames."""
    masks = (torch.rand(2, 7, 1, 32, 48, generator=seeded("masks")) > 0.7).float()
    batches = [module.pipeline.clip(prompt, part) for prompt, part in zip(PROMPTS, masks, strict=True)]
    return batches, torch.randn(2, 4, 8, 12, generator=seeded("first"))


def together(batches) -> ClipBatch:
    def joined(name):
        return torch.cat([getattr(batch, name) for batch in batches])

    return replace(
        batches[0],
        **{name: joined(name) for name in ("masks", "text", "subject")},
        ids=[batch.ids[0] for batch in batches],
        prompts=[batch.prompts[0] for batch in batches],
    )


def short(batch: ClipBatch) -> ClipBatch:
    return replace(batch, masks=batch.masks[:, :WINDOW])


def streamed(pipe, batch, first):
    return torch.cat(list(pipe.stream(batch, first)), 1)


def test_a_seed_is_one_video_alone_or_beside_another(pipe, clips):
    batches, first = clips
    both = pipe.generate(short(together(batches)), first)
    torch.rand(5)  # whatever else is drawn meanwhile
    assert torch.equal(pipe.generate(short(together(batches)), first), both)
    for i, batch in enumerate(batches):
        torch.testing.assert_close(pipe.generate(short(batch), first[i : i + 1])[0], both[i], **NEAR)
    other = pipe.asked(seed=4).generate(short(batches[0]), first[:1])
    assert (other[0] - both[0]).abs().max() > 0.1


def test_a_seed_is_one_long_video_alone_or_beside_another(pipe, clips):
    batches, first = clips
    both = streamed(pipe, together(batches), first)
    torch.rand(5)
    assert torch.equal(streamed(pipe, together(batches), first), both)
    torch.testing.assert_close(streamed(pipe, batches[1], first[1:])[0], both[1], **NEAR)
    # A video no longer than the window is a long one's first segment.
    torch.testing.assert_close(pipe.generate(short(together(batches)), first), both[:, :WINDOW], **NEAR)


def test_a_seed_is_one_edit(pipe, clips, monkeypatch):
    """Also where steps draw noise, as DDIM's do not."""
    drawing = partial(make_scheduler, "EulerAncestralDiscreteScheduler")
    monkeypatch.setattr("maskvid.sampled.make_scheduler", lambda name, **settings: drawing(**settings))
    [given, wanted], first = clips
    latents = torch.randn(1, WINDOW, 4, 8, 12, generator=seeded("clip"))
    edits = [
        pipe.edit_clips(replace(short(given), latents=latents), short(wanted), keep_background=True) for _ in range(2)
    ]
    assert torch.equal(*edits)


def test_a_seed_is_one_painted_first_frame_alone_or_beside_another(pipe, clips, monkeypatch):
    config = pipe.backbone.scheduler.config
    monkeypatch.setattr(pipe.backbone.pipeline, "scheduler", EulerAncestralDiscreteScheduler.from_config(config))
    monkeypatch.setattr(pipe.backbone, "paint", partial(pipe.backbone.paint, num_inference_steps=2))
    masks = torch.zeros(2, 1, 32, 48)
    both = pipe.paint_first_frame(list(PROMPTS), masks, ["a", "b"])
    torch.rand(5)
    assert torch.equal(pipe.paint_first_frame(list(PROMPTS), masks, ["a", "b"]), both)
    torch.testing.assert_close(pipe.paint_first_frame([PROMPTS[1]], masks[1:], ["b"])[0], both[1], **NEAR)
    assert not torch.allclose(pipe.paint_first_frame([PROMPTS[1]], masks[1:], ["c"])[0], both[1])


def test_a_backbone_whose_scheduler_draws_what_no_seed_decides_paints_nothing(pipe, monkeypatch):
    scheduler = type("DPMSolverSDEScheduler", (), {})()
    monkeypatch.setattr(pipe.backbone.pipeline, "scheduler", scheduler)
    with pytest.raises(UserError, match="its scheduler, DPMSolverSDEScheduler, cannot paint.*first_frame=PICTURE"):
        pipe.paint_first_frame(["a horse"], torch.zeros(1, 1, 32, 48), ["a"])


def test_a_validation_batch_gives_the_videos_of_one_clip_each(module, pipe, clips, monkeypatch):
    monkeypatch.setattr(module, "pipeline", pipe)
    batches, _ = clips
    latents = torch.randn(2, WINDOW, 4, 8, 12, generator=seeded("clips"))
    both = replace(short(together(batches)), latents=latents)
    samples = module.validation_step(both, 0)
    again = module.validation_step(both, 1)
    for i, batch in enumerate(batches):
        [alone] = module.validation_step(replace(short(batch), latents=latents[i : i + 1]), i)
        assert alone.clip_id == samples[i].clip_id
        assert torch.equal(again[i].frames, samples[i].frames)
        torch.testing.assert_close(alone.frames, samples[i].frames, **NEAR)


@pytest.fixture
def started(pipe, clips, monkeypatch):
    """Makes a long video of two clips by some noise; returns what each segment is sampled from."""

    def start(**noise):
        pipe.noise, seen = Noise(**noise), []

        def observed(*args, **options):
            seen.append((options["noise"], [g.initial_seed() for g in options["generators"]]))
            return torch.cat([options["clean"], options["noise"][:, options["clean"].shape[1] :]], 1)

        with monkeypatch.context() as patch:
            patch.setattr(maskvid.sampled, "sample_video", observed)
            streamed(pipe, together(clips[0]), clips[1])
        assert len(seen) == 3
        return seen

    return start


@pytest.mark.parametrize("mode", ["preserve", "lamp"])
def test_what_frames_share_is_one_for_all_segments_of_a_long_video(started, mode):
    everything = torch.cat([noise for noise, _ in started(mode=mode, alpha=1.0)], 1)  # frames share all of it
    assert torch.equal(everything, everything[:, :1].expand_as(everything))
    assert not torch.equal(everything[0], everything[1])


@pytest.mark.parametrize("mode", ["preserve", "lamp", "independent"])
def test_each_segment_has_noise_of_its_own_and_the_first_that_of_a_short_video(started, mode):
    segments = started(mode=mode, alpha=0.5)
    for place, name in enumerate(["a horse gallops", "a bird sings"]):
        generator = seeded(3, "sample", name)
        own = torch.randn(1, WINDOW, 4, 8, 12, generator=generator)
        shared = torch.randn(1, 1, 4, 8, 12, generator=generator)
        wanted = {
            "preserve": 0.5**0.5 * shared + 0.5**0.5 * own,
            "lamp": torch.cat([own[:, :1], 0.5 * own[:, :1] + 0.5 * own[:, 1:]], 1),
            "independent": own,
        }
        assert torch.equal(segments[0][0][place : place + 1], wanted[mode])
    assert len({noise[:, 1].numpy().tobytes() for noise, _ in segments}) == 3
    assert len({seed for _, seeds in segments for seed in seeds}) == 6  # steps draw anew for each segment and clip


def test_all_segments_start_from_one_training_clip(pipe, clips, monkeypatch):
    pipe.noise = Noise(start="inversion")
    monkeypatch.setattr(maskvid.sampled, "START_STEPS", 1)
    pipe.sources = replace(clips[0][0], latents=torch.arange(100.0).view(-1, 1, 1, 1, 1).expand(-1, WINDOW, 4, 8, 12))
    batch, first = short(clips[0][0]), clips[1][:1]
    sources = []
    monkeypatch.setattr(maskvid.sampled, "invert_video", lambda *args, **_: sources.append(args[2]) or [args[2]])
    for place in ((), (9,), (17,)):
        pipe.start(batch, first, *place)
    assert torch.equal(sources[0], sources[1])
    assert torch.equal(sources[0], sources[2])


def test_sampling_starts_from_noise_that_shows_the_first_frame_brought_to_the_masks(pipe, clips):
    batches, first = clips
    batch = short(together(batches))
    pipe.noise = replace(pipe.noise, brought=0.0)
    plain = pipe.start(batch, first)
    pipe.noise = replace(pipe.noise, brought=0.5)
    torch.testing.assert_close(pipe.start(batch, first)[:, 1:] - plain[:, 1:], 0.5 * recomposed(first, batch.masks))
    assert torch.equal(pipe.start(batch, first)[:, 0], plain[:, 0])
    pipe.sampling = replace(pipe.sampling, mask_precision="rough")
    around = pipe.start(batch, first)[:, 1:] - plain[:, 1:]
    torch.testing.assert_close(around, 0.5 * recomposed(first, batch.masks, rough=True))


def test_a_clip_is_read_as_what_its_masks_are_said_to_be(pipe, clips, monkeypatch):
    batches, first = clips
    seen = []
    monkeypatch.setattr(
        pipe.inflated, "forward", lambda x, *args, roughness=None, **more: (seen.append(roughness), x)[1]
    )
    for precision, roughness in ROUGHNESS.items():
        pipe.sampling = replace(pipe.sampling, mask_precision=precision)
        pipe.latents(short(together(batches)), first)
        assert (seen[-1] is None) == (roughness is None)
        if roughness is not None:
            torch.testing.assert_close(seen[-1], torch.full((2,), roughness))


@torch.no_grad()
def test_masks_are_looked_at_once_a_video_and_say_the_same(pipe, clips, monkeypatch):
    [first, _], pictures = clips
    pipe = pipe.asked(mask_scale=1.5, guidance_scale=2.0)
    batch, looked = first.at(slice(WINDOW)), []
    encoders = list(mask_inputs(pipe.inflated))
    hooks = [encoder.register_forward_hook(lambda *_: looked.append(1)) for encoder in encoders]
    video = pipe.latents(batch, pictures[:1])
    assert len(looked) == 2 * len(encoders)  # the masks, and none; not 2 passes in the first step and 3 in the second
    monkeypatch.setattr(pipe.inflated.guide, "remembering", nullcontext)
    assert torch.equal(pipe.latents(batch, pictures[:1]), video)
    assert len(looked) == (2 + 5) * len(encoders)
    for hook in hooks:
        hook.remove()
