"""Where in a picture words are: an open-vocabulary detector of transformers, Grounding DINO or OWLv2."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from maskvid.errors import UserError, said
from maskvid.footage.finders import Box
from maskvid.footage.wording import bare
from maskvid.hub import check_model
from maskvid.weights_folder import refuse_broken

LEAST = 0.25
"""Score below which nothing was found, of Grounding DINO; OWLv2's scores are lower."""

LEAST_OWL = 0.1


@dataclass(frozen=True)
class Detection:
    """A place that words may name.

    Attributes:
        box: In pixels.
        score: 0 to 1.
    """

    box: Box
    score: float


class Detector:
    """Finds words in pictures.

    Args:
        path: Hub id or local folder.
        device: Where it runs.

    Raises:
        UserError: There is no such model, or its folder brings more than numbers.
    """

    def __init__(self, path: str, device: torch.device) -> None:
        name = f"detector={path!r}"
        check_model(path, name)
        try:
            self.processor = AutoProcessor.from_pretrained(path, trust_remote_code=False)
            self.model = AutoModelForZeroShotObjectDetection.from_pretrained(
                path, trust_remote_code=False, use_safetensors=True
            )
        except Exception as error:  # a stranger's files make the libraries raise anything
            raise UserError(
                f"{name} cannot be loaded: {said(error)}; give a hub id or a local folder of Grounding DINO or OWLv2, "
                "or show the foreground yourself: box=[left,top,right,bottom] or points=[[x,y]]."
            ) from error
        refuse_broken(self.model, name)
        self.model.to(device).eval().requires_grad_(False)
        self.device = device
        self.owl = "owl" in self.model.config.model_type

    @torch.no_grad()
    def __call__(self, frame: np.ndarray, subject: str) -> Detection | None:
        """The place in a picture, uint8 (h, w, 3), that words name best; None where nothing does."""
        words = bare(subject)
        text = [[f"a photo of a {words}"]] if self.owl else f"{words}."
        inputs = self.processor(images=Image.fromarray(frame), text=text, return_tensors="pt").to(self.device)
        outputs = self.model(**inputs)
        sizes = [frame.shape[:2]]
        judge = self.processor.post_process_grounded_object_detection
        if "input_ids" in inspect.signature(judge).parameters:
            [found] = judge(outputs, inputs["input_ids"], threshold=LEAST, text_threshold=LEAST, target_sizes=sizes)
        else:
            least = LEAST_OWL if self.owl else LEAST
            [found] = judge(outputs, threshold=least, target_sizes=sizes, text_labels=[[words]])
        if not len(found["scores"]):
            return None
        best = int(found["scores"].argmax())
        left, top, right, bottom = (float(edge) for edge in found["boxes"][best])
        return Detection((left, top, right, bottom), float(found["scores"][best]))
