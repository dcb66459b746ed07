"""CLIP encoders for the metrics: any open_clip model, or a folder such as the embedded miniature."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from open_clip.transform import PreprocessCfg, center_crop_or_pad, merge_preprocess_dict
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import normalize, resize

from maskvid.errors import UserError, said
from maskvid.weights_folder import check_config, check_weights_folder, read_config, refuse_broken

WEIGHTS = (".safetensors", ".bin", ".pth")
"""Files that open_clip takes weights from; those of PyTorch are read as tensors alone (`weights_only`)."""

# As in open_clip, where a configuration is silent.
_TEXT = {"width": 512, "layers": 12, "vocab_size": 49408, "context_length": 77, "mlp_ratio": 4.0}
_VISION = {"width": 768, "layers": 12, "image_size": 224, "patch_size": 16, "mlp_ratio": 4.0}
_TOKENIZING = ("clean", "strip_sep_token", "language")


class ClipEncoder:
    """Image and text encoder of a CLIP model; not an `nn.Module`, so that no checkpoint swallows it.

    Args:
        model: An open_clip model.
        tokenize: Texts -> token ids (n, context length).
        preprocess: How its pictures are prepared: size, resize mode, interpolation, mean and standard deviation.
        device: Where it runs.
    """

    def __init__(
        self, *, model: Any, tokenize: Any, preprocess: PreprocessCfg, device: torch.device | str = "cpu"
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenize, self.settings, self.device = tokenize, preprocess, torch.device(device)
        height, width = (preprocess.size,) * 2 if isinstance(preprocess.size, int) else preprocess.size
        self.size = (height, width)

    def preprocess(self, frames: torch.Tensor) -> torch.Tensor:
        """Prepare frames as `open_clip.image_transform` does, but on the device and without rounding to 8 bits.

        Of its three ways, `shortest` resizes so that the shorter side fits and crops the centre, `longest` so that the
        longer side fits and pads, and `squash` changes the aspect ratio.

        Args:
            frames: float (n, 3, h, w) in [-1, 1].

        Returns:
            Normalised pictures (n, 3, *size).
        """
        settings, (height, width) = self.settings, self.size
        frames = (frames.to(self.device).float() + 1) / 2
        h, w = frames.shape[-2:]
        if settings.resize_mode == "squash":
            size = [height, width]
        elif settings.resize_mode == "shortest" and height == width:
            size = [height]  # torchvision's rule for a shorter side, which rounds the longer one down
        else:
            ratio = (max if settings.resize_mode == "longest" else min)(h / height, w / width)
            size = [round(h / ratio), round(w / ratio)]
        mode = InterpolationMode.BILINEAR if settings.interpolation == "bilinear" else InterpolationMode.BICUBIC
        frames = resize(frames, size, mode, antialias=True).clamp(0, 1)
        frames = center_crop_or_pad(frames, [height, width], fill=settings.fill_color / 255)
        return normalize(frames, settings.mean, settings.std)

    @torch.no_grad()
    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, d) of frames (n, 3, h, w) in [-1, 1]."""
        return F.normalize(self.model.encode_image(self.preprocess(frames)).float(), dim=-1)

    @torch.no_grad()
    def texts(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors (n, d) of n captions."""
        return F.normalize(self.model.encode_text(self.tokenize(texts).to(self.device)).float(), dim=-1)


def load_clip(
    name_or_folder: str | Path, pretrained: str | None = None, device: torch.device | str = "cpu"
) -> ClipEncoder:
    """Load a CLIP model as its weights were trained: with their activation and their preprocessing.

    open_clip builds what a *name* says, though of many names some weights were trained with QuickGELU and others with
    GELU (`ViT-L-14` with `openai` is of the former); it warns and goes on. Here the weights decide.

    Args:
        name_or_folder: An open_clip model name such as "ViT-L-14", a hub id as "hf-hub:owner/name", or a folder that
            open_clip reads (`open_clip_config.json`, `open_clip_model.safetensors` and the tokenizer).
        pretrained: For a model name alone: open_clip's tag of the weights ("openai"), or a file of weights. A file says
            neither activation nor preprocessing: it is taken for one of the model's published weights where all of
            these agree, for what the name says where there are none, and refused where they differ.
        device: Where it is to run.

    Raises:
        UserError: if there is no such model, folder, tag or file; if a name comes without weights or a folder with
            weights from elsewhere; if a file's activation or preprocessing cannot be known; if loading fails.
    """
    name, more = str(name_or_folder), {}
    if Path(name).is_dir():
        _check_folder(Path(name))
        name = f"local-dir:{name}"
    elif not name.startswith("hf-hub:"):
        name = name.replace("/", "-")  # OpenAI writes ViT-L/14
        if name not in open_clip.list_models():
            raise UserError(
                f"clip={str(name_or_folder)!r} is neither a folder nor one of open_clip.list_models(); "
                "a hub id is written hf-hub:OWNER/NAME"
            )
        more = _as_trained(name, pretrained)
    if ":" in name and pretrained is not None:
        raise UserError(
            f"pretrained={pretrained!r} goes with a model name, and clip={str(name_or_folder)!r} brings its own "
            "weights; set pretrained=null"
        )
    title = f"clip={str(name_or_folder)!r} pretrained={pretrained!r}"
    try:
        if name.startswith("hf-hub:"):
            _check_config(Path(hf_hub_download(name.removeprefix("hf-hub:"), "open_clip_config.json")), title)
        model = open_clip.create_model(
            name, pretrained=pretrained, precision="fp32", device=str(device), require_pretrained=True,
            weights_only=True, **more,
        )  # fmt: skip
        tokenize = open_clip.get_tokenizer(name, **_plain_tokenizer(name))
    except UserError:
        raise
    except Exception as error:  # a stranger's files make the libraries raise anything
        raise UserError(f"{title} cannot be loaded: {said(error)}") from error
    refuse_broken(model, title)
    # what is no number fails here
    settings = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), open_clip.get_model_preprocess_cfg(model)))
    if not (len(settings.mean) == len(settings.std) == 3 and all(value > 0 for value in settings.std)):
        raise UserError(
            f"{title}: pictures are prepared with mean={settings.mean} and std={settings.std}; give three each."
        )
    return ClipEncoder(model=model, tokenize=tokenize, preprocess=settings, device=device)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that brings more than numbers, or a configuration that asks for more of them than it brings."""
    title = f"clip={str(folder)!r}"
    if not (folder / "open_clip_config.json").exists():
        raise UserError(f"{title} holds no open_clip_config.json; name a folder that open_clip has saved")
    check_weights_folder(folder, title)
    _check_config(folder / "open_clip_config.json", title)
    asked = _weights(read_config(folder / "open_clip_config.json", title), title)
    held = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in WEIGHTS)
    if not held:
        raise UserError(f"{title} cannot be loaded: it holds no weights ({', '.join(WEIGHTS)}).")
    if asked > held:  # a weight takes a byte at least
        raise UserError(f"{title}: its configuration asks for {asked} weights, and its files hold {held} bytes.")


