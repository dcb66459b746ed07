"""Captions of windows by a network of BLIP's class, through transformers."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging as transformers_logging

from maskvid.errors import UserError, said
from maskvid.hub import check_model
from maskvid.weights_folder import refuse_broken

LONGEST = 30
"""Tokens of a caption; a text encoder takes 77."""


class Captioner:
    """Says in a sentence what a picture shows.

    Args:
        path: Hub id or local folder of a model that needs no prompt (BLIP, GIT).
        device: Where it runs.

    Raises:
        UserError: There is no such model, or its folder brings more than numbers.
    """

    def __init__(self, path: str, device: torch.device) -> None:
        self.name = f"captioner={path!r}"
        check_model(path, self.name)
        transformers_logging.disable_progress_bar()  # it would tear the run's own
        try:
            self.processor = AutoProcessor.from_pretrained(path, trust_remote_code=False)
            self.model = AutoModelForImageTextToText.from_pretrained(
                path, trust_remote_code=False, use_safetensors=True
            )
        except Exception as error:  # a stranger's files make the libraries raise anything
            raise UserError(
                f"{self.name} cannot be loaded: {said(error)}; give a hub id or a local folder of BLIP's class, such "
                "as Salesforce/blip-image-captioning-base, or caption='[the horse] gallops'."
            ) from error
        refuse_broken(self.model, self.name)
        self.model.to(device).eval().requires_grad_(False)
        self.device = device

    @torch.no_grad()
    def __call__(self, frame: np.ndarray) -> str:
        """A sentence on a picture, uint8 (h, w, 3) RGB; the surest one, so that the same picture has the same words."""
        inputs = self.processor(images=Image.fromarray(frame), return_tensors="pt").to(self.device)
        tokens = self.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
        [words] = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return " ".join(words.split())
