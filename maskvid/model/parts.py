"""What a pipeline's folder may be made of: the parts and classes of Stable Diffusion, and no others.

`model_index.json` names a library and a class for every part, and diffusers imports what it names. Here it is read
before diffusers sees it, and whatever is not in the table below is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maskvid.errors import UserError
from maskvid.weights_folder import check_weights_folder, read_config

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
_TEXT_ENCODERS = (("transformers", "CLIPTextModel"), ("transformers", "CLIPTextModelWithProjection"))
_TOKENIZERS = (("transformers", "CLIPTokenizer"), ("transformers", "CLIPTokenizerFast"))
PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "unet": (("diffusers", "UNet2DConditionModel"),),
    "vae": (("diffusers", "AutoencoderKL"),),
    "text_encoder": _TEXT_ENCODERS,
    "text_encoder_2": _TEXT_ENCODERS,
    "tokenizer": _TOKENIZERS,
    "tokenizer_2": _TOKENIZERS,
    "scheduler": (),  # any scheduler of diffusers, see below
    "safety_checker": (("stable_diffusion", "StableDiffusionSafetyChecker"),),
    "feature_extractor": tuple(
        ("transformers", name) for name in ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor")
    ),
    "image_encoder": (("transformers", "CLIPVisionModelWithProjection"),),
}
"""Library and class of each part of a Stable-Diffusion-class pipeline."""


def read_index(path: Path, name: str) -> tuple[str, dict[str, list[str]]]:
    """Read a pipeline's `model_index.json`.

    Args:
        path: Of the file.
        name: As the user gave it, `backbone.path='...'`, for messages.

    Returns:
        The pipeline's class, one of `PIPELINES`, and library and class of each part that is not null.

    Raises:
        UserError: It is no such file, or names anything else; nothing of it was imported.
    """
    index = read_config(path, name)
    pipeline = index.get("_class_name")
    if pipeline not in PIPELINES:
        raise UserError(
            f"{name}: model_index.json names the pipeline {pipeline!r:.100}; only {' and '.join(PIPELINES)} are "
            "loaded, and code beside them never is."
        )
    parts = {}
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, (list, dict)) or value == [None, None]:
            continue
        if part not in PARTS or not _known(part, value):
            raise UserError(
                f"{name}: model_index.json names {value!r:.100} for the part {part!r:.60}, which is no part of Stable "
                "Diffusion; nothing that a folder brings is imported."
            )
        parts[part] = list(value)
    return str(pipeline), parts


def check_parts(folder: Path, parts: Iterable[str], name: str) -> None:
    """Refuse a pipeline's folder if one of its parts could run something, see `check_weights_folder`."""
    for part in parts:
        check_weights_folder(folder / part, name)


def _known(part: str, value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(entry, str) for entry in value)):
        return False
    if part == "scheduler":  # of diffusers' own: its classes are found by attribute, and read a file of numbers
        return value[0] == "diffusers" and value[1].endswith("Scheduler") and value[1].isidentifier()
    return tuple(value) in PARTS[part]
