"""Requests out of range: each key of each program with values that it cannot have.

Every one of them is to be refused by one sentence that names the key, with status 1 and before any work. Used by the
tests, in one process, and by `experiments/robustness`, as users run them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

COUNT = ("0", "-1", "1.5", "nan", "abc", "1000000000")
RATE = ("0", "-1", "nan", "inf", "1e9", "abc")
SHARE = ("-0.1", "1.1", "nan")
WEIGHT = ("-1", "nan", "inf")
THREADS = ("0", "-1", "1.5", "100000")
SEED = ("-1", "1.5", "abc", "99999999999999999999")
PATH = ("''", "[]", "/nowhere")
LONG = "x" * 10**5  # a system takes no longer argument
Table = Mapping[str, tuple[str, ...]]

REQUEST: Table = {
    "run": ("[]", "5", "{}", "''", "[5]", *PATH[2:]),
    "mix": ("[nan]", "[inf]", "[1,2]", "[]", "5"),
    "prompt": ("[]", "''", "['']", "' '", "'[a'", "'[] runs'", LONG),
    "masks": (*PATH, LONG),
    "num_frames": COUNT, "height": (*COUNT, "33"), "width": (*COUNT, "50"), "mask_fps": RATE,
    "max_foreground": ("0", *SHARE), "out": ("''", "{clips}/one.mp4", "{clips}/one.mp4/deeper", "/proc/none"),
    "backbone.path": ("/nowhere", "''"), "backbone.dtype": ("int8", "''"), "backbone.lora_scale": ("nan", "abc"),
    "backbone.controlnet": ("/nowhere",), "backbone.control_picture": ("drawn",), "backbone.controlnet_scale": WEIGHT,
    "device": ("cuda", "cuda:7", "mps", "meta", "abacus", "''"), "threads": THREADS,
    "sampling.num_inference_steps": (*COUNT, "1001"), "sampling.guidance_scale": WEIGHT,
    "sampling.adain_fraction": SHARE, "no_such_key": ("1",), "+no_such_key": ("1",),
}  # fmt: skip
GENERATE: Table = REQUEST | {
    "seed": SEED, "sampling.first_frame": ("given", "drawn"), "sampling.first_frame_guidance_scale": WEIGHT,
    "first_frame": ("''", "/nowhere", "{clips}"), "data.train": ("/nowhere", "[]"),
}  # fmt: skip
EDIT: Table = REQUEST | {
    "source": PATH, "source_fps": RATE, "source_prompt": ("'[a'", LONG), "num_frames": (*COUNT, "4"), "seed": ("1",),
    "keep_background": ("maybe",),
}  # fmt: skip
EVALUATE: Table = {
    "videos": (*PATH, "5"), "given_frames": ("-1", "1.5"), "height": COUNT, "width": COUNT, "mask_fps": RATE,
    "source_fps": RATE, "max_foreground": ("0", *SHARE), "source": PATH[2:], "threads": THREADS,
    "out": ("{clips}/one.mp4", "''"),
    "run": ("[]", "5", "{}", "''", "/nowhere"), "metrics.clip": ("/nowhere",), "metrics.segmenter": ("/nowhere",),
    "metrics.dino": ("/nowhere",), "+metrics.unknown": ("1",), "sampling.samples": ("0", "-1"), "seed": SEED,
    "masks": ("/nowhere",), "save_videos": ("maybe",),
}  # fmt: skip
EVALUATE_RUN: Table = {
    "sampling.samples": COUNT, "sampling.perturb": ("melt",), "sampling.perturb_strength": ("-1", "6", "2"),
    "sampling.num_inference_steps": ("0", "1001"), "scheduler.name": ("torch.load", "NoScheduler"), "seed": SEED,
    "trainer.devices": ("0", "-7", "1000", "abc"), "trainer.precision": ("8", "foo"),
    "trainer.accelerator": ("quantum", "cuda"),
    "trainer.limit_val_batches": ("-1", "nan"), "+trainer.unknown": ("1",), "+sets.mine": ("/nowhere",),
    "mix": ("[nan]", "[1,2]"),
}  # fmt: skip
TRAIN: Table = {
    "data.train": (*PATH, "5", "{}", "assets://nothing", "assets://../../.."),
    "data.validation": ("5", "{seen: /nowhere}", "{train: clips}"),
    "data.height": (*COUNT, "33"), "data.width": (*COUNT, "50"), "data.num_frames": (*COUNT, "1"), "data.fps": RATE,
    "data.folder_fps": RATE, "data.batch_size": COUNT, "data.limit_training": ("0", "-1", "1.5"),
    "data.limit_validation": ("0", "-1", "1.5"), "data.num_workers": ("-1", "1.5", "100000"),
    "data.cache_dir": ("''", "{clips}/one.mp4"),
    "data.prompt_dropout": SHARE, "data.box_masks": SHARE, "data.zoom": SHARE, "data.flip": ("maybe",),
    "data.max_foreground": ("0", *SHARE), "data.on_reject": ("maybe",), "data.dry_run": ("maybe",),
    "data.seed": ("-1", "1.5"),
    "+data.unknown": ("1",),
    "backbone.path": ("/nowhere", "''"), "backbone.dtype": ("float8", "bfloat16"), "backbone.lora": ("/nowhere",),
    "backbone.lora_scale": ("nan",), "backbone.controlnet": ("/nowhere",), "backbone.control_picture": ("drawn",),
    "backbone.controlnet_scale": WEIGHT,
    "method": ("magic",), "method.unet.reference": ("last",), "method.unet.first_frame": ("drawn",),
    "method.unet.temporal_attention": ("huge",), "method.unet.temporal_conv": ("huge",),
    "method.unet.self_attention_strength": ("nan", "abc"), "method.noise.mode": ("pink",), "method.noise.alpha": SHARE,
    "method.noise.sampling_alpha": SHARE, "method.noise.brought": WEIGHT,
    "method.rough_masks": WEIGHT, "backbone.mask_scale": WEIGHT, "sampling.mask_precision": ("sharp", "box"),
    "method.noise.start": ("nowhere",), "method.foreground_weight": WEIGHT,
    "optim.learning_rate": WEIGHT, "optim.mask_learning_rate": WEIGHT, "optim.weight_decay": WEIGHT,
    "optim.warmup_steps": ("-1", "1.5"), "optim.decay_from": SHARE,
    "sampling.num_inference_steps": (*COUNT, "1001"), "sampling.guidance_scale": WEIGHT,
    "sampling.adain_fraction": SHARE,
    "sampling.first_frame": ("drawn", "controlnet"), "sampling.samples": COUNT,
    "sampling.perturb_strength": ("-1", "6", "2"),
    "scheduler.name": ("torch.load", "NoScheduler"), "+scheduler.unknown": ("1",),
    "+scheduler.solver_order": ("99", "abc"),
    "trainer.max_steps": ("-5", "1.5", "abc"), "trainer.devices": ("0", "-7", "1000", "abc"),
    "+trainer.num_nodes": ("0", "1000000"),
    "trainer.precision": ("foo", "8", "bf16-true"), "trainer.accelerator": ("quantum", "cuda"),
    "trainer.strategy": ("magic",),
    "trainer.val_check_interval": ("0", "-1", "nan"), "trainer.gradient_clip_val": WEIGHT,
    "trainer.accumulate_grad_batches": COUNT[:4],
    "trainer.log_every_n_steps": ("-1", "1.5"), "trainer.limit_val_batches": ("-1", "nan"),
    "trainer.num_sanity_val_steps": ("-2",),
    "trainer.max_epochs": ("-5",), "trainer.unknown": ("1",), "+trainer.unknown": ("1",),
    "callbacks.ema.decay": ("-0.1", "1", "2", "nan"), "callbacks.ema.warmup": ("0", "nan"),
    "callbacks.checkpoint.every_n_train_steps": ("0", "-1", "1.5"),
    "callbacks.video_logger.columns": ("0", "-1", "1.5"), "callbacks.video_logger.scale": ("0", "-1", "1000"),
    "callbacks.video_logger.logged_per_set": ("-1", "1.5"),
    "+callbacks.unknown": ("1", "{_target_: maskvid.nothing}"), "+callbacks.ema.unknown": ("1",),
    "logger": ("abacus", "5"), "metrics": ("abacus",), "seed": SEED, "threads": THREADS,
    "run_dir": ("''", "{clips}/one.mp4"),
    "ckpt_path": ("last", "/nowhere.ckpt"), "init_adapter": ("/nowhere", "''"),
    "optimized_metric": ("seen/beauty", "mask_iou", "''"),
    "shard_backbone": ("maybe",), "no_such_key": ("1",), "+no_such_key": ("1",),
}  # fmt: skip
REPORT: Table = {
    "runs": (*PATH, "5", "{clips}", "{clips}/one.mp4"), "out": ("{clips}/one.mp4", "''"), "clips": ("-1", "1.5"),
    "columns": ("[beauty]", "5"), "plots": ("maybe",), "title": ("''",),
}  # fmt: skip
EXPORT: Table = {
    "run": ("''", "/nowhere", "{clips}", "{clips}/one.mp4"), "out": ("''", "{clips}/one.mp4"), "base": ("''",),
    "license": ("''",), "push": ("''",), "overwrite": ("maybe",), "no_such_key": ("1",),
}  # fmt: skip
DASHBOARD: Table = {
    "entity": ("''", "[]", "{}"),
    "project": ("''",),
    "sets": ("5",),
    "clips": ("5",),
    "group_by": ("{}",),
}
DRAW: Table = {
    "drawing": PATH[2:], "text": ("'a unicorn flies'", "'...'"), "frames": COUNT, "fps": RATE, "height": COUNT,
    "width": COUNT, "format": ("gif", "''"), "like": PATH[2:], "out": ("''", "{clips}/one.mp4"),
    "overwrite": ("maybe",),
}  # fmt: skip
PREPARE: Table = {
    "videos": (*PATH, "5"), "out": ("''", "{clips}/one.mp4", "{clips}", "/proc/none"), "subject": ("''", "'[a'"),
    "foreground": ("magic", "''", "rembg", "grabcut"), "model": ("''", "/nowhere"), "detector": ("''", "/nowhere"),
    "box": ("[]", "[1,2]", "[0.5,0,0.2,1]", "[-1,0,1,1]", "[nan,0,1,1]", "5"),
    "points": ("[]", "[1,2]", "[[1]]", "[[1,2,3]]", "[[-1,0]]", "5"), "num_frames": (*COUNT, "1"), "fps": RATE,
    "height": (*COUNT, "64"), "width": (*COUNT, "96"), "largest_side": COUNT, "folder_fps": RATE,
    "cut_threshold": ("0", "1", "nan", "1000", "abc"), "caption": ("''", "'[a'", "'[a] [b]'"),
    "captioner": ("''", "/nowhere"), "max_foreground": ("0", *SHARE), "overwrite": ("maybe",), "dry_run": ("maybe",),
    "device": ("cuda:7", "meta", "abacus", "''"), "threads": THREADS, "no_such_key": ("1",), "+no_such_key": ("1",),
}  # fmt: skip
PRETRAIN: Table = {
    "stage": ("magic", "''", "5"), "threads": THREADS, "accelerator": ("quantum",), "compile": ("maybe",),
    "assets": ("''",), "runs": ("''",),
    "corpora.backbone.count": COUNT[:5], "corpora.backbone.seed": SEED[:3], "vae.batch": COUNT[:5],
    "vae.layers": ("0", "1.5"),
    "vae.kl": WEIGHT, "vae.settings.lr": ("0", *WEIGHT), "vae.settings.max_steps": COUNT[:5], "vae.settings.ema": SHARE,
    "vae.settings.decay_from": SHARE, "vae.settings.warmup": ("-1", "1.5"), "vae.settings.seed": SEED[:3],
    "vae.save_every": COUNT[:5],
    "vae.channels": ("[]", "[0]", "5"), "backbone.drop": SHARE, "clip.batch": ("0",), "card.steps": ("0", "1001"),
    "card.device": ("cuda", "abacus"),
    "card.prompts": ("0", "-1"), "no_such_key": ("1",), "+no_such_key": ("1",),
}  # fmt: skip


@dataclass(frozen=True)
class Paths:
    """What good requests name.

    Attributes:
        run: A tuned run, of windows of three frames of 32 x 48.
        clips: Triples, among them `one.mp4` and `one.npz`.
        backbone: A diffusers folder.
        videos: A folder that generate has written.
        scores: A folder with a run that was measured.
        new: A folder to write to, which need not exist.
    """

    run: Path
    clips: Path
    backbone: Path
    videos: Path
    scores: Path
    new: Path


def good_requests(paths: Paths) -> dict[str, tuple[str, tuple[str, ...], Table]]:
    """By name the program, the arguments of a request that works, and what its keys cannot be."""
    asked = (
        "prompt='[a fox] runs'",
        f"masks={paths.clips}/one.npz",
        f"out={paths.new}",
        "sampling.num_inference_steps=1",
    )
    train = (
        f"data.train={paths.clips}", f"data.validation={{seen: {paths.clips}}}", "data.height=32", "data.width=48",
        "data.num_frames=3", "data.fps=4", f"data.cache_dir={paths.new}/cache", "backbone=folder",
        f"backbone.path={paths.backbone}", "trainer.accelerator=cpu", "trainer.max_steps=1", "logger=csv",
        "callbacks.metrics=null", "callbacks.progress=null", "sampling.num_inference_steps=1", f"run_dir={paths.new}",
    )  # fmt: skip
    return {
        "generate": ("generate", (f"run={paths.run}", *asked), GENERATE),
        "edit": ("edit", (f"run={paths.run}", f"source={paths.clips}/one.mp4", *asked), EDIT),
        "evaluate videos": ("evaluate", (f"videos={paths.videos}", f"out={paths.new}"), EVALUATE),
        "evaluate run": (
            "evaluate",
            (f"run={paths.run}", f"+sets.seen={paths.clips}", f"out={paths.new}", "trainer.accelerator=cpu"),
            EVALUATE_RUN,
        ),
        "train": ("train", train, TRAIN),
        "draw": ("draw", ("text='a horse walks across'", f"out={paths.new}"), DRAW),
        "report": ("report", (f"runs={paths.scores}", f"out={paths.new}"), REPORT),
        "export": ("export", (f"run={paths.run}", f"out={paths.new}"), EXPORT),
        "dashboard": ("dashboard", ("entity=nobody",), DASHBOARD),
        "prepare": (
            "prepare",
            (f"videos={paths.clips}", f"out={paths.new}", "subject='a horse'", "foreground=embedded"),
            PREPARE,
        ),
        "pretrain": ("pretrain", ("stage=card", f"assets={paths.new}", f"runs={paths.new}"), PRETRAIN),
    }


def requests(paths: Paths) -> Iterator[tuple[str, str, list[str]]]:
    """Every request out of range: its name, the program, and its arguments as they are typed.

    The last argument is the one at fault; what stands before its `=` is what the message must name.
    """
    for name, (program, arguments, table) in good_requests(paths).items():
        for key, values in table.items():
            kept = [argument for argument in arguments if argument.partition("=")[0] != key]
            for value in values:
                text = value.replace("{clips}", str(paths.clips))
                yield f"{name}: {key}={value[:40]}", program, [*kept, f"{key}={text}"]
