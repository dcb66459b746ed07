"""Several subjects, a mask each: from brackets and files to attention, the first frame, figures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskvid import MaskVidPipeline
from maskvid.clip import softened
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.masks.objects import objects_in
from maskvid.masks.video import read_subjects
from maskvid.media.times import evenly
from maskvid.metrics.subjects import looks_like_itself, object_ious, subject_crops
from maskvid.model import InflatedUNet
from maskvid.model.regions import parted, regions_of
from maskvid.model.registration import recomposed
from maskvid.prompt import parse_prompt
from maskvid.train import train
from tests.backbones import tiny_unet
from tests.model.test_inflate import clip
from tests.runs import configure, configure_generate, opened

TWO = "[a fox] chases [a bird]"


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "run"
    more = ("data.validation=null", "optim.learning_rate=0.03", "optim.mask_learning_rate=0.03", "method.rough_masks=1")
    train(configure(overrides, f"run_dir={folder}", *more))
    return folder


@pytest.fixture
def pipe(run) -> MaskVidPipeline:
    return opened(run)


@pytest.fixture(scope="module")
def objects() -> np.ndarray:
    """Two blocks that move apart, (6, 2, 32, 48)."""
    masks = np.zeros((6, 2, 32, 48), np.uint8)
    for frame in range(6):
        masks[frame, 0, 8:24, 12 - frame : 24 - frame] = 255
        masks[frame, 1, 12:28, 24 + frame : 36 + frame] = 255
    return masks


def made(pipe, prompt, masks, **more) -> torch.Tensor:
    options = {"num_frames": 3, "generator": torch.Generator().manual_seed(1), "output_type": "latent"}
    return pipe(prompt, masks, image=Image.new("RGB", (48, 32), "grey"), **options | more).frames


def test_each_subject_agrees_with_itself_and_the_ground_with_the_ground():
    masks = torch.zeros(1, 2, 2, 4, 6)
    masks[:, :, 0, :, :2] = 1
    masks[:, :, 1, :, 3:5] = 1
    regions = regions_of(masks, (4, 6))[24]
    bias = regions.agreement[0, 0] @ regions.masks[0, 1].T  # (p, q)
    tokens, ground = regions.masks[0, 0], 1 - regions.masks[0, 0].sum(-1, keepdim=True)
    wanted = tokens @ tokens.T + ground @ ground.T
    # equal but for what is constant over keys
    torch.testing.assert_close(bias - bias.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True))
    rough = regions_of(masks, (4, 6), torch.ones(1))[24]
    torch.testing.assert_close(rough.agreement, 0.2 * regions.agreement)
    torch.testing.assert_close(rough.masks, softened(regions.masks, torch.ones(1)))


def test_one_subject_is_what_it_was_to_the_bit():
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4).eval()
    for parameter in video.steering.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    latents, timesteps, text, steer = clip("mini")
    with torch.no_grad():
        alone = video(latents, timesteps, text, **steer)
        given = {"objects": steer["masks"], "subjects": steer["subject"].unsqueeze(1)}
        assert torch.equal(video(latents, timesteps, text, **steer, **given), alone)


@torch.no_grad()
def test_words_bind_to_their_own_mask():
    """At a token of one object the layer attends to that object's words; where no object is, to neither's."""
    off = {"mask_input": False, "mask_pyramid": False, "subject_branch": False, "first_frame_input": False}
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, cross_attention_strength=40.0, **off).eval()
    attn = video.unet.get_submodule("up_blocks.2.attentions.0.transformer_blocks.0.attn2")
    latents, timesteps, text, steer = clip("mini")
    objects = torch.zeros(2, 4, 2, 64, 96)
    objects[..., 0, 16:48, :32], objects[..., 1, 16:48, 64:] = 1, 1
    subjects = torch.zeros(2, 2, 8)
    subjects[:, 0, 1], subjects[:, 1, 2] = 1, 1
    seen = []
    attn.register_forward_hook(lambda module, args, out: seen.append(out.unflatten(0, (2, 4))))
    steer |= {"masks": objects.amax(2, keepdim=True)}
    video(latents, timesteps, text, **steer, objects=objects, subjects=subjects)
    out = seen[0][:, 1:].unflatten(2, (16, 24))
    for place, token in (((8, 2), 1), ((8, 20), 2)):
        wanted = attn.to_out[0](attn.to_v(text[:, token]))
        torch.testing.assert_close(out[:, :, *place], wanted.unsqueeze(1).expand(-1, 3, -1), atol=1e-4, rtol=1e-4)
    neither = out[:, :, 8, 12]
    for token in (1, 2):
        assert (neither - attn.to_out[0](attn.to_v(text[:, token])).unsqueeze(1)).abs().amax(-1).min() > 1e-3


def test_bodies_that_touch_are_parted_and_others_are_not():
    masks = torch.zeros(1, 1, 2, 64, 96)
    masks[..., 0, 20:40, 10:40], masks[..., 1, 20:40, 40:70] = 1, 1
    [union] = parted(masks)[0, 0]
    assert union[30, 39:41].tolist() == [0, 0]
    assert union[30, [20, 37, 42, 60]].tolist() == [1, 1, 1, 1]
    masks[..., 1, :, :] = masks[..., 1, :, :].roll(10, -1)
    assert torch.equal(parted(masks), masks.amax(2, keepdim=True))


def test_where_masks_overlap_the_later_subject_stands_in_front(pipe):
    masks = torch.zeros(3, 2, 32, 48)
    masks[:, 0, 8:24, 8:32], masks[:, 1, 8:24, 24:40] = 1, 1
    clip = pipe.clip(TWO, masks)
    assert clip.objects[0, 0, :, 12].argmax(0)[[10, 28, 36]].tolist() == [0, 1, 1]
    assert clip.objects.sum(2).max() == 1
    [union] = parted(clip.objects)[0, 0]
    assert union[12, [10, 28, 36]].tolist() == [1, 1, 1]  # what is covered twice is no hole


def test_the_first_frame_is_brought_to_each_subjects_own_mask():
    masks = torch.zeros(1, 2, 2, 64, 96)
    masks[0, :, 0, 20:44, :24], masks[0, :, 1, 20:44, 72:] = 1, 1
    masks[0, 1, 0] = masks[0, 0, 0].roll(40, -1)  # one goes, the other stays
    picture = torch.ones(1, 1, 16, 24)
    picture[..., 5:11, :6], picture[..., 5:11, 18:] = 3, -3
    brought = recomposed(picture, masks)[0, 0, 0]
    assert brought[8, 11:15].tolist() == pytest.approx([3] * 4, abs=0.1)
    assert brought[8, 19:23].tolist() == pytest.approx([-3] * 4, abs=0.1)
    assert brought[8, :9].tolist() == pytest.approx([1] * 9, abs=0.1)


def test_several_brackets_are_read_where_several_are_allowed():
    prompt = parse_prompt("  [ a fox ]  chases [a  bird] in snow", most=2)
    assert (prompt.text, prompt.all_words) == ("a fox chases a bird in snow", ("a fox", "a bird"))
    assert prompt.marked == "[a fox] chases [a bird] in snow"
    assert parse_prompt(prompt.marked, most=2) == prompt
    with pytest.raises(UserError, match=r"marks 3 subjects; mark at most 2"):
        parse_prompt("[a] [b] [c]", most=2)


def saved(folder: Path, objects: np.ndarray) -> dict[str, str | list[str]]:
    """The same two masks in every form that holds them."""
    np.savez(folder / "both.npz", masks=objects)
    (folder / "indexed").mkdir()
    for frame, (first, second) in enumerate(objects):
        picture = Image.fromarray(np.where(second > 0, 7, np.where(first > 0, 3, 0)).astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6])
        picture.save(folder / "indexed" / f"{frame}.png")
    for name, own in zip(("a", "b"), objects.transpose(1, 0, 2, 3), strict=True):
        np.savez(folder / f"{name}.npz", masks=own)
    (folder / "drawn.yaml").write_text(
        "size: [32, 48]\nframes: 6\nfps: 4\nobjects:\n"
        "  - {shape: {kind: rectangle}, keys: [{at: 0, x: 0.2, y: 0.5, scale: 0.4}]}\n"
        "  - {shape: {kind: rectangle}, keys: [{at: 0, x: 0.8, y: 0.5, scale: 0.4}]}\n"
    )
    files = {name: str(folder / name) for name in ("both.npz", "indexed", "drawn.yaml")}
    return {**files, "list": [str(folder / "a.npz"), str(folder / "b.npz")]}


def test_a_mask_for_each_subject_is_read_from_every_form(tmp_path, objects):
    forms = saved(tmp_path, objects)
    assert objects_in(Path(str(forms["indexed"]))) == [3, 7]
    read = {name: read_subjects(masks, 2, evenly(6, 4), 32, 48) for name, masks in forms.items()}
    for name in ("both.npz", "indexed", "list"):
        assert torch.equal(read[name], torch.from_numpy(objects).float() / 255), name
    assert read["drawn.yaml"].shape == (6, 2, 32, 48)
    assert read["drawn.yaml"][..., :24].sum() > 0
    assert (read["drawn.yaml"].amin(1) == 0).all()
    together = read_subjects(forms["both.npz"], 1, evenly(6, 4), 32, 48)
    assert torch.equal(together, read["both.npz"].amax(1, keepdim=True))
    for masks in (forms["list"][0], [*forms["list"], forms["list"][0]]):
        with pytest.raises(UserError, match=r"masks=.*marks 2 subjects, and the masks are of [13]; give a mask"):
            read_subjects(masks, 2, evenly(6, 4), 32, 48)


def test_a_video_of_two_subjects_depends_on_whose_mask_is_whose(pipe, objects, tmp_path):
    forms = saved(tmp_path, objects)
    video = made(pipe, TWO, objects[:3])
    assert torch.equal(made(pipe, TWO, torch.from_numpy(objects[:3])), video)
    assert torch.equal(made(pipe, TWO, forms["list"]), video)
    assert not torch.equal(made(pipe, TWO, objects[:3, ::-1]), video)
    assert not torch.equal(made(pipe, "[a fox chases a bird]", objects[:3].max(1)), video)
    for more in ({"guidance_scale": 2.0}, {"mask_scale": 2.0}, {"mask_precision": "exact"}):
        other = made(pipe, TWO, objects[:3], **more)
        assert other.isfinite().all()
        assert not torch.equal(other, video), more
    assert len(list(pipe.long(TWO, objects, num_frames=6))) == 6
    frames = [Image.new("RGB", (48, 32), "grey")] * 3
    assert len(pipe.edit(TWO, frames, objects[:3], num_inference_steps=1).frames[0]) == 3


def test_masks_and_brackets_that_do_not_go_together_are_refused(pipe, objects):
    for masks in (objects[:3].max(1), objects[:3, :1], list(objects[:3, 0])):
        with pytest.raises(UserError, match=r"masks: .* 2 subjects .*; give a mask for each"):
            made(pipe, TWO, masks)
    with pytest.raises(UserError, match=r"marks 2 subjects, and the masks are of 1"):
        pipe.clip(TWO, torch.ones(3, 1, 32, 48))
    with pytest.raises(UserError, match=r"marks 9 subjects; mark at most 8"):
        made(pipe, " ".join("[a]" for _ in range(9)), objects[:3])


def test_the_program_tells_of_each_subject_and_keeps_its_mask(run, triples, objects, tmp_path):
    forms = saved(tmp_path, objects)
    masks = f"masks=[{','.join(forms['list'])}]"
    config = configure_generate(run, triples, f"prompt='{TWO}'", masks, f"out={tmp_path / 'out'}", "device=cpu")
    [video] = generate(config)
    told = json.loads(video.with_suffix(".json").read_text())
    assert told["masks"] == forms["list"]
    assert [subject["words"] for subject in told["followed"]["subjects"]] == ["a fox", "a bird"]
    assert all(0 <= subject["mask_iou"] <= 1 for subject in told["followed"]["subjects"])
    with np.load(video.with_suffix(".mask.npz")) as kept:
        assert kept["masks"].shape == (3, 2, 32, 48)
    assert video.with_suffix(".txt").read_text() == TWO + "\n"
    with pytest.raises(UserError, match=r"give a path, or a list of one for each subject"):
        generate(configure_generate(run, triples, "masks=[]"))


def test_what_is_found_belongs_to_the_nearest_subject(objects):
    asked = torch.from_numpy(objects).float() / 255
    both = asked.amax(1, keepdim=True)
    assert (object_ious(both, asked) == 1).all()
    half = both.clone()
    half[:, :, 16:24, :24] = 0
    ious = object_ious(half, asked)
    assert ious[0].tolist() == pytest.approx([0.5, 1.0])
    alone = asked.clone()
    alone[:, 1] = 0
    assert object_ious(asked[:, :1], alone)[:, 0].tolist() == [1] * 6


def test_a_crop_shows_one_subject_on_the_ground(objects):
    asked = torch.from_numpy(objects).float() / 255
    frames = torch.zeros(6, 3, 32, 48)
    frames += asked[:, :1] - asked[:, 1:]  # one white, one black, on grey
    crops, whose = subject_crops(frames, asked)
    assert whose.tolist() == [0, 1] * 6
    assert (crops[0::2].amin().item(), crops[0::2].amax().item()) == pytest.approx((0, 1), abs=0.01)
    assert (crops[1::2].amin().item(), crops[1::2].amax().item()) == pytest.approx((-1, 0), abs=0.01)
    words = torch.eye(2)
    assert looks_like_itself(torch.tensor([[0.9, 0.1], [0.8, 0.3]]), torch.tensor([0, 1]), words).tolist() == [1, 0]
    assert len(subject_crops(frames, torch.zeros_like(asked))[0]) == 0
