"""Long videos and edits through their entry points."""

from pathlib import Path

import decord
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from PIL import Image

from maskvid.config import CONF
from maskvid.edit import edit
from maskvid.entry import quote_values
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import train
from tests.backbones import save_backbone
from tests.data.tiny import make_frames, write_mp4
from tests.model.test_control import save_controlnet
from tests.runs import configure, configure_generate


def test_a_picture_begins_the_video(run, triples, tmp_path):
    pixels = make_frames()[3]
    Image.fromarray(pixels).save(tmp_path / "first.png")
    write_mp4(tmp_path / "first.mp4", np.stack([pixels] * 2))
    by_picture, by_video = (
        generate(configure_generate(run, triples, f"out={tmp_path / kind}", f"first_frame={tmp_path}/first.{kind}"))
        for kind in ("png", "mp4")
    )
    painted = generate(configure_generate(run, triples, f"out={tmp_path / 'c'}"))
    first, second, other = (frames(paths[0])[0].astype(int) for paths in (by_picture, by_video, painted))
    assert np.abs(first - second).mean() < 6  # but for the codec, through a VAE of random weights
    assert np.abs(first - other).mean() > np.abs(first - second).mean()


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(configure(overrides, f"run_dir={folder}", "trainer.max_steps=2", "trainer.limit_val_batches=1"))
    return folder


def frames(path) -> np.ndarray:
    return decord.VideoReader(str(path)).get_batch(range(len(decord.VideoReader(str(path))))).asnumpy()


def test_a_video_longer_than_the_window_begins_like_the_short_one(run, triples, tmp_path):
    short = generate(configure_generate(run, triples, f"out={tmp_path / 'a'}", "mask_fps=4"))[0]
    long = generate(configure_generate(run, triples, f"out={tmp_path / 'b'}", "mask_fps=4", "num_frames=9"))[0]
    assert len(frames(short)) == 3
    assert len(frames(long)) == 9
    assert decord.VideoReader(str(long)).get_avg_fps() == 4  # that of the run's windows
    assert np.load(long.with_suffix(".mask.npz"))["fps"] == 4
    assert np.abs(frames(long)[:3].astype(int) - frames(short)).mean() < 2  # but for the video codec
    assert long.with_suffix(".png").exists()


def test_first_frames_are_led_by_the_mask_where_there_is_a_controlnet(overrides, triples, tmp_path):
    more = [f"backbone.controlnet={save_controlnet(tmp_path / 'control')}", "sampling.first_frame=controlnet"]
    train(configure(overrides, f"run_dir={tmp_path / 'run'}", *more, "trainer.max_steps=1"))
    led = generate(configure_generate(tmp_path / "run", triples, f"out={tmp_path / 'a'}"))[0]
    plain = [f"out={tmp_path / 'b'}", "sampling.first_frame=text_to_image"]
    free = generate(configure_generate(tmp_path / "run", triples, *plain))[0]
    assert np.abs(frames(led)[0].astype(int) - frames(free)[0]).mean() > 0.5


def test_a_controlnet_can_be_given_after_tuning(run, triples, tmp_path):
    control = f"backbone.controlnet={save_controlnet(tmp_path / 'control')}"
    led = generate(configure_generate(run, triples, f"out={tmp_path / 'a'}", control))[0]
    free = generate(configure_generate(run, triples, f"out={tmp_path / 'b'}"))[0]
    assert np.abs(frames(led)[0].astype(int) - frames(free)[0]).mean() > 0.5


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_half_precision_weights_train_and_generate(kind, overrides, triples, tmp_path):
    backbone = [f"backbone.path={save_backbone(tmp_path / kind, kind)}", "backbone.dtype=bfloat16"]
    run = tmp_path / "run"
    train(configure(overrides, f"run_dir={run}", *backbone, "trainer.precision=bf16-mixed", "trainer.max_steps=1"))
    assert len(frames(generate(configure_generate(run, triples, f"out={tmp_path}"))[0])) == 3


def test_a_controlnet_asked_for_must_be_there(overrides, tmp_path):
    with pytest.raises(UserError, match="give backbone.controlnet"):
        train(configure(overrides, f"run_dir={tmp_path}", "sampling.first_frame=controlnet"))


def test_windows_of_two_frames_make_videos_of_two(overrides, triples, tmp_path):
    train(
        configure(overrides, f"run_dir={tmp_path}", "data.num_frames=2", "method.trained=false", "data.validation=null")
    )
    assert len(frames(generate(configure_generate(tmp_path, triples, f"out={tmp_path / 'a'}"))[0])) == 2
    with pytest.raises(UserError, match=r"num_frames=3: the run's windows of 2 frames leave no room"):
        generate(configure_generate(tmp_path, triples, "num_frames=3"))


