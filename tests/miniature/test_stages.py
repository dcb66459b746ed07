"""Each stage trains through its real classes at tiny width, exports, and is read back by the plain libraries."""

from __future__ import annotations

import math

import numpy as np
import open_clip
import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, StableDiffusionPipeline
from lightning import seed_everything

from maskvid.judges.clip_encoder import load_clip
from maskvid.judges.segmenter import Segmenter
from maskvid.miniature.backbone_stage import BackboneStage, assemble, cached_latents, latent_masks
from maskvid.miniature.clip_stage import ClipStage, positives
from maskvid.miniature.controlnet import ControlNetStage
from maskvid.miniature.segmenter_stage import SegmenterStage, dice_loss
from maskvid.miniature.stage import fit, generator, rate
from maskvid.miniature.vae import VaeStage, bounding_boxes, build, encode, reconstruction_loss, widen

CLIP = {
    "embed_dim": 16,
    "vision": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": [32, 48]},
    "text": {"width": 32, "heads": 2, "layers": 1},
}


def settings(steps: int, **more):
    return {"seed": 3, "lr": 1e-3, "max_steps": steps, "warmup": 1, **more}


def vae_stage(pictures, steps=2, **more):
    seed_everything(0, verbose=False)
    return VaeStage(
        pictures, **{"channels": [8, 8, 16], "batch": 2, "full_batch": 2, "crop": (16, 24), **settings(steps), **more}
    )


def segmenter_stage(pictures, steps=2, **more):
    seed_everything(0, verbose=False)
    return SegmenterStage(pictures, channels=[4, 8], batch=4, **settings(steps), **more)


def clip_stage(pictures, tokenizer, steps=2, **more):
    seed_everything(0, verbose=False)
    return ClipStage(pictures, tokenizer, batch=4, **CLIP, **settings(steps), **more)


def backbone_stage(pictures, tokenizer, steps=2, ema=0.9, **more):
    seed_everything(0, verbose=False)
    vae = build((8, 8, 16), latent_channels=4)
    latents = torch.randn(2, len(pictures), 4, 8, 12, generator=generator(0, 0))
    masks = latent_masks(torch.from_numpy(pictures.masks), (8, 12))
    return BackboneStage(
        latents,
        masks,
        pictures.captions,
        tokenizer,
        vae,
        channels=[16, 16, 32],
        width=32,
        text_layers=1,
        batch=4,
        **settings(steps, ema=ema),
        **more,
    )


def controlnet_stage(pictures, tokenizer, steps=2, **more):
    backbone = backbone_stage(pictures, tokenizer)
    pipeline = assemble(backbone.frozen[0], backbone.unet, backbone.text, tokenizer)
    masks = torch.from_numpy(pictures.masks)[:, None]
    return ControlNetStage(pipeline, backbone.latents, masks, pictures.captions, batch=4, **settings(steps), **more)


def train(stage, folder, **more):
    fit(stage, run=folder / "run", assets=folder / "assets", save_every=2, accelerator="cpu", progress=False, **more)
    return stage


def test_vae_exports_a_diffusers_vae_with_unit_latents(pictures, tmp_path):
    train(vae_stage(pictures, full_from=0.5, ema=0.9), tmp_path)
    vae = AutoencoderKL.from_pretrained(tmp_path / "assets/mini/vae")
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    latents = encode(vae, images)
    assert latents.shape == (16, 4, 8, 12)
    assert float(latents.std() * vae.config.scaling_factor) == pytest.approx(1, rel=0.02)
    assert vae.decode(latents[:1]).sample.shape == (1, 3, 32, 48)


