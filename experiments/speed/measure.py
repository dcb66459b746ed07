"""Tuning and sampling on a processor, side by side: `python -m experiments.speed.measure` (about 20 minutes).

In one process, step by step in turn, at the miniature's size and at a middle one (Stable Diffusion 1.5's architecture,
60 M weights in the U-Net, random; 8 frames of 256 x 384), in float32 on one thread: `maskvid`, the same with every
layer steered, LAMP with fused attention and with plain attention as published, and Tune-A-Video. Then a clip of the
miniature by each method's own recipe, ours by LAMP's as well, and how `maskvid` grows with frames, size and batch, and
a long video with its length. Writes results.csv, scaling.csv, scaling.png and table.md (medians, and ratios to LAMP)
beside this file. `--quick` leaves the middle size out, `--growth` all but how ours grows.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import platform
import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from experiments.full_size.measure import build
from experiments.speed.count import Peak, bytes_of
from experiments.speed.figures import curves
from experiments.speed.gpu import batch_of, ceiling, module_of, optimiser_of, saved_bytes, seconds
from experiments.study import Row, write_rows
from maskvid.callbacks.cost import peak_memory_mb
from maskvid.config import register
from maskvid.files import atomic_write
from maskvid.module import MaskVidModule

HERE = Path(__file__).parent
MIDDLE = Path("runs/speed/middle")
CHANNELS = (96, 192, 320, 320)
SIZES = {"miniature": ("assets://mini", 8, 64, 96, 7), "middle": (str(MIDDLE), 8, 256, 384, 3)}
METHODS: dict[str, tuple[str, str, list[str]]] = {
    "maskvid": ("maskvid", "fused", []),
    "maskvid, all layers": ("maskvid", "fused", ["method.unet.layers=all"]),
    "lamp, as published": ("lamp", "plain", []),
    "lamp, fused": ("lamp", "fused", []),
    "tune_a_video": ("tune_a_video", "fused", []),
}
_THEIRS = ["scheduler=ddim", "sampling.num_inference_steps=50", "sampling.guidance_scale=12.5", "sampling.mask_scale=1"]
RECIPES: dict[str, tuple[str, list[str]]] = {
    "maskvid: DPM-Solver++ 4, mask_scale 1.5": (
        "maskvid",
        ["scheduler=dpm", "sampling.num_inference_steps=4", "sampling.guidance_scale=1", "sampling.mask_scale=1.5"],
    ),
    "maskvid: DDIM 50, guidance 12.5": ("maskvid", _THEIRS),
    "lamp: DDIM 50, guidance 12.5": ("lamp", _THEIRS),
    "tune_a_video: inversion, DDIM 50, guidance 12.5": ("tune_a_video", _THEIRS),
}


class Trial:
    """One method at one size, whose training steps are timed."""

    def __init__(self, name: str, path: str, shape: tuple[int, int, int], windows: int = 1) -> None:
        self.name = name
        method, self.attention, overrides = METHODS[name]
        if path == "assets://mini":
            overrides = [*overrides, "backbone.rank=null"]  # as its preset has it
        self.module = module_of(path, method, "float32", "32-true", checkpointing=False, more=overrides).train()
        self.batch = batch_of(self.module, *shape, windows)
        self.trained = [weight for weight in self.module.unet.steering.parameters() if weight.requires_grad]
        self.optimizer = optimiser_of(self.module)
        self.steps: list[float] = []
        self.forwards: list[float] = []

    def _kernels(self) -> AbstractContextManager[Any]:
        return sdpa_kernel(SDPBackend.MATH) if self.attention == "plain" else nullcontext()

    def forward(self) -> torch.Tensor:
        """The loss."""
        with self._kernels():
            return self.module.training_step(self.batch, 0)

    def step(self) -> None:
        """Forward, backward and the optimiser: Muon for ours, AdamW for the peers, as theirs."""
        self.forward().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def peak(self) -> int:
        """The most bytes that a step holds at a time, with weights and the optimiser's state: counted."""
        state = [value for held in self.optimizer.state.values() for value in held.values() if torch.is_tensor(value)]
        known = [*self.module.parameters(), *self.module.buffers(), *state]
        gc.collect()
        with Peak(known) as within:
            self.step()
        return bytes_of(known) + within.most

    def time(self) -> None:
        """Time a step, and a forward pass."""
        self.steps.append(seconds(self.step))
        with torch.no_grad():
            self.forwards.append(seconds(self.forward))


def training(size: str, rows: list[Row]) -> None:
    """Time steps of all methods in turn, the first of each left out."""
    path, *shape, repeats = SIZES[size]
    trials = [Trial(name, path, tuple(shape)) for name in METHODS]  # type: ignore[arg-type]
    for repeat in range(repeats + 1):
        for trial in trials:
            trial.time()
            if repeat == 0:
                trial.steps.clear()
                trial.forwards.clear()
    best = ceiling(torch.float32)
    for trial in trials:
        with saved_bytes(trial.module) as saved:
            trial.forward()
        with FlopCounterMode(display=False) as counter:
            trial.step()
        state = trial.module.unet.steering.state_dict()
        rows.append({
            "device": platform.processor() or "processor", "size": size, "precision": "32-true", "method": trial.name,
            "attention": trial.attention, "checkpointing": False,
            "train_step_ms": round(1e3 * statistics.median(trial.steps)),
            "forward_ms": round(1e3 * statistics.median(trial.forwards)),
            "saved_for_backward_mb": round(saved[0] / 2**20),
            "peak_memory_mb": round(trial.peak() / 2**20),
            "tflop_step": round(counter.get_total_flops() / 1e12, 3),
            "trained_parameters": sum(parameter.numel() for parameter in trial.trained),
            "adapter_mb": round(sum(value.numel() for value in state.values()) * 4 / 2**20, 1),
            "share_of_ceiling": round(counter.get_total_flops() / statistics.median(trial.steps) / best, 3),
        })  # fmt: skip


