"""Tuning and sampling on a GPU, side by side in one process: `experiments/speed/gpu.sh` (about ten minutes on an H100).

The true architecture of Stable Diffusion 1.5 with random weights, 16 frames of 320 x 512 pixels, tuned by `maskvid`,
`lamp` and `tune_a_video` in turn and sampled by each one's own recipe. Random weights make noise of every video; only
time and memory count. Writes one row for each configuration to `gpu.csv`, after every row, so that a run that is cut
off loses nothing. `--backbone assets://mini --height 64 --width 96 --frames 8 --steps 2` tries it out on a processor.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from experiments.full_size.measure import build
from experiments.study import Row, configure, write_rows
from maskvid.clip import ClipBatch
from maskvid.config import loading, register
from maskvid.model import Backbone
from maskvid.module import MaskVidModule
from maskvid.prompt import parse_prompt
from maskvid.train import build_module

HERE = Path(__file__).parent
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

TRAINED = [  # method, type of the frozen weights, arithmetic, attention, gradient checkpointing, windows a step
    ("maskvid", "bfloat16", "bf16-mixed", "fused", False, 1),
    ("maskvid", "bfloat16", "bf16-mixed", "fused", True, 1),  # trainer=gpu_8gb
    ("maskvid", "bfloat16", "bf16-mixed", "fused", True, 2),  # trainer=gpu_12gb
    ("maskvid", "bfloat16", "bf16-mixed", "fused", False, 2),  # trainer=gpu_24gb
    ("lamp", "bfloat16", "bf16-mixed", "fused", False, 1),
    ("lamp", "bfloat16", "bf16-mixed", "fused", True, 1),
    ("tune_a_video", "bfloat16", "bf16-mixed", "fused", False, 1),
    ("tune_a_video", "bfloat16", "bf16-mixed", "fused", True, 1),
    ("lamp", "bfloat16", "bf16-mixed", "plain", False, 1),
    ("maskvid", "float32", "bf16-mixed", "fused", False, 1),
    ("maskvid", "float32", "32-true", "fused", False, 1),
    ("lamp", "float32", "32-true", "fused", False, 1),
    ("tune_a_video", "float32", "32-true", "fused", False, 1),
    ("maskvid", "float16", "16-mixed", "fused", False, 1),
]
SAMPLED = [  # method, weights, denoising steps, guidance, scheduler: ours at three lengths, then each one's own recipe
    ("maskvid", "bfloat16", 4, 1.0, "dpm"),
    ("maskvid", "bfloat16", 8, 1.0, "dpm"),
    ("maskvid", "bfloat16", 25, 7.5, "dpm"),
    ("maskvid", "float8", 25, 7.5, "dpm"),
    ("lamp", "bfloat16", 50, 12.5, "ddim"),
    ("tune_a_video", "bfloat16", 50, 12.5, "ddim"),
]


def module_of(path: str, method: str, dtype: str, precision: str, *, checkpointing: bool, more: list[str]) -> Any:
    """The module that `maskvid.train` builds, on the device."""
    optimiser = "muon" if method == "maskvid" else "adamw"  # the peers' own
    config = configure(
        "train", "backbone=folder", f"backbone.path={path}", f"backbone.dtype={dtype}", "data=folder",
        "data.train=none", f"method={method}", f"trainer.precision={precision}", "seed=1", f"optim.name={optimiser}",
        f"method.unet.gradient_checkpointing={str(checkpointing).lower()}", *more,
    )  # fmt: skip
    config.run_dir = "none"
    backbone = Backbone(**asdict(loading(config.backbone)))
    module = build_module(config, backbone, ["none"])
    if dtype == "float8":
        backbone.pack()
    backbone.to(DEVICE)
    return module.to(DEVICE)


def optimiser_of(module: MaskVidModule) -> torch.optim.Optimizer:
    """The one that the module tunes by, at its full rates."""
    module.trainer = SimpleNamespace(max_steps=10**6)  # type: ignore[assignment]  # that is all it looks at
    optimizer = module.configure_optimizers()["optimizer"]
    module.trainer = None
    return optimizer


def batch_of(module: MaskVidModule, frames: int, height: int, width: int, windows: int = 1) -> ClipBatch:
    """Clips of noise with a disk that walks through it."""
    text, subject, pooled = module.backbone.encode_text([parse_prompt("[a brown horse] gallops across a meadow")])
    factor, channels = module.unet.vae_scale_factor, module.unet.unet.config.in_channels
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(windows, frames, channels, height // factor, width // factor, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.linspace(0.3, 0.7, frames) * width
    disks = [((rows - height / 2) ** 2 + (columns - centre) ** 2).sqrt() < height / 5 for centre in centres]
    return ClipBatch(
        ids=["disk"] * windows,
        masks=torch.stack(disks).float()[None, :, None].repeat(windows, 1, 1, 1, 1),
        text=text.repeat(windows, 1, 1),
        subject=subject.repeat(windows, 1),
        latents=latents,
        frames=None,
        prompts=["a brown horse gallops across a meadow"] * windows,
        pooled=None if pooled is None else pooled.repeat(windows, 1),
        positions=list(range(windows)),
    ).to(DEVICE)


def arithmetic(precision: str) -> AbstractContextManager[Any]:
    kinds = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    return torch.autocast(DEVICE.type, kinds[precision]) if precision in kinds else nullcontext()


@contextmanager
def saved_bytes(module: torch.nn.Module) -> Iterator[list[int]]:
    """Bytes that the forward pass keeps for the backward pass, each storage once, weights apart."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in [*module.parameters(), *module.buffers()]}
    seen: dict[int, int] = {}
    total = [0]

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would keep its graph for ever: a cycle that nobody collects

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total[0] = sum(seen.values())


