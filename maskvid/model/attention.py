"""Mask-guided attention: spatio-temporal self-attention and mask cross-attention as diffusers attention processors.

Both are steered by a bias on the attention logits whose rank is the number of subjects, folded into as many further
channels of queries and keys, so that no tokens x tokens bias is ever stored and fused attention kernels still apply.

Where frame 0 is the clean reference it is never altered: it keeps the 2-D model's own weights and sees no bias, so its
output equals the 2-D U-Net's before, during and after tuning. Methods without a clean frame steer every frame.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn import functional as F

from maskvid.model.guide import Guide
from maskvid.model.low_rank import project, trained_projection
from maskvid.model.roles import Role


def guided_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    row: torch.Tensor | None = None,
    column: torch.Tensor | None = None,
) -> torch.Tensor:
    """softmax(Q K' / sqrt(d) + row column') V, by PyTorch's fused kernels.

    They were measured faster than plain attention also on CPU and backward (experiments/speed/attention.py).

    Args:
        query: (b, heads, p, d).
        key: (b, heads, q, d).
        value: (b, heads, q, d).
        row: (b, heads, p, k), the bias' factor over queries, in logits.
        column: (b, q, k), its factor over keys.

    Returns:
        (b, heads, p, d).
    """
    scale = query.shape[-1] ** -0.5
    if row is None or column is None:
        return F.scaled_dot_product_attention(query, key, value)
    depth, rank = query.shape[-1], row.shape[-1]
    # Channels of zeros beside those that carry the bias: fused kernels want depths in multiples of eight, and equal
    # depths of key and value.
    zeros = -rank % 8
    query = F.pad(torch.cat([query, (row / scale).to(query.dtype)], -1), (0, zeros))
    key = F.pad(torch.cat([key, column[:, None].expand(*key.shape[:-1], rank).to(key.dtype)], -1), (0, zeros))
    return F.scaled_dot_product_attention(query, key, F.pad(value, (0, rank + zeros)), scale=scale)[..., :depth]


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(b, n, heads * d) -> (b, heads, n, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(x: torch.Tensor) -> torch.Tensor:
    """(b, heads, n, d) -> (b, n, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def _project_out(attn: Attention, hidden_states: torch.Tensor) -> torch.Tensor:
    return attn.to_out[1](attn.to_out[0](hidden_states))


def _itself(x: torch.Tensor) -> torch.Tensor:
    return x


def _first_and_itself(x: torch.Tensor) -> torch.Tensor:
    """(b, f, n, ...) -> (b, f, 2 n, ...): for each frame the tokens of frame 0 and its own."""
    return torch.cat([x[:, :1].expand_as(x), x], 2)


def _first_and_previous(x: torch.Tensor) -> torch.Tensor:
    """(b, f, n, ...) -> (b, f, 2 n, ...): for each frame the tokens of frame 0 and of the frame before (0 before 0)."""
    return torch.cat([x[:, :1].expand_as(x), torch.cat([x[:, :1], x[:, :-1]], 1)], 2)


PICKS = {"self": _itself, "first_self": _first_and_itself, "first_previous": _first_and_previous}


class SelfSteering(nn.Module):
    """Trained part of one self-attention layer: its own query projection and the strength of region agreement.

    Args:
        attn: The 2-D model's attn1; the query projection starts from its weights.
        strength: Start of lambda_h, one per head, in logits; None switches the bias off.
        query: Whether the query projection is trained.
        rank: Of its difference from the 2-D model's; None trains a whole copy.
    """

    role = Role.GUIDE

    def __init__(self, attn: Attention, *, strength: float | None, query: bool = True, rank: int | None = None) -> None:
        super().__init__()
        self.to_q = trained_projection(attn.to_q, rank) if query else None
        self.strength = None if strength is None else nn.Parameter(torch.full((attn.heads,), float(strength)))


class SelfAttentionProcessor:
    """Mask-guided spatio-temporal self-attention, our interpretation of the paper's.

    Queries come from frame i, keys and values from the reference frames, projected once. The first frame alone, as in
    LAMP, takes from a noisy frame what the 2-D model has learnt to look at, itself: on the miniature the tuning loss
    was a quarter lower with `first_self` than with `first`, at the same steps and noise. Logits get
    lambda_h * A(p, q) with region agreement A = m_i(p) m_r(q) + (1 - m_i(p)) (1 - m_r(q)), of several subjects object
    by object. Softmax does not see what is constant over keys, and A differs from (2 m_i(p) - 1) m_r(q) by just that:
    one further channel for each subject is enough, see `Regions`.

    Args:
        steering: The layer's trained part.
        guide: The clip in flight; without one this is the 2-D model's self-attention.
        reference: `self`, `first`, `first_self` or `first_previous`: the frames that give keys and values.
    """

    def __init__(self, steering: SelfSteering, guide: Guide, *, reference: str) -> None:
        self.steering = steering
        self.guide = guide
        self.reference = reference

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        """Attend within `hidden_states` of shape (b f, n, c)."""
        f = self.guide.num_frames
        if f is None or f == 1:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
            return _project_out(attn, self._attend(attn, query, key, value))
        n, start = hidden_states.shape[1], self.guide.first_steered
        # Projected for all frames at once, with the 2-D model's own matrix shapes: frame 0 stays equal to the last bit.
        own_queries, keys, values = (
            to(hidden_states).unflatten(0, (-1, f)) for to in (attn.to_q, attn.to_k, attn.to_v)
        )  # b f n c
        b = keys.shape[0]
        states = hidden_states.unflatten(0, (-1, f))[:, start:]
        query = project(self.steering.to_q, states, own_queries[:, start:])
        regions = self.guide.regions_at(n)
        rows = columns = None
        if self.reference == "first":
            if regions is not None:
                rows, columns = regions.agreement[:, start:].flatten(1, 2), regions.masks[:, 0]
            out = self._attend(attn, query.flatten(1, 2), keys[:, 0], values[:, 0], rows, columns)
        else:
            pick = PICKS[self.reference]
            if regions is not None:
                rows = regions.agreement[:, start:].flatten(0, 1)
                columns = pick(regions.masks)[:, start:].flatten(0, 1)
            key, value = (pick(x)[:, start:].flatten(0, 1) for x in (keys, values))
            out = self._attend(attn, query.flatten(0, 1), key, value, rows, columns)
        out = out.reshape(b, f - start, n, -1)
        if start:
            out_first = self._attend(attn, own_queries[:, 0], keys[:, 0], values[:, 0])
            out = torch.cat([out_first.unsqueeze(1), out.to(out_first.dtype)], 1)
        return _project_out(attn, out.flatten(0, 1).to(hidden_states.dtype))

    def _attend(
        self,
        attn: Attention,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        rows: torch.Tensor | None = None,
        columns: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(b, p, c) of (b, q, c), biased by region agreement where its factors (b, p, k) and (b, q, k) are given."""
        row = None
        if rows is not None and self.steering.strength is not None:
            row = self.steering.strength.view(1, -1, 1, 1) * rows.unsqueeze(1)
        query, key, value = (_heads(x, attn.heads) for x in (query, key, value))
        return _join(guided_attention(query, key, value, row=row, column=columns))


class CrossSteering(nn.Module):
    """Trained part of one cross-attention layer.

    Args:
        attn: The 2-D model's attn2; the subject branch starts from its key and value weights.
        strength: Start of gamma_h, one per head, in logits; None switches the bias off.
        branch: Whether the added residual branch over the subject's tokens exists.
        query: Whether a query projection of its own, started from attn2's, is trained.
        rank: Of the differences of all of them from attn2's; None trains whole copies.
    """

    role = Role.GUIDE

    def __init__(
        self,
        attn: Attention,
        *,
        strength: float | None,
        branch: bool,
        query: bool = False,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        self.to_q = trained_projection(attn.to_q, rank) if query else None
        self.strength = None if strength is None else nn.Parameter(torch.full((attn.heads,), float(strength)))
        self.to_k = trained_projection(attn.to_k, rank) if branch else None
        self.to_v = trained_projection(attn.to_v, rank) if branch else None
        self.gate = nn.Parameter(torch.zeros(())) if branch else None


class CrossAttentionProcessor:
    """Mask cross-attention: the subject's words bind to the foreground (our interpretation of the paper's module).

    Logits get gamma_h * s(j) * (2 m(p) - 1) over subject tokens j, and a residual branch g * m(p) * Attn(q, K(s), V(s))
    with a zero gate g is added at the foreground; of several subjects each binds to its own mask.

    Args:
        steering: The layer's trained part.
        guide: The clip in flight; without one this is the 2-D model's cross-attention.
    """

    def __init__(self, steering: CrossSteering, guide: Guide) -> None:
        self.steering = steering
        self.guide = guide

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **kwargs: object,
    ) -> torch.Tensor:
        """Attend from `hidden_states` (b f, n, c) to the prompt, one row of `encoder_hidden_states` for each frame."""
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            _heads(x, attn.heads) for x in (attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text))
        )
        f, n, start = self.guide.num_frames, hidden_states.shape[1], self.guide.first_steered
        if f is None or f == 1:
            return _project_out(attn, _join(guided_attention(query, key, value)))
        regions, subjects = self.guide.regions_at(n), self.guide.subjects
        if self.steering.to_q is None and (regions is None or subjects is None):
            return _project_out(attn, _join(guided_attention(query, key, value)))
        query, key, value, text = (x.unflatten(0, (-1, f)) for x in (query, key, value, text))
        first = _join(guided_attention(query[:, 0], key[:, 0], value[:, 0])).unsqueeze(1) if start else None
        query, key, value, text = (x[:, start:].flatten(0, 1) for x in (query, key, value, text))
        if self.steering.to_q is not None:
            states = hidden_states.unflatten(0, (-1, f))[:, start:].flatten(0, 1)
            query = _heads(project(self.steering.to_q, states, _join(query)), attn.heads)
        if regions is None or subjects is None:
            out = _join(guided_attention(query, key, value))
        else:
            tokens = subjects.repeat_interleave(f - start, 0)
            out = self._steered(query, key, value, text, regions.masks[:, start:].flatten(0, 1), tokens)
        out = out.unflatten(0, (-1, f - start)).to(hidden_states.dtype)
        return _project_out(attn, (out if first is None else torch.cat([first, out], 1)).flatten(0, 1))

    def _steered(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        text: torch.Tensor,
        masks: torch.Tensor,
        subjects: torch.Tensor,
    ) -> torch.Tensor:
        """Attention of the steered frames, folded into the batch; masks (b f, n, k), subjects (b f, tokens, k)."""
        steering = self.steering
        row = None
        if steering.strength is not None:
            row = steering.strength.view(1, -1, 1, 1) * (2 * masks - 1).unsqueeze(1)
        out = _join(guided_attention(query, key, value, row=row, column=subjects))
        if steering.to_k is not None and steering.to_v is not None and steering.gate is not None:
            key, value = (
                _heads(project(to, text, _join(frozen)), query.shape[1])
                for to, frozen in ((steering.to_k, key), (steering.to_v, value))
            )
            ones = torch.ones_like(query[..., :1])
            for mask, subject in zip(masks.split(1, -1), subjects.split(1, -1), strict=True):
                others = (subject - 1) * 1e4  # keeps tokens outside the subject out of the softmax
                branch = _join(guided_attention(query, key, value, row=ones, column=others))
                out = out + steering.gate * mask.to(out.dtype) * branch
        return out
