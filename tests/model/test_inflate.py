import pytest
import torch

from maskvid.errors import UserError
from maskvid.model import InflatedUNet, merge_ranges
from maskvid.model.temporal import TemporalAttention
from tests.backbones import TEXT_WIDTH, UNETS, tiny_unet

B, F, H, W = 2, 4, 16, 24


def moving_masks():
    """A block of foreground that moves to the right, (B, F, 1, 4 H, 4 W)."""
    masks = torch.zeros(B, F, 1, 4 * H, 4 * W)
    for index in range(F):
        masks[:, index, :, H : 3 * H, 10 * index : 10 * index + 2 * W] = 1
    return masks


def clip(kind: str):
    generator = torch.Generator().manual_seed(1)
    pooled = torch.randn(B, 16, generator=generator) if kind == "sdxl" else None
    latents = torch.randn(B, F, 4, H, W, generator=generator)
    timesteps = torch.tensor([300, 900])
    text = torch.randn(B, 8, TEXT_WIDTH, generator=generator)
    steer = {
        "masks": moving_masks(),
        "subject": torch.tensor([[0.0, 1, 1, 0, 0, 0, 0, 0]] * B),
        "pooled": pooled,
    }
    return latents, timesteps, text, steer


def flat_output(unet, latents, timesteps, text, pooled):
    """The 2-D U-Net on the same frames as a batch of pictures."""
    levels = timesteps[:, None].repeat(1, F)
    levels[:, 0] = 0
    added = None
    if pooled is not None:
        size = torch.tensor([4.0 * H, 4.0 * W, 0, 0, 4.0 * H, 4.0 * W]).repeat(B * F, 1)
        added = {"text_embeds": pooled.repeat_interleave(F, 0), "time_ids": size}
    out = unet(latents.flatten(0, 1), levels.flatten(), text.repeat_interleave(F, 0), added_cond_kwargs=added).sample
    return out.unflatten(0, (B, F))


@pytest.mark.parametrize("kind", UNETS)
@torch.no_grad()
def test_frame_0_is_the_2d_unets_at_the_start_with_every_part_on(kind):
    unet = tiny_unet(kind)
    latents, timesteps, text, steer = clip(kind)
    expected = flat_output(unet, latents, timesteps, text, steer["pooled"])
    video = InflatedUNet(unet, vae_scale_factor=4).eval()
    out = video(latents, timesteps, text, **steer)
    assert (out - expected)[:, 0].abs().max() == 0
    assert (out - expected)[:, 1:].abs().max() > 1e-3  # the first frame's features do reach the others


@pytest.mark.parametrize("kind", UNETS)
@torch.no_grad()
def test_every_frame_is_the_2d_unets_with_self_reference_and_no_bias(kind):
    unet = tiny_unet(kind)
    latents, timesteps, text, steer = clip(kind)
    expected = flat_output(unet, latents, timesteps, text, steer["pooled"])
    video = InflatedUNet(
        unet,
        vae_scale_factor=4,
        reference="self",
        self_attention_strength=None,
        cross_attention_strength=None,
        subject_branch=False,
    ).eval()
    assert (video(latents, timesteps, text, **steer) - expected).abs().max() == 0


@torch.no_grad()
def test_no_trained_weight_touches_the_reference_frame():
    unet = tiny_unet("mini")
    latents, timesteps, text, steer = clip("mini")
    expected = flat_output(unet, latents, timesteps, text, None)
    video = InflatedUNet(unet, vae_scale_factor=4).eval()
    for parameter in video.steering.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    out = video(latents, timesteps, text, **steer)
    assert (out - expected)[:, 0].abs().max() == 0


@pytest.mark.parametrize("reference", ["self", "first", "first_self"])
@torch.no_grad()
def test_with_temporal_layers_at_zero_the_last_frame_reaches_no_other(reference):
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, reference=reference).eval()
    latents, timesteps, text, steer = clip("mini")
    before = video(latents, timesteps, text, **steer)
    latents[:, -1] += 3
    after = video(latents, timesteps, text, **steer)
    assert (after - before)[:, :-1].abs().max() == 0
    assert (after - before)[:, -1].abs().max() > 1e-3


@torch.no_grad()
def test_temporal_attention_hears_the_subjects_words_and_no_others():
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, temporal_words=True, subject_branch=False).eval()
    latents, text = torch.randn(1, 3, 4, 8, 8), torch.randn(1, 6, TEXT_WIDTH)
    subject = torch.tensor([[0.0, 1, 1, 0, 0, 0]])
    video.guide.set(latents, None, subject, text)
    torch.testing.assert_close(video.guide.words, text[:, 1:3].mean(1))
    attention = next(module for module in video.modules() if isinstance(module, TemporalAttention))
    x = torch.randn(1, 3, attention.to_in.in_features, 4, 4)
    torch.nn.init.normal_(attention.to_out.weight)
    heard = attention(x, video.guide.words)
    torch.testing.assert_close(heard, attention(x, None))  # without effect at the start
    torch.nn.init.normal_(attention.from_words[1].weight)
    assert not torch.allclose(attention(x, video.guide.words), attention(x, None))