def test_a_frozen_encoder_keeps_latents_and_scale(pictures, tmp_path):
    train(vae_stage(pictures), tmp_path / "a")
    start = tmp_path / "a/assets/mini/vae"
    before = AutoencoderKL.from_pretrained(start)
    train(vae_stage(pictures, start=str(start), freeze_encoder=True), tmp_path / "b")
    after = AutoencoderKL.from_pretrained(tmp_path / "b/assets/mini/vae")
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    torch.testing.assert_close(encode(after, images), encode(before, images), rtol=0, atol=0)
    assert after.config.scaling_factor == before.config.scaling_factor
    changed = [
        not torch.equal(a, b) for a, b in zip(before.decoder.parameters(), after.decoder.parameters(), strict=True)
    ]
    assert any(changed)


def test_widening_copies_means_and_variances_to_their_places():
    narrow, wide = build((8, 8, 16), latent_channels=4), build((8, 8, 16), latent_channels=8)
    widen(narrow, wide)
    frames = torch.randn(2, 3, 32, 48, generator=generator(1, 1))
    with torch.no_grad():
        hidden = narrow.encoder(frames)
        torch.testing.assert_close(wide.encoder(frames)[:, :4], hidden[:, :4])
        torch.testing.assert_close(wide.encoder(frames)[:, 8:12], hidden[:, 4:])


def test_further_blocks_start_as_the_identity():
    narrow, deep = build((16, 24), layers=1), build((16, 24), layers=2)
    widen(narrow, deep)
    frames = torch.rand(2, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        latents = narrow.encode(frames).latent_dist.mean
        assert torch.equal(deep.encode(frames).latent_dist.mean, latents)
        assert torch.equal(deep.decode(latents).sample, narrow.decode(latents).sample)


def test_fidelity_is_the_mean_psnr_but_for_a_factor():
    target, mask = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    output = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.01)])
    plain = reconstruction_loss(output, target, mask)
    more = reconstruction_loss(output, target, mask, fidelity=1.0)
    decibels = -10 * (output / 2).square().mean((1, 2, 3)).log10().mean()
    torch.testing.assert_close(more - plain, -decibels / 10 * math.log(10) + math.log(4))


def test_bounding_boxes_hold_the_mask_exactly():
    masks = np.zeros((2, 10, 20), np.uint8)
    masks[0, 3:7, 5:9] = 255
    assert bounding_boxes(masks).tolist() == [[3, 5, 7, 9], [0, 0, 10, 20]]


def test_segmenter_reloads_to_half_precision(pictures, tmp_path):
    stage = train(segmenter_stage(pictures), tmp_path)
    loaded = Segmenter.from_pretrained(tmp_path / "assets/mini_segmenter")
    frames = torch.from_numpy(pictures.images[:2]).permute(0, 3, 1, 2).float() / 127.5 - 1
    stage.segmenter.eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(frames), stage.segmenter(frames), rtol=0, atol=5e-3)
    assert loaded(frames).shape == (2, 1, 32, 48)


def test_dice_is_zero_for_the_mask_itself_and_near_one_for_its_opposite():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    sure = 40 * (2 * mask - 1)
    assert float(dice_loss(sure, mask)) == pytest.approx(0, abs=1e-5)
    assert float(dice_loss(-sure, mask)) > 0.95


