"""Memory and work of a training step at Stable Diffusion 1.5's shape, counted: `python -m experiments.speed.count`.

16 frames of 320 x 512 pass forward and backward through tensors that have shapes and no values, so that it takes two
minutes and no memory. Counted are what is saved for the backward pass (each storage once, weights apart), the frozen
weights, and four numbers for each trained one (itself, its gradient, AdamW's two). What a machine takes besides, such
as the workspaces of convolutions, is not in it. In bfloat16 only ours is counted, with and without gradient
checkpointing. Writes counted.csv beside this file.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from experiments.study import Row, configure, write_rows
from maskvid.config import plain, register
from maskvid.model import InflatedUNet

HERE = Path(__file__).parent
FRAMES, HEIGHT, WIDTH, FACTOR = 16, 320, 512, 8
SHAPE: dict[str, Any] = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "cross_attention_dim": 768,
    "attention_head_dim": 8,
}  # fmt: skip
CASES: list[tuple[str, dict[str, Any], str, bool]] = [
    ("maskvid", {}, "bf16", False),
    ("maskvid", {}, "bf16", True),
    ("maskvid", {"layers": "all"}, "bf16", False),
    ("maskvid", {"layers": "all"}, "bf16", True),
    ("maskvid", {}, "float32", False),
    ("maskvid", {"layers": "all"}, "float32", False),
    ("lamp", {}, "float32", False),
    ("tune_a_video", {}, "float32", False),
]
"""Method, parts that differ, arithmetic (bf16: the frozen weights too), gradient checkpointing."""


def place(tensor: torch.Tensor) -> int:
    """Which storage a tensor lies in; those without values have no address."""
    return tensor.untyped_storage()._cdata


def counted(method: str, parts: dict[str, Any], arithmetic: str, checkpointing: bool) -> Row:
    """One training step."""
    asked = plain(configure("train", f"method={method}", "data.train=x", "run_dir=y").method.unet) | parts
    asked |= {"gradient_checkpointing": checkpointing, "rank": 16 if method == "maskvid" else None}
    half = arithmetic == "bf16"

    def computing() -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if half else nullcontext()

    with FakeTensorMode(allow_non_fake_inputs=True):
        torch.set_default_dtype(torch.bfloat16 if half else torch.float32)
        unet = UNet2DConditionModel(**SHAPE)
        torch.set_default_dtype(torch.float32)
        video = InflatedUNet(unet, vae_scale_factor=FACTOR, **asked).train()
        latents = torch.randn(1, FRAMES, 4, HEIGHT // FACTOR, WIDTH // FACTOR)
        subject = torch.zeros(1, 77)
        subject[:, 1:4] = 1
        steer = {"masks": torch.rand(1, FRAMES, 1, HEIGHT, WIDTH), "subject": subject} if video.sees_masks else {}
        weights = {place(tensor) for tensor in [*video.parameters(), *video.buffers()]}
        saved: dict[int, torch.Tensor] = {}

        def forward() -> torch.Tensor:
            with computing():
                return video(latents, torch.tensor([500]), torch.randn(1, 77, 768), **steer).float().square().mean()

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if place(tensor) not in weights:
                saved[place(tensor)] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = forward()
        kept = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
        del loss
        with FlopCounterMode(display=False) as counter:
            forward().backward()
        trained = sum(parameter.numel() for parameter in video.steering.parameters())
        frozen = sum(parameter.numel() * parameter.element_size() for parameter in unet.parameters())
    total = kept + frozen + 16 * trained
    return {
        "size": f"sd15, {FRAMES} x {HEIGHT} x {WIDTH}", "method": method, "layers": asked["layers"],
        "arithmetic": arithmetic, "checkpointing": checkpointing, "trained_parameters": trained,
        "saved_for_backward_gb": round(kept / 1e9, 2), "frozen_weights_gb": round(frozen / 1e9, 2),
        "with_weights_and_adamw_gb": round(total / 1e9, 2), "tflop_step": round(counter.get_total_flops() / 1e12, 1),
    }  # fmt: skip


def main() -> None:
    register()
    # with tensors of this kind a module cannot be converted, and none here needs it: what is trained is float32 already
    torch.nn.Module.float = lambda module: module  # type: ignore[assignment,method-assign]
    rows: list[Row] = []
    for case in CASES:
        rows.append(counted(*case))
        print(rows[-1], flush=True)
    write_rows(HERE / "counted.csv", rows)


if __name__ == "__main__":
    main()
