import torch

from maskvid.model.attention import guided_attention
from maskvid.model.guide import token_masks


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
    row = strength.view(1, 3, 1) * (2 * m_query - 1)[:, None]
    out = guided_attention(query, key, value, row=row, column=m_key)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_a_strong_bias_keeps_foreground_to_foreground():
    value = torch.tensor([[1.0], [0.0]]).expand(1, 1, 2, 1)  # the reference's foreground holds 1, its background 0
    zeros = torch.zeros(1, 1, 2, 1)
    masks = torch.tensor([[1.0, 0.0]])
    out = guided_attention(zeros, zeros, value, row=32 * (2 * masks - 1)[:, None], column=masks)
    torch.testing.assert_close(out.flatten(), torch.tensor([1.0, 0.0]))


def test_masks_are_averaged_over_the_area_of_a_token():
    masks = torch.zeros(1, 1, 1, 8, 12)
    masks[..., :4, :2] = 1
    grids = token_masks(masks, (2, 3))
    assert set(grids) == {6, 2}
    assert grids[6].flatten().tolist() == [0.5, 0, 0, 0, 0, 0]


def test_a_prompt_marked_as_a_whole_binds_no_word_to_the_foreground():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, n, 8) for n in (6, 5, 5))
    row = 4 * (2 * torch.rand(1, 1, 6) - 1).expand(1, 2, 6)
    bound = guided_attention(query, key, value, row=row, column=torch.ones(1, 5))
    torch.testing.assert_close(bound, guided_attention(query, key, value), atol=1e-5, rtol=1e-5)
    some = guided_attention(query, key, value, row=row, column=torch.tensor([[0.0, 1, 1, 0, 0]]))
    assert (some - bound).abs().max() > 0.1