def test_a_given_first_frame_needs_no_painter(run, triples, tmp_path):
    Image.fromarray(make_frames()[3]).save(tmp_path / "first.png")
    given = f"first_frame={tmp_path}/first.png"
    with pytest.raises(
        UserError, match=r"backbone\.safety_checker=False: it has no effect where first_frame is a picture"
    ):
        generate(configure_generate(run, triples, given, "backbone.safety_checker=false"))
    with pytest.raises(UserError, match=r"backbone\.safety_checker=False: it has no effect in an edit"):
        edit(configure_edit(run, triples, "backbone.safety_checker=false"))


@pytest.mark.parametrize("nothing", ["backbone.path=", "backbone.dtype=", "data.cache_dir="])
def test_what_must_be_something_is_not_set_to_nothing(run, triples, nothing):
    with pytest.raises(UserError, match=f"{nothing}: it cannot be nothing"):
        generate(configure_generate(run, triples, nothing))


def test_a_run_of_float32_generates_with_a_backbone_in_half_precision(run, triples, tmp_path):
    videos = generate(configure_generate(run, triples, f"out={tmp_path}", "backbone.dtype=bfloat16"))
    assert [len(frames(path)) for path in videos] == [3, 3]


def test_methods_without_a_clean_frame_make_no_long_video(overrides, triples, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method=text2video_zero", "data.validation=null"))
    with pytest.raises(UserError, match="num_frames=9"):
        generate(configure_generate(tmp_path, triples, "mask_fps=4", "num_frames=9"))


def configure_edit(run, triples, *more):
    common = [f"run={run}", "prompt='[a fox] runs'", f"masks={triples}/one.npz", f"source={triples}/one.mp4"]
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("edit", overrides=[*common, *more])


def test_an_edit_writes_video_and_strip_and_keeps_the_background(run, triples, tmp_path):
    [kept] = edit(configure_edit(run, triples, f"out={tmp_path / 'a'}"))
    [free] = edit(configure_edit(run, triples, f"out={tmp_path / 'b'}", "keep_background=false"))
    assert kept.with_suffix(".png").exists()
    assert decord.VideoReader(str(kept)).get_avg_fps() == 4
    assert np.abs(frames(kept).astype(int) - frames(free)).mean() > 0.5


def test_an_edits_first_frame_is_led_by_its_mask_where_there_is_a_controlnet(run, triples, tmp_path):
    few = ["sampling.num_inference_steps=3", "keep_background=false"]
    [free] = edit(configure_edit(run, triples, f"out={tmp_path / 'a'}", *few))
    control = f"backbone.controlnet={save_controlnet(tmp_path / 'control')}"
    [led] = edit(configure_edit(run, triples, f"out={tmp_path / 'b'}", *few, control))
    assert np.abs(frames(led)[0].astype(int) - frames(free)[0]).mean() > 0.5


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["num_frames=5"], "windows have 3"),
        (["mask_fps=80"], "masks="),
        (["source=/nowhere.mp4"], "nowhere"),
    ],
)
def test_bad_requests_name_what_is_wrong(run, triples, more, words):
    with pytest.raises(UserError, match=words):
        edit(configure_edit(run, triples, *more))


def test_a_source_shorter_than_its_masks_is_refused(run, triples, tmp_path):
    write_mp4(tmp_path / "short.mp4", make_frames()[:4])
    with pytest.raises(UserError, match="has 4 frames"):
        edit(configure_edit(run, triples, f"source={tmp_path / 'short.mp4'}"))


