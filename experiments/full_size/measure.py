"""Stable Diffusion 1.5 at full size: `python -m experiments.full_size.measure` (about half an hour on two cores).

Builds a diffusers folder of Stable Diffusion 1.5 from its public configuration with random weights, in half precision,
under `runs/full_size` (2 GB), tunes one step on one clip of 16 frames of 320 x 512 pixels with gradient checkpointing,
and samples as many frames in two steps, by the very commands a user types. Writes results.csv beside this file:
what was run, its seconds and its peak memory. Random weights make noise of every video; only time and memory count.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from open_clip.tokenizer import bytes_to_unicode
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from experiments.study import Row, write_rows
from maskvid.miniature.tokenizer import END, START, clip_merges

HERE = Path(__file__).parent
HORSE = Path("maskvid/assets/horse/train")
FRAMES, HEIGHT, WIDTH = 16, 320, 512


def build(folder: Path, channels: tuple[int, ...] = (320, 640, 1280, 1280)) -> None:
    """Stable Diffusion 1.5's architecture, its U-Net as wide as that or narrower; the tokenizer is CLIP's own."""
    letters = list(bytes_to_unicode().values())
    merges = clip_merges()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        tokenizer=CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=77),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                num_attention_heads=12, max_position_embeddings=77, projection_dim=768, hidden_act="quick_gelu",
                bos_token_id=49406, eos_token_id=49407,
            )
        ),
        vae=AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        ),
        unet=UNet2DConditionModel(
            sample_size=64, block_out_channels=channels, layers_per_block=2, cross_attention_dim=768,
            attention_head_dim=8,
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
            set_alpha_to_one=False, steps_offset=1,
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.to(dtype=torch.float16).save_pretrained(folder)


def one_clip(folder: Path) -> None:
    """The first training clip of the horse as a folder of its own, so that nothing else is encoded."""
    entry = json.loads((HORSE / "metadata.jsonl").read_text().splitlines()[0])
    for name in (entry["file_name"], entry["mask"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HORSE / name, folder / name)
    (folder / "metadata.jsonl").write_text(json.dumps(entry) + "\n")
    Image.fromarray(imageio.v3.imread(folder / entry["file_name"], index=0)).save(folder.parent / "first.png")


def measured(*arguments: str) -> dict[str, float]:
    """Run a module of maskvid; seconds of the whole command and the largest memory of any command so far."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", *arguments], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"command_seconds": round(time.monotonic() - start, 1), "peak_memory_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/full_size"))
    parser.add_argument("--dtype", default="bfloat16", help="of the frozen weights and of the arithmetic")
    options = parser.parse_args()
    backbone, clip, run = options.runs / "sd15", options.runs / "clip", options.runs / "run"
    if not (backbone / "model_index.json").exists():
        build(backbone)
    one_clip(clip)
    precision = {"bfloat16": "bf16-mixed", "float32": "32-true"}[options.dtype]
    shape = f"{FRAMES} x {HEIGHT} x {WIDTH}"
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    common: Row = {"shape": shape, "dtype": options.dtype, "machine": machine}
    trained = measured(
        "maskvid.train", "backbone=sd15", f"backbone.path={backbone}", f"backbone.dtype={options.dtype}",
        "backbone.controlnet=null", "callbacks.metrics=null", "data=folder", f"data.train={clip}",
        f"data.num_frames={FRAMES}", "trainer.max_steps=1", f"trainer.precision={precision}", f"run_dir={run}",
        "overwrite=true", "logger=csv",
    )  # fmt: skip
    cost = json.loads((run / "cost.json").read_text())
    rows: list[Row] = [common | {"what": "one training step", "seconds": cost["train_seconds"]} | trained]
    write_rows(HERE / "results.csv", rows)
    sampled = measured(
        "maskvid.generate", f"run={run}", "prompt=[a brown horse] gallops", f"masks={next(clip.rglob('*.npz'))}",
        f"num_frames={FRAMES}", f"first_frame={options.runs}/first.png",
        "sampling.num_inference_steps=2", "sampling.guidance_scale=1",
    )  # fmt: skip
    rows.append(common | {"what": "two sampling steps, decoding", "seconds": sampled["command_seconds"]} | sampled)
    write_rows(HERE / "results.csv", rows)


if __name__ == "__main__":
    main()