def test_clip_is_read_by_open_clip_with_its_own_tokenizer(pictures, tokenizer, tmp_path):
    stage = train(clip_stage(pictures, tokenizer), tmp_path)
    folder = tmp_path / "assets/mini_clip"
    plain = open_clip.create_model(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a brown horse walks"])
    assert tokens.tolist() == tokenizer(["a brown horse walks"], padding="max_length", max_length=32).input_ids
    stage.clip.eval()
    plain.eval()
    with torch.no_grad():
        torch.testing.assert_close(plain.encode_text(tokens), stage.clip.encode_text(tokens), rtol=0, atol=2e-2)
    encoder = load_clip(folder)
    frames = torch.rand(3, 3, 32, 48) * 2 - 1
    assert encoder.size == (32, 48)
    torch.testing.assert_close(encoder.images(frames).norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(encoder.preprocess(frames), ((frames + 1) / 2 - 0.5) / 0.25)


def test_pictures_of_the_same_attributes_are_all_positive():
    target = positives(np.array([0, 1, 0]))
    assert target.tolist() == [[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]


def test_backbone_exports_a_plain_stable_diffusion_folder(pictures, tokenizer, tmp_path):
    stage = train(backbone_stage(pictures, tokenizer), tmp_path)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "assets/mini")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a brown horse", height=32, width=48, num_inference_steps=2).images[0].size == (48, 32)
    averaged = stage.average["unet.conv_in.weight"]
    torch.testing.assert_close(pipeline.unet.conv_in.weight, averaged, rtol=0, atol=1e-3)
    assert not any(name.startswith("frozen") for name in stage.state_dict())


def test_the_controlnet_learns_beside_a_frozen_unet_and_is_read_by_diffusers(pictures, tokenizer, tmp_path):
    stage = controlnet_stage(pictures, tokenizer)
    before = {name: value.clone() for name, value in stage.frozen[0].state_dict().items()}
    train(stage, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in stage.frozen[0].state_dict().items())
    loaded = ControlNetModel.from_pretrained(tmp_path / "assets/mini_controlnet")
    assert loaded.controlnet_cond_embedding.conv_out.weight.abs().max() > 0  # zero at the start


def test_latents_are_kept_for_one_vae_only(pictures, tmp_path):
    vae = build((8, 8, 16))
    vae.register_to_config(scaling_factor=0.5)
    first = cached_latents(vae, pictures, tmp_path / "latents.pt")
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    torch.testing.assert_close(first[0], 0.5 * encode(vae, images))
    torch.testing.assert_close(first[1], 0.5 * encode(vae, images.flip(-1)))
    assert torch.equal(cached_latents(vae, pictures, tmp_path / "latents.pt"), first)
    other = build((8, 8, 16))
    assert not torch.equal(cached_latents(other, pictures, tmp_path / "latents.pt"), first)


@pytest.mark.parametrize("kind", ["segmenter", "clip", "backbone"])
def test_a_stage_can_start_from_shipped_weights(kind, pictures, tokenizer, tmp_path):
    builders = {
        "segmenter": ("mini_segmenter", lambda **more: segmenter_stage(pictures, **more)),
        "clip": ("mini_clip", lambda **more: clip_stage(pictures, tokenizer, **more)),
        "backbone": ("mini", lambda **more: backbone_stage(pictures, tokenizer, ema=0.0, **more)),
    }
    name, make = builders[kind]
    trained = train(make(), tmp_path).state_dict()
    started = make(start=str(tmp_path / "assets" / name)).state_dict()
    for key, value in trained.items():
        torch.testing.assert_close(started[key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("kind", ["vae", "segmenter", "clip", "backbone", "controlnet"])
def test_resuming_equals_not_stopping(kind, pictures, tokenizer, tmp_path):
    def build_stage(steps):
        if kind == "vae":
            return vae_stage(pictures, steps, ema=0.9, full_from=0.75)
        if kind == "segmenter":
            return segmenter_stage(pictures, steps)
        builders = {"clip": clip_stage, "backbone": backbone_stage, "controlnet": controlnet_stage}
        return builders[kind](pictures, tokenizer, steps)

    whole = train(build_stage(4), tmp_path / "whole")
    first = build_stage(4)
    run = tmp_path / "again"
    interrupt_after(first, 2)
    with pytest.raises(InterruptedError):
        train(first, run)
    second = train(build_stage(4), run)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name


def interrupt_after(stage, steps):
    """Make the step after `steps` fail, as a lost machine would."""
    inner = stage.loss

    def loss(draw):
        if stage.global_step >= steps:
            raise InterruptedError("lost machine")
        return inner(draw)

    stage.loss = loss


def test_the_rate_warms_up_stays_and_falls_to_one_percent():
    values = [rate(step, max_steps=100, warmup=10, decay_from=0.6) for step in (0, 9, 30, 60, 80, 100)]
    assert values == pytest.approx([0.1, 1, 1, 1, 0.505, 0.01])
