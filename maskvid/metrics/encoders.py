"""CLIP encoders for the metrics: any open_clip model, or a folder such as the embedded miniature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F

from maskvid.errors import UserError


class ClipEncoder:
    """Image and text encoder of a CLIP model; not an `nn.Module`, so that no checkpoint swallows it.

    Args:
        model: An open_clip model.
        tokenize: Texts -> token ids (n, context length).
        size: Height and width that the model sees.
        mean: Per-channel mean of its pictures in [0, 1].
        std: Per-channel standard deviation likewise.
        device: Where it runs.
    """

    def __init__(
        self,
        *,
        model: Any,
        tokenize: Any,
        size: tuple[int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenize, self.size, self.device = tokenize, size, torch.device(device)
        self.mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, 3, 1, 1)

    def preprocess(self, frames: torch.Tensor) -> torch.Tensor:
        """Resize so that the shorter side fits, crop the centre, normalise: (n, 3, *size) from (n, 3, h, w) in [-1, 1].

        The order is that of CLIP's own preprocessing; bicubic with antialiasing comes closest to its PIL resize.
        """
        (h, w), (height, width) = frames.shape[-2:], self.size
        frames = (frames.to(self.device).float() + 1) / 2
        scale = max(height / h, width / w)
        if scale != 1:
            size = (max(height, round(h * scale)), max(width, round(w * scale)))
            frames = F.interpolate(frames, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        top, left = (frames.shape[-2] - height) // 2, (frames.shape[-1] - width) // 2
        frames = frames[..., top : top + height, left : left + width]
        return (frames - self.mean) / self.std

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
    """Load a CLIP model.

    Args:
        name_or_folder: An open_clip model name such as "ViT-L-14", or a folder that open_clip reads
            (`open_clip_config.json`, `open_clip_model.safetensors` and the tokenizer).
        pretrained: open_clip's tag of the weights ("openai") or a weights file; not used with a folder.
        device: Where it is to run.

    Raises:
        UserError: if the name is neither a folder nor known to open_clip, or if a known name comes without weights.
    """
    name = str(name_or_folder)
    if Path(name).is_dir():
        if not (Path(name) / "open_clip_config.json").exists():
            raise UserError(f"clip={name!r} holds no open_clip_config.json; name a folder that open_clip has saved")
        name, pretrained = f"local-dir:{name}", None
    elif "/" not in name and name not in open_clip.list_models():
        raise UserError(f"clip={name!r} is neither a folder nor one of open_clip.list_models()")
    elif pretrained is None and ":" not in name:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)[:3])
        raise UserError(f"clip={name!r} needs pretrained=TAG or a weights file, e.g. {tags}")
    model = open_clip.create_model(name, pretrained=pretrained, precision="fp32", device=str(device))
    settings = open_clip.get_model_preprocess_cfg(model)
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else size
    return ClipEncoder(
        model=model,
        tokenize=open_clip.get_tokenizer(name),
        size=(int(height), int(width)),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        device=device,
    )
