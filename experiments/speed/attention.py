"""Plain against fused attention, forward and backward, with the mask's bias: `python experiments/speed/attention.py`.

Why `maskvid.model.attention.guided_attention` folds the bias into one further channel and takes the fused kernels. Both
are run in turn, several times; the ratio of their medians is what counts.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch.nn import functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# batch x heads, queries, keys, depth: the miniature's two upper levels with eight frames, and SD 1.5's top level.
SIZES = [(2, 7 * 384, 384, 48), (4, 7 * 96, 96, 48), (8, 1024, 1024, 40)]


def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, row: torch.Tensor, column: torch.Tensor):
    logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + row.unsqueeze(-1) * column.unsqueeze(-2)
    return logits.softmax(-1) @ value


def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, row: torch.Tensor, column: torch.Tensor):
    depth = query.shape[-1]
    scale = depth**-0.5
    query = F.pad(torch.cat([query, (row / scale).unsqueeze(-1)], -1), (0, 7))
    key = F.pad(torch.cat([key, column.unsqueeze(-1)], -1), (0, 7))
    return F.scaled_dot_product_attention(query, key, F.pad(value, (0, 8)), scale=scale)[..., :depth]


def seconds(attend, inputs: list[torch.Tensor]) -> float:
    start = time.perf_counter()
    attend(*inputs).square().sum().backward()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    for batch, queries, keys, depth in SIZES:
        shapes = [(1, batch, n, depth) for n in (queries, keys, keys)] + [(1, batch, queries), (1, batch, keys)]
        inputs = [torch.randn(shape, device=DEVICE, requires_grad=True) for shape in shapes]
        times: dict[str, list[float]] = {"plain": [], "fused": []}
        for repeat in range(8):
            for name, attend in (("plain", plain), ("fused", fused)):
                elapsed = seconds(attend, inputs)
                if repeat > 1:
                    times[name].append(elapsed)
        medians = {name: statistics.median(values) for name, values in times.items()}
        print(
            f"{DEVICE} heads {batch:2d}, queries {queries:4d}, keys {keys:4d}, depth {depth}: "
            f"plain {1e3 * medians['plain']:7.1f} ms, fused {1e3 * medians['fused']:7.1f} ms, "
            f"fused/plain {medians['fused'] / medians['plain']:.2f}"
        )


if __name__ == "__main__":
    main()
