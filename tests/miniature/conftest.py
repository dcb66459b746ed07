from __future__ import annotations

import numpy as np
import pytest

from maskvid.miniature.tokenizer import build_tokenizer
from maskvid.world import captions
from maskvid.world.stills import Pictures
from maskvid.world.studio import random_attributes


def random_pictures(count: int, seed: int = 0, size: tuple[int, int] = (32, 48)) -> Pictures:
    """Noise with a bright rectangle for an animal, and true captions."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, *size, 3), dtype=np.uint8)
    masks = np.zeros((count, *size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        top, left = rng.integers(2, size[0] // 2), rng.integers(2, size[1] // 2)
        mask[top : top + size[0] // 3, left : left + size[1] // 3] = 255
        image[mask > 0] = 230
    attributes = [random_attributes(rng) for _ in range(count)]
    texts, subjects = zip(*(captions.caption(a, rng) for a in attributes), strict=True)
    return Pictures(images, masks, list(texts), list(subjects), attributes)


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    return random_pictures(16)


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer(captions.vocabulary())
