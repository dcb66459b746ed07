"""Segmenters, CLIP models and vision transformers of others, by which videos are scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
from safetensors.torch import save_file
from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

from maskvid.judges.panel import MINI_CLIP
from maskvid.judges.segmenter import Segmenter
from tests.hostile.grounds import Build, Grounds, Hostile, edit_json, write_pickle
from tests.hostile.models import MODEL, Change, configured, first_nan, weights


def segmenter(change: Change) -> Build:
    """A small segmenter that was changed."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / "bad", place / "marker"
        Segmenter((4, 8)).save_pretrained(bad)
        change(bad, marker)
        return Hostile(name, grounds.evaluate(place, f"metrics.segmenter={bad}"), marker, words="segmenter=")

    return build


def text(file: str, content: str) -> Change:
    """Another text for one file."""
    return lambda bad, marker: (bad / file).write_text(content)


def sam2_bin(bad: Path, marker: Path) -> None:
    """A folder of SAM 2 whose weights are pickled, and whose processor would be code beside them."""
    (bad / MODEL).unlink()
    (bad / "config.json").write_text('{"model_type": "sam2_video"}')
    (bad / "processor_config.json").write_text('{"processor_class": "Sam2VideoProcessor"}')
    write_pickle(bad / "pytorch_model.bin", marker)


def narrower(bad: Path, marker: Path) -> None:
    """Weights of another segmenter."""
    other = Segmenter((4, 4)).state_dict()
    save_file(other, bad / MODEL)


SEGMENTERS: dict[str, Build] = {
    "pickled": segmenter(lambda bad, marker: write_pickle(bad / MODEL, marker)),
    "config_list": segmenter(text("config.json", "[1]")),
    "config_no_json": segmenter(text("config.json", "{")),
    "config_deep": segmenter(text("config.json", "[" * 100_000)),
    "config_nothing": segmenter(text("config.json", "{}")),
    "channels_huge": segmenter(text("config.json", '{"channels": [1000000, 1000000]}')),
    "channels_many": segmenter(text("config.json", json.dumps({"channels": [4] * 10_000}))),
    "channels_words": segmenter(text("config.json", '{"channels": ["4", "8"]}')),
    "channels_wide": segmenter(text("config.json", json.dumps({"channels": [1024] * 8}))),
    "weights_of_another": segmenter(narrower),
    "not_finite": segmenter(weights(MODEL, first_nan)),
    "sam2_bin": segmenter(sam2_bin),
    "sam2_auto_map": segmenter(configured("config.json", model_type="sam2_video", auto_map={"AutoModel": "evil.Evil"})),
    "sam2_kernel": segmenter(configured("config.json", model_type="sam2_video", attn_implementation="evil/kernel")),
}

TINY_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 732, "width": 64, "heads": 1, "layers": 1},
}
WEIGHTS = "open_clip_model.safetensors"


def clip(change: Change) -> Build:
    """A small CLIP of its own tokenizer that was changed."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / "bad", place / "marker"
        bad.mkdir()
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(MINI_CLIP / file, bad)
        config = json.loads(json.dumps({"model_cfg": TINY_CLIP, "preprocess_cfg": {}}))
        config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "own"
        (bad / "open_clip_config.json").write_text(json.dumps(config))
        parts = {key: {**value} if isinstance(value, dict) else value for key, value in TINY_CLIP.items()}
        model = open_clip.CLIP(**parts)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, bad / WEIGHTS)
        change(bad, marker)
        return Hostile(name, grounds.evaluate(place, f"metrics.clip={bad}"), marker, words="clip=")

    return build


def clip_bin(bad: Path, marker: Path) -> None:
    """Its weights are pickled."""
    (bad / WEIGHTS).unlink()
    write_pickle(bad / "open_clip_pytorch_model.bin", marker)
    with (bad / "open_clip_pytorch_model.bin").open("ab") as handle:
        handle.truncate(2**21)  # as large as whole ones


def in_config(part: str, **entries: Any) -> Change:
    """Other entries of one part of its configuration."""

    def change(bad: Path, marker: Path) -> None:
        edit_json(bad / "open_clip_config.json", lambda config: config["model_cfg"][part].update(entries))

    return change


def weights_file(file: str, *, archive: bool = True) -> Build:
    """A pickled file as the weights of a named model."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / file, place / "marker"
        write_pickle(bad, marker, archive=archive)
        argv = grounds.evaluate(place, "metrics.clip=ViT-S-32", f"metrics.pretrained={bad}")
        return Hostile(name, argv, marker, words="pretrained=")

    return build