def test_runs_mix_and_misfits_are_named(run, overrides, triples, tmp_path):
    more = [f"run_dir={tmp_path / 'other'}", "seed=7", "trainer.max_steps=2", "data.validation=null"]
    train(configure(overrides, *more))
    mixed = configure_generate(run, triples, f"run=[{run},{tmp_path / 'other'}]", "mix=[0.7,0.3]", f"out={tmp_path}")
    assert [path.exists() for path in generate(mixed)] == [True, True]
    states = [MaskVidPipeline.from_pretrained([run], weights=[0.5]).inflated.steering.state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    with pytest.raises(UserError, match="3 shares for 2 runs"):
        generate(configure_generate(run, triples, f"run=[{run},{tmp_path / 'other'}]", "mix=[1,1,1]"))
    train(configure(overrides, f"run_dir={tmp_path / 'lamp'}", "method=lamp", "method.trained=false"))
    with pytest.raises(UserError, match="its method is not that of"):
        generate(configure_generate(run, triples, f"run=[{run},{tmp_path / 'lamp'}]"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["height=36"], r"^height=36: .*32 or 40"),
        (["width=50"], r"^width=50: .*48 or 56"),
        (["num_frames=1"], r"^num_frames=1: .*2 or more"),
        (["num_frames=0"], r"^num_frames=0"),
        (["first_frame={triples}"], "first_frame=.*is a folder"),
        (["backbone.control_picture=edge"], r"control_picture=edge: it has no effect without a ControlNet"),
        (["data.cache_dir=elsewhere"], r"data.cache_dir=elsewhere: it has no effect"),
        (["first_frame={triples}/one.mp4", "sampling.first_frame=text_to_image"], "first_frame.*no effect"),
        (["sampling.first_frame=given"], "first_frame=PICTURE"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_any_work(run, triples, tmp_path, more, words):
    more = [entry.format(triples=triples) for entry in more]
    with pytest.raises(UserError, match=words):
        generate(configure_generate(run, triples, f"out={tmp_path / 'out'}", *more))
    assert not (tmp_path / "out").exists()


def test_an_edits_sizes_are_refused_before_any_work(run, triples):
    with pytest.raises(UserError, match=r"^height=36: .*32 or 40"):
        edit(configure_edit(run, triples, "height=36"))
    with pytest.raises(UserError, match=r"^num_frames=1"):
        edit(configure_edit(run, triples, "num_frames=1"))


NOWHERE = Path("/nowhere")
REFUSED = [
    ("num_frames=0", "num_frames=0: give 1 to 16384"),
    ("mask_fps=0", "mask_fps=0.0"),
    ("threads=-3", "threads=-3: give 1 to 1024"),
    ("sampling.num_inference_steps=0", "sampling.num_inference_steps=0: give 1 to 1000"),
    ("sampling.num_inference_steps=1001", "num_inference_steps=1001"),
    ("sampling.guidance_scale=-1", "sampling.guidance_scale=-1.0: give 0 or more"),
    ("sampling.guidance_scale=nan", "sampling.guidance_scale=nan: give a finite number"),
    ("sampling.adain_fraction=2", "sampling.adain_fraction=2.0: give 0 to 1"),
    ("backbone.controlnet_scale=-1", "backbone.controlnet_scale=-1"),
    ("mix=[inf]", "mix=inf: give a finite number"),
    ("run=[]", "give a run directory"),
    ("prompt=[]", "give a text"),
    ("prompt=7", "give a text"),
    ("device=abacus", "device=abacus"),
    ("masks=/nowhere.npz", "masks: missing file: /nowhere.npz"),
    ("out={triples}/one.mp4", "is a file; give a folder"),
    ("out={triples}/one.mp4/deeper", "one.mp4 is a file; give a folder"),
    ("run={triples}", "run=.*no adapter.safetensors there"),
    ("run={triples}/one.mp4", "run=.*no adapter.safetensors there|is a file"),
]


@pytest.mark.parametrize(("override", "words"), REFUSED)
def test_values_out_of_range_are_refused_by_their_full_name(triples, override, words):
    override = override.format(triples=triples)
    with pytest.raises(UserError, match=words):
        generate(configure_generate(NOWHERE, triples, override))
    with pytest.raises(UserError, match=words):
        edit(configure_edit(NOWHERE, triples, override))


def test_values_of_generate_alone_are_refused(triples):
    for override, words in (
        ("seed=-1", "seed=-1: give 0 to"),
        ("sampling.first_frame=drawn", "choose one of given"),
        ("sampling.first_frame_guidance_scale=-1", "first_frame_guidance_scale=-1"),
        ("first_frame=/nowhere.png", "first_frame: missing file: /nowhere.png"),
    ):
        with pytest.raises(UserError, match=words):
            generate(configure_generate(NOWHERE, triples, override))


@pytest.mark.parametrize("key", ["samples=2", "perturb=shift", "perturb_strength=2"])
def test_what_only_an_evaluation_does_is_no_key_of_a_request(triples, key):
    with pytest.raises(ConfigCompositionException, match="sampling"):
        configure_generate(NOWHERE, triples, f"sampling.{key}")
    with pytest.raises(ConfigCompositionException, match="sampling"):
        configure_edit(NOWHERE, triples, f"sampling.{key}")


@pytest.mark.parametrize("key", ["seed=3", "sampling.first_frame=controlnet", "sampling.first_frame_guidance_scale=3"])
def test_an_edit_has_no_key_for_what_it_does_not_draw(triples, key):
    with pytest.raises(ConfigCompositionException):
        configure_edit(NOWHERE, triples, key)


def test_home_is_known_behind_an_equals_sign(run, triples, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(run.parent))
    typed = quote_values([f"run=~/{run.name}", "out=~/made"])
    [path] = generate(configure_generate(run, triples, *typed, "prompt='[a fox] runs'"))
    assert path.parent == run.parent / "made"
