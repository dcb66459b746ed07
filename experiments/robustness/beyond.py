"""Requests out of range: each key of each program with values that it cannot have; one sentence names the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from experiments.robustness.case import Case, Play, refusal
from experiments.robustness.forks import Launch
from experiments.robustness.programs import PROMPT, training

KIND = "requests out of range"

COUNT = ("0", "-1", "1.5", "nan", "many")
RATE = ("0", "-1", "nan", "inf")
SHARE = ("-0.1", "1.1", "nan")
HUGE = "1000000000"

TRAIN: Mapping[str, tuple[str, ...]] = {
    "data.height": (*COUNT, "33", HUGE),
    "data.width": (*COUNT, "50", HUGE),
    "data.num_frames": (*COUNT, "1", HUGE),
    "data.fps": RATE,
    "data.folder_fps": RATE,
    "data.batch_size": COUNT,
    "data.validation_batch_size": COUNT,
    "data.limit_training": COUNT,
    "data.num_workers": ("-1", "1.5"),
    "data.prompt_dropout": SHARE,
    "data.perturb_masks": SHARE,
    "data.max_foreground": ("0", *SHARE),
    "data.on_reject": ("maybe",),
    "data.train": ("[]", "5", "nowhere", "assets://nothing", "assets://../../.."),
    "data.validation": ("5", "{seen: nowhere}", "{train: clips}"),
    "optim.learning_rate": ("-1", "nan", "inf"),
    "optim.weight_decay": ("-1", "nan"),
    "method.noise.alpha": SHARE,
    "method.noise.mode": ("pink",),
    "method.foreground_weight": ("-1", "nan"),
    "method": ("magic",),
    "backbone.path": ("nowhere", "5"),
    "backbone.dtype": ("float8", "int8"),
    "scheduler.name": ("torch.load", "NoScheduler"),
    "sampling.num_inference_steps": (*COUNT, "1001"),
    "sampling.guidance_scale": ("-1", "nan", "inf"),
    "sampling.adain_fraction": SHARE,
    "trainer.max_steps": ("-5", "1.5"),
    "trainer.precision": ("8", "double-double"),
    "trainer.accelerator": ("quantum", "cuda"),
    "trainer.devices": ("0", "-7", "1000"),
    "threads": ("0", "-1", "100000"),
    "seed": ("-1", "1.5", "99999999999999999999"),
    "ckpt_path": ("last", "nowhere.ckpt"),
    "run_dir": ("clips/one.mp4",),
    "optimized_metric": ("seen/beauty", "mask_iou"),
    "no_such_key": ("1",),
    "+no.such.key": ("1",),
}
GENERATE: Mapping[str, tuple[str, ...]] = {
    "num_frames": (*COUNT, "13"),
    "height": (*COUNT, "33", HUGE),
    "width": (*COUNT, "50", HUGE),
    "mask_fps": RATE,
    "seed": ("-1", "1.5"),
    "run": ("[]", "5", "nowhere", "clips", "''"),
    "mix": ("[1,2]", "[nan]"),
    "masks": ("[]", "''", "nowhere", "clips"),
    "prompt": ("''", "[]", "'[a'", "'[] runs'"),
    "first_frame": ("''", "nowhere", "clips"),
    "out": ("clips/one.mp4", "clips/one.mp4/x", "/proc/nothing"),
    "device": ("cuda", "quantum"),
    "threads": ("0", "-1", "100000"),
    "sampling.num_inference_steps": (*COUNT, "1001"),
    "sampling.guidance_scale": ("-1", "nan", "inf"),
    "sampling.first_frame": ("given", "drawn"),
    "backbone.path": ("nowhere",),
    "backbone.dtype": ("int8",),
}
EDIT: Mapping[str, tuple[str, ...]] = {
    "source": ("''", "[]", "nowhere", "clips"),
    "source_fps": RATE,
    "num_frames": (*COUNT, "4"),
    "height": ("0", "33"),
    "source_prompt": ("'[a'",),
    "seed": ("1",),
}
EVALUATE: Mapping[str, tuple[str, ...]] = {
    "videos": ("nowhere", "[]", "5"),
    "run": ("nowhere", "5"),
    "given_frames": ("-1", "1.5"),
    "height": COUNT,
    "mask_fps": RATE,
    "masks": ("nowhere",),
    "source": ("nowhere",),
    "metrics.clip": ("nowhere",),
    "metrics.segmenter": ("nowhere",),
    "metrics.dino": ("nowhere",),
    "threads": ("0", "100000"),
    "trainer.devices": ("0",),
    "sampling.samples": ("0",),
    "out": ("clips/one.mp4",),
}
REPORT: Mapping[str, tuple[str, ...]] = {
    "runs": ("nowhere", "clips/one.mp4", "''", "[]", "clips"),
    "out": ("clips/one.mp4",),
    "clips": ("-1", "1.5"),
    "columns": ("[beauty]", "5"),
}


def cases(run: Path) -> Iterator[Case]:
    """All of them."""
    home = run.parent
    masks = f"masks={home}/clips/one.npz"
    one_step = "sampling.num_inference_steps=1"
    for program, arguments, keys in (
        ("train", training(home, "run"), TRAIN),
        ("generate", (f"run={run}", PROMPT, masks, "out=out", one_step), GENERATE),
        ("edit", (f"run={run}", PROMPT, masks, f"source={home}/clips/one.mp4", "out=out", one_step), EDIT),
        ("evaluate", (f"videos={home}/videos", "out=out"), EVALUATE),
        ("report", (f"runs={home}/scores", "out=out"), REPORT),
    ):
        for key, values in keys.items():
            for value in dict.fromkeys(values):
                yield asked(program, home, arguments, key, value)


def asked(program: str, home: Path, arguments: tuple[str, ...], key: str, value: str) -> Case:
    """A good request but for one key."""
    kept = tuple(argument for argument in arguments if argument.partition("=")[0] != key)

    def play(folder: Path) -> Play:
        (folder / "clips").symlink_to(home / "clips")
        outcome = yield Launch(program, (*kept, f"{key}={value}"), folder)
        told = value if len(value) > 6 else key  # "data folder nowhere does not exist" will do
        return refusal(outcome, key.lstrip("+"), key.rpartition(".")[2], told)

    return Case(KIND, f"{program} {key}={value}", play)