CLIPS: dict[str, Build] = {
    "bin": clip(clip_bin),
    "pickle_named_safetensors": clip(lambda bad, marker: write_pickle(bad / WEIGHTS, marker)),
    "not_finite": clip(weights(WEIGHTS, first_nan)),
    "config_list": clip(text("open_clip_config.json", "[]")),
    "config_deep": clip(text("open_clip_config.json", "[" * 100_000)),
    "config_nothing": clip(text("open_clip_config.json", '{"model_cfg": {}}')),
    "hub_of_timm": clip(in_config("vision_cfg", timm_model_name="hf-hub:evil/model")),
    "pretrained_of_timm": clip(in_config("vision_cfg", timm_model_name="resnet10t", timm_model_pretrained=True)),
    "hub_of_transformers": clip(in_config("text_cfg", hf_model_name="evil/model")),
    "tokenizer_code": clip(in_config("text_cfg", tokenizer_kwargs={"trust_remote_code": True})),
    "tokenizer_auto_map": clip(
        configured("tokenizer_config.json", tokenizer_class="Evil", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    ),
    "width": clip(in_config("vision_cfg", width=2**16)),
    "vocabulary": clip(in_config("text_cfg", vocab_size=2**30)),
    "layers": clip(in_config("text_cfg", layers=10**9)),
    "picture": clip(in_config("vision_cfg", image_size=2**20)),
    "words_for_numbers": clip(in_config("text_cfg", width="64")),
    "pretrained_pt": weights_file("evil.pt"),
    "pretrained_bare_pickle": weights_file("evil.bin", archive=False),
    "pretrained_named_safetensors": weights_file("evil.safetensors"),
    "pretrained_npz": weights_file("evil.npz", archive=False),
}


def dino(change: Change) -> Build:
    """A small vision transformer that was changed."""

    def build(grounds: Grounds, place: Path, name: str) -> Hostile:
        bad, marker = place / "bad", place / "marker"
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28}
        Dinov2Model(Dinov2Config(**shape, patch_size=14)).save_pretrained(bad)
        BitImageProcessor(size={"height": 28, "width": 28}).save_pretrained(bad)
        change(bad, marker)
        return Hostile(name, grounds.evaluate(place, f"metrics.dino={bad}"), marker, words="dino=")

    return build


def dino_bin(bad: Path, marker: Path) -> None:
    """Its weights are pickled."""
    (bad / MODEL).unlink()
    write_pickle(bad / "pytorch_model.bin", marker)


DINOS: dict[str, Build] = {
    "bin": dino(dino_bin),
    "pickle_named_safetensors": dino(lambda bad, marker: write_pickle(bad / MODEL, marker)),
    "auto_map": dino(configured("config.json", model_type="evil", auto_map={"AutoModel": "evil.Evil"})),
    "processor_auto_map": dino(
        configured(
            "preprocessor_config.json", image_processor_type="Evil", auto_map={"AutoImageProcessor": "evil.Evil"}
        )
    ),
    "kernel": dino(configured("config.json", attn_implementation="evil/kernel")),
    "layers": dino(configured("config.json", num_hidden_layers=10**9)),
    "picture": dino(configured("preprocessor_config.json", size={"height": 10**6, "width": 10**6})),
    "not_finite": dino(weights(MODEL, first_nan)),
}
