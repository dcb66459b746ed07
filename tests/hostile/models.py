"""Backbone folders, single files, LoRAs and ControlNets of others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor

from tests.hostile.grounds import Build, Grounds, Hostile, code, edit_json, write_pickle
from tests.model.test_control import save_controlnet

Change = Callable[[Path, Path], Any]
"""Of a copy of something good; the second is the marker."""

UNET, MODEL = "diffusion_pytorch_model.safetensors", "model.safetensors"


def backbone(change: Change, *more: str, refused: bool = True) -> Build:
    """A backbone folder that was changed."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = shutil.copytree(grounds.backbone, place / "bad"), place / "marker"
        change(bad, marker)
        argv = grounds.generate(place, f"backbone.path={bad}", *more)
        return Hostile(name, argv, marker, refused, words="backbone.path=")

    return build


def unsafe(part: str, weights: str, pickled: str, *, archive: bool = True) -> Build:
    """A part whose weights are pickled in a file of some name."""

    def change(bad: Path, marker: Path) -> None:
        (bad / part / weights).unlink()
        write_pickle(bad / part / pickled, marker, archive=archive)

    return backbone(change)


def indexed(**parts: Any) -> Change:
    """Other entries of `model_index.json`, and beside them the Python files that they would name."""

    def change(bad: Path, marker: Path) -> None:
        edit_json(bad / "model_index.json", lambda index: index.update(parts))
        for name in ("pipeline", "my_module", "my_pipeline", *parts):
            for place in (bad, bad / "unet", bad / "scheduler", bad / name):
                place.mkdir(exist_ok=True)
                for module in (name, "my_module", "__init__"):
                    (place / f"{module}.py").write_text(code(marker) + "class Evil: pass\n")

    return change


def index_text(text: str) -> Change:
    """Another text for `model_index.json`."""
    return lambda bad, marker: (bad / "model_index.json").write_text(text)


def index_pipe(bad: Path, marker: Path) -> None:
    """A pipe in its place."""
    (bad / "model_index.json").unlink()
    os.mkfifo(bad / "model_index.json")


def configured(file: str, **entries: Any) -> Change:
    """Other entries of one configuration, and Python files beside it."""

    def change(bad: Path, marker: Path) -> None:
        edit_json(bad / file, lambda content: content.update(entries))
        for name in ("evil", "__init__", "modeling_evil"):
            (bad / file).with_name(f"{name}.py").write_text(code(marker) + "class Evil: pass\n")

    return change


def sharded(part: str, weights: str, shard: str) -> Change:
    """Weights in one shard of some name, which is pickled."""

    def change(bad: Path, marker: Path) -> None:
        names = list(load_file(bad / part / weights))
        (bad / part / weights).unlink()
        index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, shard)}
        (bad / part / f"{weights}.index.json").write_text(json.dumps(index))
        write_pickle(bad / part / shard, marker)

    return change


def weights(file: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """Other numbers in a file of weights."""

    def write(bad: Path, marker: Path) -> None:
        tensors = {name: change(value).contiguous() for name, value in load_file(bad / file).items()}
        save_file(tensors, bad / file, metadata={"format": "pt"})

    return write


def first_nan(value: torch.Tensor) -> torch.Tensor:
    """One number that is none."""
    value = value.clone()
    if value.is_floating_point():
        value.view(-1)[0] = torch.nan
    return value


def peft_adapter(bad: Path, marker: Path) -> None:
    """A text encoder that peft would put together from elsewhere."""
    (bad / "text_encoder" / "config.json").unlink()
    elsewhere = {"base_model_name_or_path": str(bad / "other"), "peft_type": "LORA", "auto_mapping": {"x": "evil"}}
    (bad / "text_encoder" / "adapter_config.json").write_text(json.dumps(elsewhere))
    write_pickle(bad / "text_encoder" / "adapter_model.bin", marker)


def safety_checker(bad: Path, marker: Path) -> None:
    """A safety checker whose weights are pickled."""
    parts = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
    }
    edit_json(bad / "model_index.json", lambda index: index.update(parts))
    CLIPImageProcessor().save_pretrained(bad / "feature_extractor")
    write_pickle(bad / "safety_checker" / "pytorch_model.bin", marker)
    (bad / "safety_checker" / "config.json").write_text('{"model_type": "clip"}')


