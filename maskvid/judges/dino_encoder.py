"""DINO-type image encoders for subject consistency: any vision transformer of transformers with a class token."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoImageProcessor, AutoModel

from maskvid.errors import UserError, said
from maskvid.hub import check_model
from maskvid.weights_folder import refuse_broken


class DinoEncoder:
    """Class tokens of a vision transformer; not an `nn.Module`, so that no checkpoint swallows it.

    Args:
        path: Folder or hub id of a DINO, DINOv2 or other vision transformer, with its image processor.
        device: Where it runs.

    Raises:
        UserError: There is no such model, it lacks its image processor, or its folder brings more than numbers.
    """

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        name = f"dino={str(path)!r}"
        check_model(str(path), name)
        try:
            # said, not left out: transformers would ask at the terminal whether to run a stranger's code
            self.processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
            self.model = AutoModel.from_pretrained(path, trust_remote_code=False, use_safetensors=True)
        except Exception as error:  # a stranger's files make the libraries raise anything
            raise UserError(
                f"{name} cannot be loaded: {said(error)}; give a folder or hub id of a vision transformer such as "
                "facebook/dinov2-base, or null"
            ) from error
        refuse_broken(self.model, name)
        self.model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)

    @torch.no_grad()
    def images(self, frames: torch.Tensor) -> torch.Tensor:
        """Embed frames (n, 3, h, w) in [-1, 1] as (n, d), prepared as the model's own processor does.

        It is given whole grey levels, for which its rescaling is made, and nothing of it is overridden.
        """
        pixels = (frames.float().clamp(-1, 1) + 1).mul(127.5).round().to(torch.uint8)
        inputs = self.processor(images=list(pixels), return_tensors="pt", device=str(self.device))
        return self.model(pixel_values=inputs["pixel_values"].to(self.device)).last_hidden_state[:, 0].float()
