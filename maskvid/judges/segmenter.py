"""Foreground masks from frames: a small U-Net, trained on the embedded world, or what else a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.json_reading import read_mapping
from maskvid.tensor_file import read_tensors
from maskvid.weights_folder import read_config

CHUNK = 32  # frames a pass, so that a long video costs no more memory than a short one
MOST_LEVELS, WIDEST = 8, 1024  # of a network that is read


def _is_width(value: object) -> bool:
    return type(value) is int and 1 <= value <= WIDEST


class _Block(nn.Sequential):
    """Two 3x3 convolutions, each normalised and rectified."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [
                nn.Conv2d(width, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class Segmenter(nn.Module):
    """A U-Net of four levels that marks the animal.

    Args:
        channels: Width per level; each level halves the picture.
    """

    def __init__(self, channels: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.down = nn.ModuleList(
            _Block(inputs, outputs) for inputs, outputs in zip((3, *channels), channels, strict=False)
        )
        pairs = list(zip(channels[::-1], channels[-2::-1], strict=False))
        self.up = nn.ModuleList(_Block(deep + flat, flat) for deep, flat in pairs)
        self.head = nn.Conv2d(channels[0], 1, 1)

    def logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Log-odds of the foreground (n, 1, h, w) for frames (n, 3, h, w) in [-1, 1] of any size.

        Sides that do not divide by 2 ** (levels - 1) are continued by their last row and column, and cut back.
        """
        factor = 2 ** (len(self.channels) - 1)
        height, width = frames.shape[-2:]
        kept = []
        x = F.pad(frames, (0, -width % factor, 0, -height % factor), mode="replicate")
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        for block, skip in zip(self.up, kept[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], 1))
        return self.head(x)[..., :height, :width]

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Probability of the foreground (n, 1, h, w) in [0, 1] for frames (n, 3, h, w) in [-1, 1]."""
        return self.logits(frames).sigmoid()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and half-precision `model.safetensors`, whole or not at all."""
        with atomic_write(folder) as temporary:
            temporary.mkdir()
            (temporary / "config.json").write_text(json_text({"channels": self.channels}))
            state = {
                name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
                for name, value in self.state_dict().items()
            }
            save_file(state, temporary / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Segmenter:
        """Read what `save_pretrained` wrote, in evaluation mode and single precision.

        Raises:
            UserError: if the folder holds no segmenter, or weights that do not belong to its configuration.
        """
        folder = Path(folder)
        if not (folder / "config.json").exists():
            raise UserError(
                f"segmenter={str(folder)!r} holds no config.json; train one with"
                " `python -m maskvid.pretrain stage=segmenter`"
            )
        try:
            channels = read_mapping(folder / "config.json").get("channels")
            if not (isinstance(channels, list) and 1 <= len(channels) <= MOST_LEVELS and all(map(_is_width, channels))):
                raise UserError(f"config.json names channels={channels!r:.60}; they are 1 to {WIDEST}, a level each.")
            with torch.device("meta"):  # nothing is made before the file is known to hold it
                model = cls(channels=tuple(channels))
            shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
            weights, _ = read_tensors(folder / "model.safetensors", shapes)
        except UserError as error:
            raise UserError(f"segmenter={str(folder)!r}: {error}") from error
        whole = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
        model.load_state_dict(whole, assign=True)
        return model.eval()


def load_segmenter(
    path: str | Path, device: torch.device | str = "cpu"
) -> Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]:
    """What finds the foreground of a video: called with its frames (f, 3, h, w) and requested masks (f, 1, h, w).

    Args:
        path: Folder that `Segmenter.save_pretrained` wrote, or folder or hub id of SAM 2 in transformers' form, see
            `maskvid.judges.sam2`. Only the latter looks at the masks, and at the first alone.
        device: Where it runs.

    Returns:
        A function of frames in [-1, 1] and masks (or None) to the foreground probability (f, 1, h, w).

    Raises:
        UserError: There is no segmenter of a known kind.
    """
    config = Path(path) / "config.json"
    if not Path(path).is_dir() or (config.exists() and "model_type" in read_config(config, f"segmenter={str(path)!r}")):
        from maskvid.judges.sam2 import Sam2Segmenter  # transformers takes seconds to import

        return Sam2Segmenter(path, device)
    network = Segmenter.from_pretrained(path).to(device).requires_grad_(False)

    def segment(frames: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        return torch.cat([network(chunk) for chunk in frames.to(device).split(CHUNK)])

    return segment
