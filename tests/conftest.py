from pathlib import Path

import pytest

from tests.backbones import save_backbone


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> Path:
    """A Stable Diffusion folder of the miniature's architecture, with random weights."""
    return save_backbone(tmp_path_factory.mktemp("backbone"))