def sampler(name: str) -> MaskVidModule:
    """A method at the miniature's size with its own recipe."""
    method, overrides = RECIPES[name]
    more = [*overrides, "backbone.rank=null"]
    return module_of("assets://mini", method, "float32", "32-true", checkpointing=False, more=more).eval()


@torch.inference_mode()
def recipe(name: str) -> Row:
    """Seconds of one clip of the miniature, decoded."""
    module = sampler(name)
    batch = batch_of(module, 8, 64, 96)
    assert batch.latents is not None
    first, module.pipeline.sources = batch.latents[:, 0], batch
    module.pipeline.backbone.decode_latents(first)  # warm
    return {
        "size": "miniature",
        "method": name,
        "sample_seconds": round(seconds(lambda: module.pipeline.generate(batch, first)), 2),
    }


def scaling() -> list[Row]:
    """Training steps of `maskvid` by frames, size and batch; a long video by its length."""
    rows: list[Row] = []
    shapes = [("frames", n, (n, 64, 96), 1) for n in (4, 8, 16, 32, 64)]
    shapes += [("rows", n, (8, n, n * 3 // 2), 1) for n in (32, 64, 96, 128)]
    shapes += [("windows", n, (8, 64, 96), n) for n in (1, 2, 4, 8)]
    for axis, value, shape, windows in shapes:
        trial = Trial("maskvid", "assets://mini", shape, windows)
        trial.step()
        with saved_bytes(trial.module) as saved:
            trial.forward()
        times = [seconds(trial.step) for _ in range(3)]
        rows.append({
            "what": "training step", "axis": axis, "value": value, "seconds": round(statistics.median(times), 3),
            "saved_for_backward_mb": round(saved[0] / 2**20),
        })  # fmt: skip
    # each length in a process of its own: the peak of one never falls
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return rows + pool.map(long_video, (8, 32, 128, 512), chunksize=1)


def long_video(frames: int) -> Row:
    """Seconds of a video by our recipe, and the most memory of this process."""
    register()
    torch.set_num_threads(1)
    module = sampler(next(iter(RECIPES)))
    batch = batch_of(module, frames, 64, 96)
    assert batch.latents is not None
    module.pipeline.run.clips.num_frames = 8
    began = time.perf_counter()
    with torch.inference_mode():
        made = sum(piece.shape[1] for piece in module.pipeline.asked().stream(batch, batch.latents[:, 0]))
    assert made == frames
    return {
        "what": "long video", "axis": "frames", "value": frames, "seconds": round(time.perf_counter() - began, 2),
        "peak_memory_mb": round(peak_memory_mb()),
    }  # fmt: skip


def table(rows: list[Row]) -> str:
    """Training steps as a markdown table, with ratios to both forms of LAMP."""
    names = (
        "train_step_ms", "forward_ms", "saved_for_backward_mb", "peak_memory_mb", "tflop_step", "trained_parameters",
        "adapter_mb",
    )  # fmt: skip
    ratio_names = ("step / lamp, published", "step / lamp, fused", "saved / lamp, published")
    head = ["size", "method", *(name.replace("_", " ") for name in names), *ratio_names]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        if "train_step_ms" not in row:
            continue
        peers = {str(one["method"]): one for one in rows if one["size"] == row["size"]}
        published, fused = peers["lamp, as published"], peers["lamp, fused"]
        ratios = [
            f"{float(str(row[name])) / float(str(peer[name])):.2f}"
            for name, peer in (
                ("train_step_ms", published), ("train_step_ms", fused), ("saved_for_backward_mb", published)
            )
        ]  # fmt: skip
        lines.append(
            "| " + " | ".join(map(str, [row["size"], row["method"], *(row[name] for name in names), *ratios])) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the miniature's size alone")
    parser.add_argument("--growth", action="store_true", help="how ours grows alone")
    options = parser.parse_args()
    register()
    torch.set_num_threads(1)
    growth = scaling()
    write_rows(HERE / "scaling.csv", growth)
    curves(growth, HERE / "scaling.png")
    if options.growth:
        return
    rows: list[Row] = []
    for size in SIZES:
        if size == "middle":
            if options.quick:
                continue
            if not (MIDDLE / "model_index.json").exists():
                build(MIDDLE, CHANNELS)
            weights = UNet2DConditionModel.from_pretrained(MIDDLE, subfolder="unet").num_parameters()
            print(f"middle: {weights / 1e6:.0f} M weights in the U-Net", flush=True)
        training(size, rows)
        write_rows(HERE / "results.csv", rows)
        print(table(rows), flush=True)
    rows += [recipe(name) for name in RECIPES]
    write_rows(HERE / "results.csv", rows)
    with atomic_write(HERE / "table.md") as temporary:
        temporary.write_text(table(rows))
    for row in rows:
        if "sample_seconds" in row:
            print(row["method"], row["sample_seconds"], "s")


if __name__ == "__main__":
    main()
