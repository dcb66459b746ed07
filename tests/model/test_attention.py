import pytest
import torch
from torch.nn import functional as F

from maskvid.model import InflatedUNet
from maskvid.model.attention import guided_attention
from maskvid.model.regions import regions_of
from tests.backbones import tiny_unet
from tests.model.test_inflate import B, H, W, clip
from tests.model.test_inflate import F as FRAMES


def dense(query, key, value, bias):
    """softmax(QK'/sqrt(d) + bias) V, written out."""
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
    return logits.softmax(-1) @ value


def test_the_folded_bias_equals_region_agreement_written_out():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8) for n in (6, 5, 5))
    m_query, m_key = torch.rand(2, 6), torch.rand(2, 5)
    strength = torch.tensor([16.0, 0.0, -3.0])
    p, q = m_query[:, None, :, None], m_key[:, None, None, :]
    agreement = p * q + (1 - p) * (1 - q)
    expected = dense(query, key, value, strength.view(1, 3, 1, 1) * agreement)
    row = strength.view(1, 3, 1, 1) * (2 * m_query - 1)[:, None, :, None]
    out = guided_attention(query, key, value, row=row, column=m_key.unsqueeze(-1))
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_a_strong_bias_keeps_foreground_to_foreground():
    value = torch.tensor([[1.0], [0.0]]).expand(1, 1, 2, 1)  # the reference's foreground holds 1, its background 0
    zeros = torch.zeros(1, 1, 2, 1)
    masks = torch.tensor([[1.0, 0.0]])
    row = 32 * (2 * masks - 1)[:, None, :, None]
    out = guided_attention(zeros, zeros, value, row=row, column=masks.unsqueeze(-1))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.0, 0.0]))


def test_masks_are_averaged_over_the_area_of_a_token():
    masks = torch.zeros(1, 1, 1, 8, 12)
    masks[..., :4, :2] = 1
    grids = regions_of(masks, (2, 3))
    assert set(grids) == {6, 2}
    assert grids[6].masks.flatten().tolist() == [0.5, 0, 0, 0, 0, 0]


def test_a_prompt_marked_as_a_whole_binds_no_word_to_the_foreground():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, n, 8) for n in (6, 5, 5))
    row = 4 * (2 * torch.rand(1, 1, 6, 1) - 1).expand(1, 2, 6, 1)
    bound = guided_attention(query, key, value, row=row, column=torch.ones(1, 5, 1))
    torch.testing.assert_close(bound, guided_attention(query, key, value), atol=1e-5, rtol=1e-5)
    some = guided_attention(query, key, value, row=row, column=torch.tensor([[0.0, 1, 1, 0, 0]]).unsqueeze(-1))
    assert (some - bound).abs().max() > 0.1


LAYER = "up_blocks.2.attentions.0.transformer_blocks.0"  # at the latents' own size
FIRST, ITSELF, PREVIOUS = (lambda i: 0), (lambda i: i), (lambda i: max(i - 1, 0))
KEYS_FROM = {
    "self": [ITSELF],
    "first": [FIRST],
    "first_self": [FIRST, ITSELF],
    "first_previous": [FIRST, PREVIOUS],
}


def run_layer(name: str, **parts):
    """One forward pass of a whole U-Net; a layer, its input and its output as (b, f, n, c), text and token masks."""
    off = {"mask_input": False, "mask_pyramid": False, "subject_branch": False}
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, **off | parts).eval()
    attn = video.unet.get_submodule(f"{LAYER}.{name}")
    for weight in (gate for key, gate in video.named_parameters() if key.endswith(".gate")):
        torch.nn.init.ones_(weight)
    seen = []
    attn.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    latents, timesteps, text, steer = clip("mini")
    with torch.no_grad():
        video(latents, timesteps, text, **steer)
    [(states, out)] = seen
    masks = F.avg_pool2d(steer["masks"].flatten(0, 1), 4).view(B, FRAMES, H * W)
    return attn, *(x.unflatten(0, (B, FRAMES)) for x in (states, out)), text, steer["subject"], masks


def heads_of(attn, x):
    return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def weights_of(attn, query, key, bias):
    """softmax(QK'/sqrt(d) + bias) as (b, heads, p, q); the bias is (b, p, q)."""
    query, key = heads_of(attn, query), heads_of(attn, key)
    return (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias[:, None]).softmax(-1)


def project(attn, weights, value):
    return attn.to_out[0]((weights @ heads_of(attn, value)).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("reference", KEYS_FROM)
@torch.no_grad()
def test_foreground_attends_to_foreground_and_background_to_background(reference):
    """The layer of a real U-Net against softmax(QK'/sqrt(d) + lambda (m m' + (1 - m)(1 - m'))) V, written out."""
    attn, states, out, _, _, masks = run_layer("attn1", reference=reference, self_attention_strength=24.0)
    assert set(masks.unique().tolist()) > {0, 1}  # both grounds, and soft borders
    for i in range(1, FRAMES):
        others = [pick(i) for pick in KEYS_FROM[reference]]
        given, m = torch.cat([states[:, j] for j in others], 1), masks[:, i, :, None]
        m_given = torch.cat([masks[:, j] for j in others], 1)[:, None]
        agreement = m * m_given + (1 - m) * (1 - m_given)
        weights = weights_of(attn, attn.to_q(states[:, i]), attn.to_k(given), 24 * agreement)
        torch.testing.assert_close(out[:, i], project(attn, weights, attn.to_v(given)), atol=1e-5, rtol=1e-4)
        on_foreground = (weights * (m_given == 1)[:, None]).sum(-1)  # (b, heads, p)
        assert on_foreground[:, 0][m[..., 0] == 1].min() > 0.99
        assert on_foreground[:, 0][m[..., 0] == 0].max() < 0.01


@torch.no_grad()
def test_the_subjects_words_bind_to_the_foreground():
    """Against softmax(QK'/sqrt(d) + gamma s (2 m - 1)) V and the branch m Attn(Q, K(s), V(s)), written out."""
    gamma = 12.0
    for branch in (False, True):
        attn, states, out, text, subject, masks = run_layer(
            "attn2", cross_attention_strength=gamma, subject_branch=branch
        )
        for i in range(1, FRAMES):
            m, s = masks[:, i, :, None], subject[:, None]
            weights = weights_of(attn, attn.to_q(states[:, i]), attn.to_k(text), gamma * s * (2 * m - 1))
            if branch:
                alone = weights_of(attn, attn.to_q(states[:, i]), attn.to_k(text), (s - 1) * 1e9 + 0 * m)
                weights = weights + m[:, None] * alone
            else:
                on_subject = (weights * s[:, None]).sum(-1)[:, 0]
                assert on_subject[m[..., 0] == 1].min() > 0.99
                assert on_subject[m[..., 0] == 0].max() < 0.01
            torch.testing.assert_close(out[:, i], project(attn, weights, attn.to_v(text)), atol=1e-5, rtol=1e-4)
