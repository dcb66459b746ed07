"""Every method of the group trains, samples, measures and generates through the real entry points."""

import json

import pytest
import torch

from maskvid.clip import ClipBatch
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import train
from tests.runs import configure, configure_generate

BASELINES = ["lamp", "tune_a_video", "text2video_zero"]


def clips_of(masks):
    return ClipBatch(["a", "b"], masks, torch.zeros(2, 1, 4), torch.ones(2, 1), None, None, ["", ""])


@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_runs_from_training_to_generation(method, overrides, triples, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", f"method={method}", "trainer.max_steps=2"))
    step = 0 if method == "text2video_zero" else 2
    assert len(list(tmp_path.glob(f"samples/step-00000{step}/seen/*.mp4"))) == 3
    description = json.loads((tmp_path / "adapter" / "adapter.json").read_text())
    assert description["run"]["steps"] == step
    videos = generate(configure_generate(tmp_path, triples, f"out={tmp_path / 'out'}"))
    assert [path.exists() for path in videos] == [True, True]


def test_an_untrained_method_is_sampled_as_it_is(overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method.trained=false"))
    pipe = MaskVidPipeline.from_pretrained(tmp_path)
    gates = [value for name, value in pipe.inflated.steering.named_parameters() if name.endswith("gate")]
    assert gates
    assert not any(gate.any() for gate in gates)
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_method_without_weights_cannot_be_trained(overrides, tmp_path):
    with pytest.raises(UserError, match="method.trained=false"):
        train(configure(overrides, f"run_dir={tmp_path}", "method=text2video_zero", "method.trained=true"))


def test_lamp_samples_with_its_own_noise_and_trains_with_independent(overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method=lamp", "trainer.max_steps=1"))
    pipe = MaskVidPipeline.from_pretrained(tmp_path)
    data_free = torch.zeros(2, 4, 8, 12)
    batch = clips_of(torch.zeros(2, 64, 1, 32, 48))
    noise = pipe.start(batch, data_free)
    assert noise[:, 1:].var().item() == pytest.approx(0.2**2 + 0.8**2, rel=0.03)
    assert noise[:, :1].var().item() == pytest.approx(1, rel=0.15)


def test_frames_share_more_noise_in_sampling_than_in_training(overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method.trained=false", "data.validation=null"))
    pipe = MaskVidPipeline.from_pretrained(tmp_path)
    batch = clips_of(torch.zeros(2, 64, 1, 32, 48))
    for alpha, wanted in ((0.9, 0.9), (None, 0.2)):
        pipe.noise.sampling_alpha = alpha
        noise = pipe.start(batch, torch.zeros(2, 4, 8, 12)).double()
        assert noise.var().item() == pytest.approx(1, rel=0.15)
        neighbours = (noise[:, 1:] * noise[:, :-1]).mean() / noise.square().mean()
        assert neighbours.item() == pytest.approx(wanted, abs=0.05)


def test_text2video_zero_has_noise_of_its_own_however_few_steps_are_sampled(overrides, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method=text2video_zero", "data.validation=null"))
    pipe = MaskVidPipeline.from_pretrained(tmp_path, sampling={"num_inference_steps": 2})
    batch = pipe.clip("[a horse] gallops", torch.zeros(3, 1, 32, 48))
    first = torch.zeros(1, 4, 8, 12)
    starts = [pipe.asked(seed=seed).start(batch, first) for seed in (1, 2)]
    assert not torch.allclose(starts[0], starts[1])


def test_what_masks_would_do_is_refused_where_none_are_seen(overrides, tmp_path):
    with pytest.raises(UserError, match="mask_dropout=0.5: the method sees no masks"):
        train(configure(overrides, f"run_dir={tmp_path / 'never'}", "method=lamp", "method.mask_dropout=0.5"))
    run = tmp_path / "lamp"
    train(configure(overrides, f"run_dir={run}", "method=lamp", "trainer.max_steps=1", "data.validation=null"))
    pipe = MaskVidPipeline.from_pretrained(run)
    assert pipe.asked(mask_scale=1.0).sampling.mask_scale == 1
    with pytest.raises(UserError, match="mask_scale=2.0: the run's method sees no masks"):
        pipe("[a fox] runs", torch.ones(3, 32, 48), mask_scale=2.0)