def _weights(config: dict[str, Any], title: str) -> int:
    """How many weights the layers of a CLIP model have, near enough; of towers that timm builds none, nor of biases."""
    model = config.get("model_cfg", config)
    vision, text = (defaults | model[key] for key, defaults in (("vision_cfg", _VISION), ("text_cfg", _TEXT)))
    try:
        count = text["width"] * (text["vocab_size"] + text["context_length"] + model["embed_dim"])
        towers = [text] if vision.get("timm_model_name") else [text, vision]
        for tower in towers:
            layers = sum(tower["layers"]) if isinstance(tower["layers"], list) else tower["layers"]
            count += int(layers * tower["width"] ** 2 * (4 + 2 * tower["mlp_ratio"]))
        sides = vision["image_size"] if isinstance(vision["image_size"], list) else [vision["image_size"]] * 2
        tokens = math.prod(side // (vision["patch_size"] or 32) for side in sides)
        return count + (0 if vision.get("timm_model_name") else tokens * vision["width"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise UserError(f"{title}: its configuration names no sizes of a CLIP model ({said(error)}).") from error


def _check_config(path: Path, title: str) -> None:
    config = check_config(path, title)
    for tower in ("vision_cfg", "text_cfg"):
        part = config.get("model_cfg", config)
        part = part.get(tower) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            raise UserError(f"{title}: {path.name} has no {tower}.")
        own = part.get("timm_model_name") or "none"
        if not (isinstance(own, str) and re.fullmatch(r"[\w.]+", own)):  # hf-hub:... and local-dir:... are others
            raise UserError(f"{title}: {path.name} names the model {own!r:.100}; only timm's own are built.")
        further = part.get("tokenizer_kwargs") or {}
        for key in ("timm_model_pretrained", *(further if isinstance(further, dict) else ["tokenizer_kwargs"])):
            if key not in _TOKENIZING and (part.get(key) or key in further):
                raise UserError(f"{title}: {path.name} sets {key}, by which other files would be fetched or run.")


def _plain_tokenizer(name: str) -> dict[str, Any]:
    """What keeps a folder's tokenizer from bringing code; open_clip's own tokenizers do not know it."""
    schema = name.startswith(("hf-hub:", "local-dir:"))
    text = open_clip.get_model_config(name).get("text_cfg", {}) if schema else {}
    return {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}


def _as_trained(name: str, pretrained: str | None) -> dict[str, Any]:
    """What `open_clip.create_model` must be told of a named model's weights, so that it builds what was trained."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is not None and open_clip.is_pretrained_cfg(name, pretrained):
        return {"force_quick_gelu": _published(name, pretrained)[0]}
    if pretrained is None or not Path(pretrained).is_file():
        given = "" if pretrained is None else f", and {pretrained!r} is neither"
        raise UserError(f"clip={name!r} needs pretrained=TAG or a weights file{given}; tags are {', '.join(tags)}")
    kinds = [_published(name, tag) for tag in tags]
    if any(kind != kinds[0] for kind in kinds):
        raise UserError(
            f"pretrained={pretrained!r} is a file, which does not say whether its activation is GELU or QuickGELU and "
            f"how its pictures are prepared, and the published weights of clip={name!r} differ in that; name the "
            f"activation if open_clip knows {name}-quickgelu, or give clip=FOLDER with the file as "
            "open_clip_model.safetensors (or open_clip_pytorch_model.bin) beside its open_clip_config.json"
        )
    return {"force_quick_gelu": kinds[0][0], "force_preprocess_cfg": kinds[0][1]} if kinds else {}


def _published(name: str, tag: str) -> tuple[bool, dict[str, Any]]:
    """Whether weights that open_clip lists were trained with QuickGELU, and how their pictures are prepared."""
    config = open_clip.get_pretrained_cfg(name, tag)
    # A tag that is silent leaves the activation to the model's configuration (roberta-ViT-B-32 has QuickGELU there).
    return config.get("quick_gelu", False), merge_preprocess_dict({}, config)
