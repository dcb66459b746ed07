"""The pipeline as users of diffusers call it: inputs of every kind, adapters on and off, saved and loaded elsewhere."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from huggingface_hub import ModelCard
from PIL import Image

import maskvid.adapters
import maskvid.masks.given
import maskvid.pipeline
from maskvid import MaskVidPipeline
from maskvid.errors import UserError
from maskvid.train import train
from tests.runs import configure, opened


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "run"
    train(configure(overrides, f"run_dir={folder}", "data.validation=null", "optim.learning_rate=0.03"))
    return folder


@pytest.fixture(scope="module")
def other(overrides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "other"
    train(configure(overrides, f"run_dir={folder}", "data.validation=null", "optim.learning_rate=0.03", "seed=7"))
    return folder


@pytest.fixture
def pipe(run) -> MaskVidPipeline:
    return opened(run)


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    masks = np.zeros((5, 32, 48), bool)
    for frame in range(5):
        masks[frame, 8:24, 8 + 2 * frame : 24 + 2 * frame] = True
    return masks


def seed(number: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def made(pipe, masks, **more) -> torch.Tensor:
    options = {"num_frames": 3, "generator": seed(), "output_type": "pt", **more}
    return pipe("[a fox] runs", masks, **options).frames


def test_the_examples_of_the_docstrings_run(run, masks):
    clip = [Image.fromarray(np.full((32, 48, 3), 40 * frame, np.uint8)) for frame in range(3)]
    for module in (maskvid.pipeline, maskvid.adapters, maskvid.masks.given):
        found = doctest.testmod(
            module, extraglobs={"run": run, "masks": masks, "clip": clip}, optionflags=doctest.ELLIPSIS
        )
        assert found.failed == 0, module.__name__
    assert doctest.testmod(maskvid.pipeline, extraglobs={"run": run, "masks": masks, "clip": clip}).attempted >= 8


def test_same_generator_same_video_and_alone_as_beside_others(pipe, masks):
    video = made(pipe, masks)
    assert video.shape == (1, 3, 3, 32, 48)
    assert torch.equal(made(pipe, masks), video)
    assert not torch.equal(made(pipe, masks, generator=seed(2)), video)
    both = made(pipe, masks, num_videos_per_prompt=2, generator=[seed(1), seed(2)])
    assert torch.equal(both[:1], video)
    assert torch.equal(both[1:], made(pipe, masks, generator=seed(2)))


def test_masks_of_every_kind_mean_the_same(pipe, masks, tmp_path):
    video = made(pipe, masks)
    np.savez(tmp_path / "masks.npz", masks=masks[:3])
    pictures = [Image.fromarray(np.uint8(255 * mask)) for mask in masks]
    for given in (
        masks.astype(np.uint8), 255 * masks.astype(np.uint8), torch.from_numpy(masks), torch.from_numpy(masks).float(),
        torch.from_numpy(masks)[:, None], masks[..., None], pictures, list(masks), str(tmp_path / "masks.npz"),
    ):  # fmt: skip
        assert torch.equal(made(pipe, given), video)


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (np.zeros((3, 32, 48)), "empty mask"),
        (np.ones((3, 32, 48)), "inverted mask"),
        (np.full((3, 32, 48), np.nan), "values from nan"),
        (np.full((3, 32, 48), 256), "values from 256"),
        (np.zeros((3, 2, 32, 48)), "give .f, h, w."),
        ([Image.new("L", (48, 32)), Image.new("L", (32, 32)), Image.new("L", (48, 32))], "several sizes"),
        ([], "several sizes, or none"),
        (np.eye(32)[None].repeat(2, 0), "2 for 3 frames"),
        (None, "masks=None"),
    ],
)
def test_masks_that_are_none_are_refused(pipe, masks, words):
    with pytest.raises(UserError, match=words):
        made(pipe, masks)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"height": 33}, "height=33: sides must divide by 8"),
        ({"width": 50}, "width=50"),
        ({"num_frames": 1}, "num_frames=1"),
        ({"num_inference_steps": 0}, "num_inference_steps=0"),
        ({"guidance_scale": -1.0}, "guidance_scale=-1"),
        ({"output_type": "gif"}, "output_type='gif'"),
        ({"generator": [seed(), seed()]}, "generator: give one, or a list of 1"),
        ({"num_videos_per_prompt": 0}, "generator"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "'noise' is none of latents"),
        ({"image": np.zeros((4, 4))}, "image: ndarray"),
        ({"num_frames": 5, "latents": torch.zeros(1, 5, 4, 8, 12)}, "latents are given"),
        ({"num_frames": 5, "output_type": "latent"}, "at most 3 frames"),
    ],
)
def test_what_cannot_be_made_is_refused(pipe, masks, more, words):
    with pytest.raises(UserError, match=words):
        made(pipe, masks, **more)


@pytest.mark.parametrize("prompt", ["", " ", 5, None, ["[a fox] runs", ""]])
def test_prompts_that_are_none_are_refused(pipe, masks, prompt):
    with pytest.raises(UserError, match="prompt"):
        pipe(prompt, masks, num_frames=3)


def test_more_frames_than_a_window_are_made_in_segments_and_one_by_one(pipe, masks):
    whole = made(pipe, masks, num_frames=5)
    assert whole.shape == (1, 5, 3, 32, 48)
    pictures = list(pipe.long("[a fox] runs", masks, num_frames=5, generator=seed()))
    shown = np.stack([np.asarray(picture) for picture in pictures])
    assert np.array_equal(shown, (whole[0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8))
    assert torch.equal(whole[:, :3], made(pipe, masks, num_frames=3))


def test_an_image_begins_the_video(pipe, masks):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    video = made(pipe, masks, image=Image.fromarray(image))
    assert torch.equal(made(pipe, masks, image=image), video)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    assert torch.equal(made(pipe, masks, image=tensor), video)
    assert not torch.equal(made(pipe, masks)[:, 0], video[:, 0])


def test_output_types_and_tuples(pipe, masks):
    video = made(pipe, masks)
    arrays = made(pipe, masks, output_type="np")
    assert np.array_equal(arrays[0], video[0].permute(0, 2, 3, 1).numpy())
    [pictures] = made(pipe, masks, output_type="pil")
    assert [picture.size for picture in pictures] == [(48, 32)] * 3
    latents = made(pipe, masks, output_type="latent")
    assert latents.shape == (1, 3, 4, 8, 12)
    decoded = pipe.backbone.decode_latents(latents[0])
    torch.testing.assert_close((decoded + 1) / 2, video[0])
    (same,) = pipe("[a fox] runs", masks, num_frames=3, generator=seed(), output_type="pt", return_dict=False)
    assert torch.equal(same, video)


def test_what_a_prompt_embeds_to_takes_its_place(pipe, masks):
    image = np.full((32, 48, 3), 99, np.uint8)
    video = made(pipe, masks, image=image)
    embedded = pipe.encode_prompt("[a fox] runs")
    same = pipe(
        masks=masks, num_frames=3, image=image, prompt_embeds=embedded, generator=seed(), output_type="pt"
    ).frames
    assert torch.equal(same, video)
    negative = made(pipe, masks, image=image, guidance_scale=3.0, negative_prompt="a bird")
    assert not torch.equal(negative, made(pipe, masks, image=image, guidance_scale=3.0))
    given = pipe.encode_prompt("a bird")
    assert torch.equal(negative, made(pipe, masks, image=image, guidance_scale=3.0, negative_prompt_embeds=given))
    with pytest.raises(UserError, match="give it, or prompt_embeds in its place"):
        made(pipe, masks, prompt_embeds=embedded)
    with pytest.raises(UserError, match="painted from a prompt"):
        pipe(masks=masks, num_frames=3, prompt_embeds=embedded)


def test_callbacks_see_each_step_change_latents_and_stop(pipe, masks):
    seen = []

    def look(given, step, timestep, tensors):
        seen.append((given is pipe, step, int(timestep), tensors["latents"].shape))
        return {}

    video = made(pipe, masks, num_inference_steps=3, callback_on_step_end=look)
    assert [step for _, step, _, _ in seen] == [0, 1, 2]
    assert all(mine and shape == (1, 3, 4, 8, 12) for mine, _, _, shape in seen)
    assert seen[0][2] > seen[1][2] > seen[2][2]

    def darken(given, step, timestep, tensors):
        return {"latents": tensors["latents"] * 0}

    assert not torch.equal(made(pipe, masks, num_inference_steps=3, callback_on_step_end=darken), video)

    def stop(given, step, timestep, tensors):
        seen.append(step)
        given._interrupt = True
        return {}

    seen.clear()
    made(pipe, masks, num_inference_steps=3, callback_on_step_end=stop)
    assert seen == [0]
    assert made(pipe, masks, num_frames=5, callback_on_step_end=stop).shape[1] == 3  # the first segment, unfinished
    assert len(made(pipe, masks, num_videos_per_prompt=2, callback_on_step_end=stop)) == 1
    assert torch.equal(made(pipe, masks, num_inference_steps=3), video)


def test_latents_to_start_from(pipe, masks):
    start = torch.randn(1, 3, 4, 8, 12, generator=seed(3))
    one, other = (made(pipe, masks, latents=part, generator=seed(4)) for part in (start, -start))
    assert torch.equal(one, made(pipe, masks, latents=start, generator=seed(4)))
    assert not torch.equal(one, other)


def test_any_compatible_scheduler(pipe, masks):
    video = made(pipe, masks)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    assert not torch.equal(made(pipe, masks), video)
    pipe.scheduler = type("NoScheduler", (EulerDiscreteScheduler,), {}).from_config(pipe.scheduler.config)
    with pytest.raises(UserError, match="scheduler=NoScheduler"):
        made(pipe, masks)


def test_adapters_mix_and_come_off(run, other, tiny_backbone, masks):
    plain = StableDiffusionPipeline.from_pretrained(tiny_backbone, safety_checker=None)
    pipe = MaskVidPipeline(**plain.components)
    with pytest.raises(UserError, match="call load_adapter"):
        made(pipe, masks)
    unet, before = pipe.unet, dict(pipe.unet.attn_processors)
    noise = torch.randn(1, 4, 8, 12, generator=seed())
    text = torch.randn(1, 7, unet.config.cross_attention_dim, generator=seed())
    wanted = unet(noise, 5, text).sample
    pipe.load_adapter(run)
    first = made(pipe, masks)
    pipe.load_adapter(other, name="second")
    both = made(pipe, masks)
    assert not torch.equal(first, both)
    pipe.set_adapters([str(run), "second"], [1.0, 0.0])
    torch.testing.assert_close(made(pipe, masks), first, atol=1e-3, rtol=0)
    with pytest.raises(UserError, match="no adapter 'third'"):
        pipe.set_adapters(["third"], [1.0])
    pipe.unload_adapter()
    assert pipe.unet.attn_processors == before
    assert not any(module._forward_hooks for module in unet.modules())
    assert torch.equal(unet(noise, 5, text).sample, wanted)
    with pytest.raises(UserError, match="call load_adapter"):
        made(pipe, masks)
    pipe.load_adapter(run)
    assert torch.equal(made(pipe, masks), first)


def test_an_adapter_of_another_backbone_is_refused_and_the_former_stays(pipe, run, masks, tmp_path):
    video = made(pipe, masks)
    pipe.backbone.fingerprint = "of another"
    with pytest.raises(UserError, match="trained on other weights"):
        pipe.load_adapter(run, name="again")
    with pytest.raises(UserError, match=r"no adapter\.safetensors"):
        pipe.load_adapter(tmp_path)
    assert torch.equal(made(pipe, masks), video)


def test_a_damaged_adapter_leaves_the_unet_as_it_was(pipe, run, other, masks, tiny_backbone, tmp_path):
    video = made(pipe, masks)
    shutil.copytree(other / "adapter", tmp_path / "bad")
    weights = tmp_path / "bad" / "adapter.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"\x01" * 8)
    with pytest.raises(UserError, match="not what adapter.json belongs to"):
        pipe.load_adapter(tmp_path / "bad")
    assert torch.equal(made(pipe, masks), video)
    plain = MaskVidPipeline(**StableDiffusionPipeline.from_pretrained(tiny_backbone, safety_checker=None).components)
    before = dict(plain.unet.attn_processors)
    with pytest.raises(UserError, match="not what adapter.json belongs to"):
        plain.load_adapter(tmp_path / "bad")
    assert plain.unet.attn_processors == before
    assert not any(module._forward_hooks for module in plain.unet.modules())


def test_saved_and_loaded_in_another_process_it_gives_the_same_latents(pipe, masks, tmp_path):
    latents = made(pipe, masks, output_type="latent")
    pipe.save_pretrained(tmp_path / "saved")
    np.save(tmp_path / "masks.npy", masks)
    code = f"""
