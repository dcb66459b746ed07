"""Memory and work at true shapes, counted: `python -m experiments.speed.count` (about ten minutes, no GPU, no memory).

Tuning and sampling at the shapes of Stable Diffusion 1.5 and XL pass through tensors that have shapes and no values.
Counted are, of a training step, what is saved for the backward pass (each storage once, weights apart) and the most
that lives at a time, with the weights and the optimiser's state (one number for each weight that is tuned by Muon, two
by AdamW); and of sampling the most that a pass of the U-Net and the decoding of the clip need. What a machine takes
besides, such as the workspaces of convolutions and pieces of memory that nothing fits into, is not in it. Text encoder
and ControlNet are not either: they lie in main memory while they are not used. Writes counted.csv and counted.md
beside this file.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from experiments.study import Row, configure, write_rows
from maskvid.config import plain, register
from maskvid.files import atomic_write
from maskvid.model import InflatedUNet

HERE = Path(__file__).parent
FACTOR = 8
UNETS: dict[str, dict[str, Any]] = {
    "sd15": {
        "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
        "cross_attention_dim": 768, "attention_head_dim": 8,
    },
    "sdxl": {
        "sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2, "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What is counted.

    Attributes:
        shape: Frames, rows and columns.
        method: That of `conf/method`.
        layers: Which are steered.
        arithmetic: `bf16`, the frozen weights too, or `float32`.
        checkpointing: Whether gradients are.
        backbone: Of `UNETS`.
    """

    shape: tuple[int, int, int] = (16, 320, 512)
    method: str = "maskvid"
    layers: str = "decoder"
    arithmetic: str = "bf16"
    checkpointing: bool = False
    backbone: str = "sd15"


BOTH = (False, True)
CASES = [
    *(Case((frames, 320, 512), checkpointing=kept) for frames in (8, 16, 32) for kept in BOTH),
    *(Case((16, 512, 512), checkpointing=kept) for kept in BOTH),
    *(Case((16, 512, 768), backbone="sdxl", checkpointing=kept) for kept in BOTH),
    *(Case(layers="all", checkpointing=kept) for kept in BOTH),
    *(Case(method=peer, layers="all", checkpointing=kept) for peer in ("lamp", "tune_a_video") for kept in BOTH),
    *(Case(arithmetic="float32", method=name, layers=layers) for name, layers in (
        ("maskvid", "decoder"), ("maskvid", "all"), ("lamp", "all"), ("tune_a_video", "all"),
    )),
]  # fmt: skip


class Peak(TorchDispatchMode):
    """The most bytes that tensors made within it take at a time, each storage once.

    Args:
        known: Tensors that are there already and do not count.
    """

    def __init__(self, known: list[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet(tensor.untyped_storage() for tensor in known)

    def _note(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage not in self.seen:
            self.seen.add(storage)
            self._add(storage.nbytes())
            weakref.finalize(storage, self._add, -storage.nbytes())
        return tensor

    def _add(self, bytes_: int) -> None:
        self.now += bytes_
        self.most = max(self.most, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note what it makes."""
        out = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._note, out)
        return out


def place(tensor: torch.Tensor) -> int:
    """Which storage a tensor lies in; those without values have no address."""
    return tensor.untyped_storage()._cdata


def bytes_of(tensors: Any) -> int:
    """Bytes of parameters."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def saved(forward: Callable[[], torch.Tensor], known: list[torch.Tensor]) -> int:
    """Bytes that the forward pass keeps for the backward pass."""
    weights, kept = {place(tensor) for tensor in known}, dict[int, torch.Tensor]()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if place(tensor) not in weights:
            kept[place(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()
    total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del loss
    return total


def counted(case: Case) -> Row:
    """A training step and a pass of sampling."""
    asked = plain(configure("train", f"method={case.method}", "data.train=x", "run_dir=y").method.unet)
    rank = 16 if case.method == "maskvid" else None
    asked |= {"layers": case.layers, "gradient_checkpointing": case.checkpointing, "rank": rank}
    half = case.arithmetic == "bf16"
    frames, height, width = case.shape
    shape = UNETS[case.backbone]

    def computing() -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if half else nullcontext()

    with FakeTensorMode(allow_non_fake_inputs=True):
        torch.set_default_dtype(torch.bfloat16 if half else torch.float32)
        unet = UNet2DConditionModel(**shape)
        vae = AutoencoderKL(**VAE)
        torch.set_default_dtype(torch.float32)
        video = InflatedUNet(unet, vae_scale_factor=FACTOR, **asked).train()
        latents = torch.randn(1, frames, 4, height // FACTOR, width // FACTOR)
        text = torch.randn(1, 77, shape["cross_attention_dim"])
        subject = torch.zeros(1, 77)
        subject[:, 1:4] = 1
        steer: dict[str, Any] = {"pooled": torch.randn(1, 1280)} if case.backbone == "sdxl" else {}
        if video.sees_masks:
            steer |= {"masks": torch.rand(1, frames, 1, height, width), "subject": subject}
        known = [*video.parameters(), *video.buffers()]

        def forward() -> torch.Tensor:
            with computing():
                return video(latents, torch.tensor([500]), text, **steer).float().square().mean()

        kept = saved(forward, known)
        with FlopCounterMode(display=False) as counter:
            forward().backward()
        video.zero_grad()
        gc.collect()
        with Peak(known) as step:
            forward().backward()
        video.zero_grad()
        video.eval()
        gc.collect()
        with Peak(known) as sampling, torch.no_grad():
            forward()
        with Peak([*vae.parameters()]) as decoding, torch.no_grad():
            vae.decode(torch.randn(1, 4, height // FACTOR, width // FACTOR, dtype=unet.dtype))
        trained = [parameter for parameter in video.steering.parameters() if parameter.requires_grad]
        frozen, moving, decoder = bytes_of(unet.parameters()), bytes_of(trained), bytes_of(vae.parameters())
    state = moving  # Muon's, of all but a few
    return {
        "backbone": case.backbone, "size": f"{frames} x {height} x {width}", "method": case.method,
        "layers": case.layers, "arithmetic": case.arithmetic, "checkpointing": case.checkpointing,
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "frozen_weights_gb": round(frozen / 1e9, 2), "saved_for_backward_gb": round(kept / 1e9, 2),
        "tuning_peak_gb": round((frozen + moving + state + step.most) / 1e9, 2),
        "sampling_peak_gb": round((frozen + decoder + moving + max(sampling.most, decoding.most)) / 1e9, 2),
        "tflop_step": round(counter.get_total_flops() / 1e12, 1),
    }  # fmt: skip


def table(rows: list[Row]) -> str:
    """As markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    register()
    # with tensors of this kind a module cannot be converted, and none here needs it: what is trained is float32 already
    torch.nn.Module.float = lambda module: module  # type: ignore[assignment,method-assign]
    rows: list[Row] = []
    for case in CASES:
        rows.append(counted(case))
        print(rows[-1], flush=True)
        write_rows(HERE / "counted.csv", rows)
    with atomic_write(HERE / "counted.md") as path:
        path.write_text(table(rows))


if __name__ == "__main__":
    main()