BACKBONES: dict[str, Build] = {
    "unet_bin": unsafe("unet", UNET, "diffusion_pytorch_model.bin"),
    "unet_bare_pickle": unsafe("unet", UNET, "diffusion_pytorch_model.bin", archive=False),
    "unet_pickle_named_safetensors": unsafe("unet", UNET, UNET),
    "unet_onnx": backbone(indexed(unet=["diffusers", "OnnxRuntimeModel"])),
    "unet_quantized": backbone(configured("unet/config.json", quantization_config={"quant_method": "evil.Evil"})),
    "unet_shard_pickled": backbone(sharded("unet", UNET, "evil.bin")),
    "unet_shard_elsewhere": backbone(sharded("unet", UNET, "../evil.safetensors")),
    "unet_layers": backbone(configured("unet/config.json", layers_per_block=10**7)),
    "unet_not_finite": backbone(weights(f"unet/{UNET}", first_nan)),
    "unet_other_types": backbone(configured("unet/config.json", block_out_channels={"a": 1})),
    "vae_bin": unsafe("vae", UNET, "diffusion_pytorch_model.bin"),
    "vae_bare_pickle_named_safetensors": unsafe("vae", UNET, UNET, archive=False),
    "vae_not_finite": backbone(weights(f"vae/{UNET}", first_nan)),
    "text_encoder_bin": unsafe("text_encoder", MODEL, "pytorch_model.bin"),
    "text_encoder_bare_pickle": unsafe("text_encoder", MODEL, "pytorch_model.bin", archive=False),
    "text_encoder_pickle_named_safetensors": unsafe("text_encoder", MODEL, MODEL),
    "text_encoder_flax": unsafe("text_encoder", MODEL, "flax_model.msgpack"),
    "text_encoder_shard_pickled": backbone(sharded("text_encoder", MODEL, "evil.bin")),
    "text_encoder_auto_map": backbone(configured("text_encoder/config.json", auto_map={"AutoModel": "evil.Evil"})),
    "text_encoder_kernel": backbone(configured("text_encoder/config.json", attn_implementation="evil/kernel")),
    "text_encoder_kernel_within": backbone(configured("text_encoder/config.json", _attn_implementation="evil/kernel")),
    "text_encoder_peft": backbone(peft_adapter),
    "text_encoder_vocabulary": backbone(configured("text_encoder/config.json", vocab_size=2**60)),
    "text_encoder_layers": backbone(configured("text_encoder/config.json", num_hidden_layers=10**9)),
    "tokenizer_auto_map": backbone(
        configured("tokenizer/tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    ),
    "tokenizer_pickled": backbone(lambda bad, marker: write_pickle(bad / "tokenizer" / "tokenizer.json", marker)),
    "scheduler_class": backbone(configured("scheduler/scheduler_config.json", _class_name="evil.Evil"), refused=False),
    "scheduler_not_finite": backbone(configured("scheduler/scheduler_config.json", beta_start=float("nan"))),
    "safety_checker_bin": backbone(safety_checker),
    "index_custom_pipeline": backbone(indexed(_class_name=["pipeline", "Evil"])),
    "index_own_pipeline": backbone(indexed(_class_name="my_pipeline")),
    "index_other_pipeline": backbone(indexed(_class_name="DiffusionPipeline")),
    "index_module_of_part": backbone(indexed(unet=["my_module", "Evil"])),
    "index_module_of_scheduler": backbone(indexed(scheduler=["my_module", "Evil"])),
    "index_module_anywhere": backbone(indexed(unet=["antigravity", "Evil"])),
    "index_more_parts": backbone(indexed(evil=["evil", "Evil"])),
    "index_function": backbone(indexed(unet=["os", "system"])),
    "index_types": backbone(indexed(unet={"_target_": "evil.Evil"})),
    "index_list": backbone(index_text("[1]")),
    "index_deep": backbone(index_text("[" * 200_000)),
    "index_huge_integer": backbone(index_text(f'{{"a": {"9" * 10_000}}}')),
    "index_surrogates": backbone(index_text('{"_class_name": "\\ud800"}')),
    "index_pipe": backbone(index_pipe),
    "index_large": backbone(index_text(" " * 2**21)),
}


def single(suffix: str, change: Change | None = None, *, archive: bool = True) -> Build:
    """A pickled single file, beside a folder of its architecture that may be changed as well."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        layout, marker, bad = (
            shutil.copytree(grounds.backbone, place / "layout"),
            place / "marker",
            place / f"a{suffix}",
        )
        write_pickle(bad, marker, archive=archive)
        if change is not None:
            change(layout, marker)
        argv = grounds.generate(place, f"backbone.path={bad}", f"backbone.config={layout}")
        return Hostile(name, argv, marker, words="backbone.(path|config)=")

    return build


SINGLE_FILES: dict[str, Build] = {
    **{suffix[1:]: single(suffix) for suffix in (".ckpt", ".pt", ".pth", ".bin", ".safetensors")},
    "bare_pickle": single(".safetensors", archive=False),
    "layout_pipeline": single(".safetensors", indexed(_class_name=["pipeline", "Evil"])),
    "layout_module": single(".safetensors", indexed(unet=["my_module", "Evil"])),
}

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def lora(file: str, write: Callable[[Path, Path, dict[str, torch.Tensor]], Any], *, folder: bool = False) -> Build:
    """A LoRA: `write` is given its path, the marker, and weights that would be right."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        out, inner = load_file(grounds.backbone / "unet" / UNET)[f"{LAYER}.weight"].shape
        good = {f"unet.{LAYER}.lora_A.weight": torch.ones(2, inner), f"unet.{LAYER}.lora_B.weight": torch.ones(out, 2)}
        bad, marker = place / "lora" / file, place / "marker"
        bad.parent.mkdir()
        write(bad, marker, good)
        argv = grounds.generate(place, f"backbone.lora={bad.parent if folder else bad}")
        return Hostile(name, argv, marker, words="backbone.lora=")

    return build


def headed(**settings: Any) -> Callable[[Path, Path, dict[str, torch.Tensor]], None]:
    """A LoRA whose header asks peft for more."""

    def write(path: Path, marker: Path, good: dict[str, torch.Tensor]) -> None:
        header = {"unet.r": 2, "unet.lora_alpha": 2, "unet.target_modules": [LAYER]}
        header |= {f"unet.{key}": value for key, value in settings.items()}
        save_file(good, path, metadata={"format": "pt", "lora_adapter_metadata": json.dumps(header)})

    return write


LORAS: dict[str, Build] = {
    "bin": lora("pytorch_lora_weights.bin", lambda path, marker, good: write_pickle(path, marker)),
    "bin_in_folder": lora(
        "pytorch_lora_weights.bin", lambda path, marker, good: write_pickle(path, marker), folder=True
    ),
    "pickle_named_safetensors": lora("a.safetensors", lambda path, marker, good: write_pickle(path, marker)),
    "not_finite": lora(
        "a.safetensors", lambda path, marker, good: save_file({k: first_nan(v) for k, v in good.items()}, path)
    ),
    "other_shapes": lora(
        "a.safetensors", lambda path, marker, good: save_file({k: torch.ones(3, 3) for k in good}, path)
    ),
    "more_layers": lora(
        "a.safetensors",
        lambda path, marker, good: save_file(
            {**good, **{k.replace("attn1", "attn9"): v.clone() for k, v in good.items()}}, path
        ),
    ),
    "nothing_of_it": lora("a.safetensors", lambda path, marker, good: save_file({"x": torch.ones(2, 2)}, path)),
    "header_module": lora("a.safetensors", headed(megatron_config={"a": 1}, megatron_core="antigravity")),
    "header_file": lora("a.safetensors", headed(init_lora_weights="corda", corda_config={"cache_file": "evil.pt"})),
}


def controlnet(change: Change) -> Build:
    """A ControlNet that was changed."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = Path(save_controlnet(place / "bad")), place / "marker"
        change(bad, marker)
        return Hostile(
            name, grounds.generate(place, f"backbone.controlnet={bad}"), marker, words="backbone.controlnet="
        )

    return build


def controlnet_bin(bad: Path, marker: Path) -> None:
    """Its weights are pickled."""
    (bad / UNET).unlink()
    write_pickle(bad / "diffusion_pytorch_model.bin", marker)


CONTROLNETS: dict[str, Build] = {
    "bin": controlnet(controlnet_bin),
    "pickle_named_safetensors": controlnet(lambda bad, marker: write_pickle(bad / UNET, marker)),
    "not_finite": controlnet(weights(UNET, first_nan)),
    "quantized": controlnet(configured("config.json", quantization_config={"quant_method": "evil"})),
    "layers": controlnet(configured("config.json", layers_per_block=10**7)),
}
