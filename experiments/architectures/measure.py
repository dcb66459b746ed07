"""Every kind of backbone, by the commands a user types: `python -m experiments.architectures.measure`.

Builds folders of Stable Diffusion 1.5, 2.1 and XL of true architecture, but narrow, with random weights: as they are,
in half precision, cut into shards, and as a single file. On each it tunes one step by the backbone's own numbers
(frames, size, types), goes on, generates, makes a longer video, edits, exports, and loads the export in a new process.
Judges and ControlNets, which are downloads, are left out, and one step samples a video: weights are random, and only
that all of it works is looked at. Writes results.csv beside this file: what was run, its exit status and its seconds.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from experiments.study import Row, write_rows
from tests.backbones import save_backbone
from tests.single_file import save_single_file

HERE = Path(__file__).parent
HORSE = "maskvid/assets/horse/validation/horse"
KINDS = {"sd15": ("sd1", 64), "sd21": ("sd2", 96), "sdxl": ("sdxl", 128)}
"""Architecture, and size of the latents that it was trained on."""
PROMPT = "prompt=[a horse] gallops"
LOAD = """
import sys, torch
from maskvid import MaskVidPipeline
run, path, masks = sys.argv[1:]
pipe = MaskVidPipeline.from_pretrained(run, dtype=torch.bfloat16, backbone={"path": path})
picture = masks[:-3].replace("masks", "videos") + "mp4"
video = pipe("[a horse] gallops", masks=masks, image=picture, num_inference_steps=1)
assert len(video.frames[0]) == pipe.run.clips.num_frames
"""


def forms(kind: str, folder: Path) -> dict[str, list[str]]:
    """The overrides that name each form of a backbone, which is written first."""
    architecture, size = KINDS[kind]
    plain = save_backbone(folder / "plain", architecture, factor=8)
    pipeline = DiffusionPipeline.from_pretrained(plain)
    pipeline.unet.register_to_config(sample_size=size)
    pipeline.save_pretrained(plain)
    pipeline.save_pretrained(folder / "sharded", max_shard_size="200KB")
    pipeline.to(dtype=torch.float16).save_pretrained(folder / "half", variant="fp16")
    found = {
        "folder": [f"backbone.path={plain}"],
        "fp16 files": [f"backbone.path={folder / 'half'}", "backbone.variant=fp16"],
        "sharded": [f"backbone.path={folder / 'sharded'}"],
    }
    if kind == "sd15":
        file = save_single_file(plain, folder / "model.safetensors")
        found["single file"] = [f"backbone.path={file}", f"backbone.config={plain}"]
    return found


def commands(kind: str, overrides: list[str], run: Path) -> dict[str, list[str]]:
    """What a user types, by what it is for."""
    masks, video = f"masks={HORSE}/masks/horse-000.npz", f"{HORSE}/videos/horse-000.mp4"
    train = [
        "maskvid.train", "+experiment=horse", f"backbone={kind}", *overrides, "backbone.controlnet=null",
        "callbacks.metrics=null", "data.limit_training=1", "data.limit_validation=1",
        "~data.validation.unseen", "~data.validation.motion", "sampling.num_inference_steps=1", "logger=csv",
        f"run_dir={run}", "threads=1",
    ]  # fmt: skip
    ask = [f"run={run}", masks, PROMPT, "sampling.num_inference_steps=1", "threads=1"]
    path = next(one for one in overrides if one.startswith("backbone.path=")).partition("=")[2]
    return {
        "tune a step": [*train, "trainer.max_steps=1"],
        "go on": [*train, "trainer.max_steps=2", "ckpt_path=auto"],
        "generate": ["maskvid.generate", *ask],
        "longer": ["maskvid.generate", *ask, "num_frames=20", "mask_fps=8"],
        "edit": ["maskvid.edit", *ask, f"source={video}"],
        "export": ["maskvid.export", f"run={run}"],
        "load": [LOAD, str(run / "export"), path, f"{HORSE}/masks/horse-000.npz"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/architectures"))
    options = parser.parse_args()
    shutil.rmtree(options.runs, ignore_errors=True)
    rows: list[Row] = []
    for kind in KINDS:
        for form, overrides in forms(kind, options.runs / kind).items():
            run = options.runs / f"{kind}-{form.replace(' ', '-')}"
            for what, (program, *arguments) in commands(kind, overrides, run).items():
                start = time.monotonic()
                flag = "-c" if what == "load" else "-m"
                done = subprocess.run([sys.executable, flag, program, *arguments], capture_output=True, text=True)
                seconds = round(time.monotonic() - start, 1)
                rows.append(
                    {"backbone": kind, "form": form, "what": what, "status": done.returncode, "seconds": seconds}
                )
                print(rows[-1], done.stderr[-2000:] if done.returncode else "", flush=True)
                write_rows(HERE / "results.csv", rows)
    if failed := [row for row in rows if row["status"]]:
        raise SystemExit(f"{len(failed)} of {len(rows)} commands failed")


if __name__ == "__main__":
    main()