@torch.no_grad()
def test_a_trained_temporal_convolution_looks_back_only():
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, temporal_attention=None).eval()
    for name, parameter in video.steering.named_parameters():
        if ".up." in name:
            parameter.add_(torch.randn_like(parameter))
    latents, timesteps, text, steer = clip("mini")
    before = video(latents, timesteps, text, **steer)
    changed = latents.clone()
    changed[:, 2] += 3
    after = video(changed, timesteps, text, **steer)
    assert (after - before)[:, 1].abs().max() == 0
    assert (after - before)[:, 3].abs().max() > 1e-3


@pytest.mark.parametrize(
    "part", ["self_attention_strength", "cross_attention_strength", "mask_input", "subject_branch"]
)
@torch.no_grad()
def test_each_mask_path_alone_makes_the_output_depend_on_the_mask(part):
    off = {
        "self_attention_strength": None,
        "cross_attention_strength": None,
        "mask_input": False,
        "mask_pyramid": False,
        "subject_branch": False,
    }
    on = {
        "self_attention_strength": 8.0,
        "cross_attention_strength": 8.0,
        "mask_input": True,
        "mask_pyramid": True,
        "subject_branch": True,
    }
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, **off | {part: on[part]}).eval()
    for name, parameter in video.steering.named_parameters():
        if name.startswith("mask_input") or name.endswith("gate"):
            parameter.add_(0.5)
        elif name.endswith("to_q.weight"):
            parameter.mul_(20)  # random weights attend evenly, and hardly differ in what they attend to
    latents, timesteps, text, steer = clip("mini")
    video.train()(latents, timesteps, text, **steer)  # so that the range of the mask's features is known
    merge_ranges(video)
    video.eval()
    before = video(latents, timesteps, text, **steer)
    elsewhere = torch.cat([steer["masks"][:, :1], steer["masks"][:, 1:].flip(-1)], 1)
    after = video(latents, timesteps, text, **steer | {"masks": elsewhere})
    assert (after - before).abs().max() > 1e-5
    blind = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, **off).eval()
    assert video.sees_masks
    assert not blind.sees_masks
    first = blind(latents, timesteps, text, **steer)
    assert torch.equal(first, blind(latents, timesteps, text, **steer | {"masks": elsewhere}))


@torch.no_grad()
def test_the_plain_unet_is_lent_untouched():
    unet = tiny_unet("mini")
    latents, timesteps, text, steer = clip("mini")
    expected = unet(latents[:, 1], timesteps, text).sample
    video = InflatedUNet(unet, vae_scale_factor=4).eval()
    for parameter in video.steering.parameters():
        parameter.add_(torch.randn_like(parameter))
    video(latents, timesteps, text, **steer)
    with video.plain() as lent:
        assert torch.equal(lent(latents[:, 1], timesteps, text).sample, expected)


def test_only_the_steering_is_trained_and_every_weight_of_it_learns():
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4).train()
    latents, timesteps, text, steer = clip("mini")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in video.steering.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # off zero, where products of zeros hide gradients
    video(latents, timesteps, text, **steer)[:, 1:].square().mean().backward()
    trained = {name for name, parameter in video.named_parameters() if parameter.requires_grad}
    assert trained == {f"steering.{name}" for name, _ in video.steering.named_parameters()}
    silent = [n for n, p in video.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []


@pytest.mark.parametrize("parts", [{}, {"temporal_attention": "full", "temporal_conv": "full"}])
def test_the_random_start_is_a_function_of_the_layers_names_alone(parts):
    states = []
    for seed in (1, 2):
        unet = tiny_unet("mini")
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        states.append(InflatedUNet(unet, vae_scale_factor=4, **parts).steering.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    drawn = [value for name, value in states[0].items() if name.endswith(("shape.0.weight", "gate.weight"))]
    assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i] if a.shape == b.shape)


def test_the_way_up_alone_is_steered():
    """What comes before it is the 2-D model's to the bit for every frame, and keeps nothing for a backward pass."""
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4).train()
    for parameter in video.steering.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    seen = []
    hook = video.unet.mid_block.register_forward_hook(lambda module, args, out: seen.append(out))
    latents, timesteps, text, steer = clip("mini")
    video(latents, timesteps, text, **steer)
    with video.plain() as unet, torch.no_grad():
        flat_output(unet, latents, timesteps, text, None)
    hook.remove()
    assert torch.equal(*seen)
    assert not seen[0].requires_grad
    whole = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, layers="all")
    assert any(name.startswith("down_blocks") for name in whole.steering)
    assert {name for name in video.steering if name.startswith("mask_input-")} < set(whole.steering)


def test_gradient_checkpointing_gives_the_same_gradients():
    grads, kept = [], []
    for checkpointing in (False, True):
        video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, gradient_checkpointing=checkpointing).train()
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in video.steering.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        latents, timesteps, text, steer = clip("mini")
        sizes: list[int] = []
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        )
        with hooks:
            loss = video(latents, timesteps, text, **steer)[:, 1:].square().mean()
        loss.backward()
        kept.append(sum(sizes))
        grads.append(torch.cat([p.grad.flatten() for p in video.steering.parameters()]))
    torch.testing.assert_close(grads[0], grads[1])
    assert kept[1] < 0.3 * kept[0]  # temporal layers are in checkpoints of their own


def test_errors_name_the_argument():
    with pytest.raises(UserError, match="reference='last'"):
        InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, reference="last")
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4)
    latents, timesteps, text, steer = clip("mini")
    with pytest.raises(UserError, match="masks of size"):
        video(latents, timesteps, text, masks=steer["masks"][..., :8, :8])
