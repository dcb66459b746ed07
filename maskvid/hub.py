"""Models by hub id: whether the hub can be asked at all, before a library tries for minutes."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from maskvid.errors import UserError, said
from maskvid.weights_folder import check_weights_folder

PATIENCE = 20.0
"""Seconds in which the hub must answer."""


def fetched(hub_id: str, *names: str) -> bool:
    """Whether the hub's cache holds one of these files of a model."""
    try:
        return any(isinstance(try_to_load_from_cache(hub_id, name), str) for name in names)
    except HFValidationError:
        return False


def check_model(path: str, name: str) -> None:
    """Refuse a folder that brings more than numbers, and a hub id that cannot be had.

    Args:
        path: Local folder or hub id; one that was fetched before needs no network.
        name: As the user gave it, `model='...'`, for messages.

    Raises:
        UserError: Names it.
    """
    if Path(path).is_dir():
        check_weights_folder(Path(path), name)
        return
    try:
        validate_repo_id(path)
        if not fetched(path, "config.json"):
            HfApi().model_info(path, timeout=PATIENCE)
    except HFValidationError as error:
        raise UserError(f"{name} is no folder, and no hub id: {said(error)}") from error
    except Exception as error:  # without a network each transport has its own
        raise UserError(f"{name} is no folder here, and the hub does not give it: {said(error)}.") from error