import numpy as np, torch
from maskvid import MaskVidPipeline
pipe = MaskVidPipeline.from_pretrained({str(tmp_path / "saved")!r})
masks = np.load({str(tmp_path / "masks.npy")!r})
made = pipe("[a fox] runs", masks, num_frames=3, generator=torch.Generator().manual_seed(1), output_type="latent")
torch.save(made.frames, {str(tmp_path / "latents.pt")!r})
import sys
assert not {{"hydra", "lightning", "wandb"}} & sys.modules.keys(), "the programs' libraries are loaded"
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    assert torch.equal(torch.load(tmp_path / "latents.pt", weights_only=True), latents)
    assert StableDiffusionPipeline.from_pretrained(tmp_path / "saved").unet is not None  # what it is to others


def test_a_hub_id_is_fetched_and_what_is_not_there_is_a_sentence(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("maskvid.adapters.snapshot_download", lambda name, **_: str(run))
    assert MaskVidPipeline.from_pretrained("somebody/horse").run.clips.num_frames == 3

    def gone(name, **_):
        raise OSError("no network")

    monkeypatch.setattr("maskvid.adapters.snapshot_download", gone)
    with pytest.raises(UserError, match="somebody/horse: there is no such folder, and the hub does not give it: no"):
        MaskVidPipeline.from_pretrained("somebody/horse")


def test_it_is_pushed_to_the_hub_whole(pipe, masks, tmp_path, monkeypatch):
    """Backbone and adapter together, so that whoever has this package loads it by the id alone."""
    latents = made(pipe, masks, output_type="latent")
    hub = "diffusers.utils.hub_utils"
    monkeypatch.setattr(f"{hub}.create_repo", lambda name, **_: SimpleNamespace(repo_id=name))
    monkeypatch.setattr(f"{hub}.load_or_create_model_card", lambda *_, **__: ModelCard("---\n{}\n---\n"))
    monkeypatch.setattr(
        MaskVidPipeline, "_upload_folder", lambda self, folder, name, **_: shutil.copytree(folder, tmp_path / name)
    )
    pipe.push_to_hub("somebody/horse")
    monkeypatch.setattr("maskvid.adapters.snapshot_download", lambda name, **_: str(tmp_path / name))
    loaded = MaskVidPipeline.from_pretrained("somebody/horse")
    assert loaded.backbone.path == str(tmp_path / "somebody" / "horse")  # not where the run's lies
    assert torch.equal(made(loaded, masks, output_type="latent"), latents)


def test_parts_that_wait_elsewhere_make_the_same_video(run, pipe, masks, monkeypatch):
    """diffusers moves each part to the device just while it computes; here that is the same one, by the same hooks."""
    video = made(pipe, masks)
    offloaded = MaskVidPipeline.from_pretrained(run)
    offloaded.set_progress_bar_config(disable=True)
    offloaded.enable_model_cpu_offload(device="cpu")
    assert torch.equal(made(offloaded, masks), video)
    # Inputs go where a part computes, not where it lies.
    seen = []

    def decode(latents):
        seen.append(latents.device)
        return SimpleNamespace(sample=torch.zeros(1, 3, 32, 48))

    monkeypatch.setattr(offloaded.vae, "decode", decode)
    monkeypatch.setattr(offloaded.vae._hf_hook, "execution_device", torch.device("meta"))
    offloaded.backbone.decode_latents(torch.zeros(1, 4, 8, 12))
    assert seen == [torch.device("meta")]


def test_masks_have_a_guidance_of_their_own(pipe, masks):
    picture = Image.fromarray(np.full((32, 48, 3), 90, np.uint8))
    video = made(pipe, masks, image=picture)
    assert torch.equal(made(pipe, masks, image=picture, mask_scale=1.0), video)
    assert not torch.equal(made(pipe, masks, image=picture, mask_scale=2.0), video)
    # Without masks it does not matter where they are.
    off = {"image": picture, "mask_scale": 0.0, "guidance_scale": 1.0}
    here, there = (made(pipe, one, **off) for one in (masks, np.roll(masks, 9, axis=-1)))
    torch.testing.assert_close(here, there, atol=1e-4, rtol=0)
    assert not torch.allclose(here, video, atol=1e-2)


def test_a_mixture_is_not_saved(pipe, other, tmp_path):
    pipe.load_adapter(other)
    with pytest.raises(UserError, match="a mixture is not saved"):
        pipe.save_pretrained(tmp_path)


def test_half_precision_leaves_the_adapter_as_it_is(run, masks):
    dtype = torch.bfloat16
    pipe = MaskVidPipeline.from_pretrained(run, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.unet.dtype == dtype
    assert {value.dtype for value in pipe.inflated.steering.parameters()} == {torch.float32}
    pipe.to("cpu")
    assert {value.dtype for value in pipe.inflated.steering.parameters()} == {torch.float32}
    assert made(pipe, masks).isfinite().all()


def test_an_edit_keeps_its_background(pipe, masks):
    clip = torch.rand(3, 3, 32, 48, generator=seed(5)).mul(2).sub(1)
    asked = partial(pipe.edit, "[a zebra] runs", clip, masks, num_inference_steps=2, output_type="pt")
    edited = asked().frames
    assert edited.shape == (1, 3, 3, 32, 48)
    assert torch.equal(edited, asked().frames)
    beyond = torch.nn.functional.max_pool2d(torch.from_numpy(masks[:3]).float()[:, None], 25, 1, 12) == 0
    assert beyond.any()
    kept = (edited[0] - (clip + 1) / 2).abs().amax(1, keepdim=True)[beyond]
    assert kept.max() < 1e-6  # the source's own pixels, not what the VAE makes of them
    free = asked(keep_background=False).frames
    assert (free[0] - (clip + 1) / 2).abs().amax(1, keepdim=True)[beyond].max() > 0.01
    with pytest.raises(UserError, match="edit at most the 3"):
        pipe.edit("[a zebra] runs", torch.zeros(5, 3, 32, 48), masks)
