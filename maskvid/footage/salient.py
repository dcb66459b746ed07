"""Foreground by U2-Net and its like, which mark what is salient in a picture: the extra `rembg`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskvid.errors import UserError, said
from maskvid.files import expanded
from maskvid.footage.finders import Lead, NotFound

HOME = "U2NET_HOME"
"""Where rembg looks for models; a file elsewhere is refused."""

NO_COMPILER = "NUMBA_DISABLE_JIT"
"""rembg's alpha matting, which is not used here, is compiled when it is first imported, for more than a minute."""


class Salient:
    """Marks what is salient in each frame, whatever it is.

    Args:
        model: rembg's name of a model, which it downloads, or an .onnx file of U2-Net's class, or a folder with one. An
            ONNX file holds numbers and a graph of known operations; nothing in it is unpickled.

    Raises:
        UserError: rembg is not installed, or there is no such model.
    """

    def __init__(self, model: str) -> None:
        name = f"model={model!r}"
        try:
            with _environment(NO_COMPILER, "1"):
                from rembg.session_factory import new_session
        except ImportError as error:
            raise UserError(
                f"foreground=rembg needs the extra `rembg`: pip install 'maskvid[rembg]' ({said(error)}). Without it "
                "take foreground=grabcut box=[left,top,right,bottom]."
            ) from error
        path = expanded(model)
        try:
            if path.exists():
                file = _onnx(path, name)
                with _environment(HOME, str(file.parent)):
                    self.session: Any = new_session("u2net_custom", model_path=str(file))
            else:
                self.session = new_session(model)
        except UserError:
            raise
        except Exception as error:  # a stranger's file makes the runtime raise anything
            raise UserError(
                f"{name} cannot be loaded: {said(error)}; give rembg's name of a model where there is a network, such "
                "as u2net or isnet-general-use, or a local .onnx file of U2-Net's class."
            ) from error

    def __call__(self, frames: np.ndarray, lead: Lead) -> np.ndarray:
        """See `Finder`."""
        found = np.stack([np.asarray(self.session.predict(Image.fromarray(frame))[0]) >= 128 for frame in frames])
        if not found.any():
            raise NotFound("nothing is salient in it")
        return found


def _onnx(path: Path, name: str) -> Path:
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    if len(files) != 1 or files[0].suffix.lower() != ".onnx":
        raise UserError(f"{name}: {len(files)} .onnx files are there; give one.")
    return files[0].absolute()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name)
        else:
            os.environ[name] = before