def seconds(work: Callable[[], object]) -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_mb() -> float:
    return round(torch.cuda.max_memory_allocated() / 2**20) if DEVICE.type == "cuda" else 0.0


def fresh() -> None:
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def ceiling(dtype: torch.dtype) -> float:
    """FLOP a second of a large product in a type: what the machine can do at best."""
    side = 8192 if DEVICE.type == "cuda" else 1024
    a = torch.randn(side, side, device=DEVICE, dtype=dtype)
    for _ in range(3):
        a @ a
    return 2 * side**3 / statistics.median(seconds(lambda: a @ a) for _ in range(7))


def train_row(module: MaskVidModule, batch: ClipBatch, precision: str, attention: str, steps: int) -> Row:
    """Seconds of forward, backward and optimiser; what they keep; whether the loss is a number."""
    trained = [parameter for parameter in module.unet.steering.parameters() if parameter.requires_grad]
    optimizer = optimiser_of(module)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=precision == "16-mixed")
    losses: list[float] = []

    def kernels() -> AbstractContextManager[Any]:
        return sdpa_kernel(SDPBackend.MATH) if attention == "plain" else nullcontext()

    def step() -> None:
        with arithmetic(precision), kernels():
            loss = module.training_step(batch, 0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))

    step()
    with saved_bytes(module) as saved, arithmetic(precision), kernels():
        module.training_step(batch, 0)
    fresh()
    times = [seconds(step) for _ in range(steps)]
    peak = peak_mb()
    with FlopCounterMode(display=False) as counter:
        step()
    best = ceiling({"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision, torch.float32))
    return {
        "train_step_ms": round(1e3 * statistics.median(times), 1),
        "saved_for_backward_mb": round(saved[0] / 2**20),
        "peak_memory_mb": peak,
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "adapter_mb": round(sum(value.numel() for value in module.unet.steering.state_dict().values()) * 4 / 2**20, 1),
        "tflop_step": round(counter.get_total_flops() / 1e12, 2),
        "share_of_ceiling": round(counter.get_total_flops() / statistics.median(times) / best, 3),
        "last_loss": round(losses[-1], 4),
    }


@torch.inference_mode()
def sample_row(module: MaskVidModule, batch: ClipBatch, precision: str) -> Row:
    """Seconds of a whole clip, decoded, twice with one seed: the second is timed, and must be equal to the bit."""
    assert batch.latents is not None
    first = batch.latents[:, 0]
    module.pipeline.sources = batch
    videos: list[torch.Tensor] = []

    def sample() -> None:
        with arithmetic(precision):
            videos.append(module.pipeline.generate(batch, first))

    sample()
    fresh()
    taken = seconds(sample)
    return {
        "sample_seconds": round(taken, 2),
        "peak_memory_mb": peak_mb(),
        "same_seed_same_video": bool(torch.equal(videos[0], videos[1])),
        "finite": bool(videos[1].isfinite().all()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", help="a diffusers folder; by default one of Stable Diffusion 1.5's shape is made")
    parser.add_argument("--size", default="sd15, 16 x 320 x 512")
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5, help="training steps timed")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.csv")
    options = parser.parse_args()
    register()
    path = options.backbone or "runs/speed/sd15"
    if options.backbone is None and not Path(path, "model_index.json").exists():
        build(Path(path))
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "processor"
    # a processor has neither float16 nor, here, the patience for single precision's rows
    trained = [case for case in TRAINED if DEVICE.type == "cuda" or case[1] == "bfloat16"]
    rows: list[Row] = []

    def measure(common: Row, work: Callable[[], Row]) -> None:
        fresh()
        try:
            found = work()
        except torch.cuda.OutOfMemoryError:
            found = {"last_loss": "out of memory"}
        rows.append({"device": name, "size": options.size} | common | found)
        print(rows[-1], flush=True)
        write_rows(options.out, rows)

    shape = (options.frames, options.height, options.width)
    for method, dtype, precision, attention, checkpointing, windows in trained:

        def train(method: str = method, dtype: str = dtype, precision: str = precision, attention: str = attention,
                  checkpointing: bool = checkpointing, windows: int = windows) -> Row:  # fmt: skip
            module = module_of(path, method, dtype, precision, checkpointing=checkpointing, more=[])
            return train_row(module, batch_of(module, *shape, windows), precision, attention, options.steps)

        common: Row = {
            "what": "train", "method": method, "weights": dtype, "precision": precision, "attention": attention,
            "checkpointing": checkpointing, "windows": windows,
        }  # fmt: skip
        measure(common, train)
    for method, dtype, steps, guidance, scheduler in SAMPLED:

        def sample(method: str = method, dtype: str = dtype, steps: int = steps, guidance: float = guidance,
                   kind: str = scheduler) -> Row:  # fmt: skip
            more = [f"scheduler={kind}", f"sampling.num_inference_steps={steps}", f"sampling.guidance_scale={guidance}"]
            module = module_of(path, method, dtype, "bf16-mixed", checkpointing=False, more=more)
            return sample_row(module, batch_of(module, *shape), "bf16-mixed")

        recipe = f"{steps} steps of {scheduler}, guidance {guidance:g}"
        measure({"what": f"sample, {recipe}", "method": method, "weights": dtype, "precision": "bf16-mixed"}, sample)


if __name__ == "__main__":
    main()
