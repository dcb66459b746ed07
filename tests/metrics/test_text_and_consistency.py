import itertools

import numpy as np
import pytest
import torch

from maskvid.errors import UserError
from maskvid.metrics.consistency import FrameConsistency, frame_consistency
from maskvid.metrics.text import TextAlignment, text_alignment


def cosine(a, b) -> float:
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))


def embeddings(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 7, generator=torch.Generator().manual_seed(seed))


def test_text_alignment_is_the_mean_cosine_times_100():
    images, text = embeddings(5), embeddings(1, seed=1)[0]
    want = 100 * np.mean([cosine(image, text.numpy()) for image in images.numpy()])
    assert float(text_alignment(images, text)) == pytest.approx(want, abs=1e-4)
    assert float(text_alignment(text[None] * 3, text)) == pytest.approx(100, abs=1e-4)


def test_consistency_in_every_convention():
    images = embeddings(6)
    rows = images.numpy()
    pairs = np.mean([cosine(a, b) for a, b in itertools.combinations(rows, 2)])
    adjacent = np.mean([cosine(a, b) for a, b in itertools.pairwise(rows)])
    assert float(frame_consistency(images, "all_pairs")) == pytest.approx(100 * pairs, abs=1e-3)
    assert float(frame_consistency(images, "adjacent")) == pytest.approx(100 * adjacent, abs=1e-3)
    vbench = np.mean([(max(0, cosine(b, a)) + max(0, cosine(b, rows[0]))) / 2 for a, b in itertools.pairwise(rows)])
    assert float(frame_consistency(images, "vbench")) == pytest.approx(100 * vbench, abs=1e-3)
    assert float(frame_consistency(images[:1].expand(4, -1))) == pytest.approx(100, abs=1e-3)


def test_metrics_average_clips_not_frames():
    text = embeddings(1, seed=1)[0]
    clips = [embeddings(3, seed=2), embeddings(9, seed=3)]
    alignment, consistency = TextAlignment(), FrameConsistency("adjacent")
    for clip in clips:
        alignment.update(clip, text)
        consistency.update(clip)
    want = torch.stack([text_alignment(clip, text) for clip in clips]).mean()
    torch.testing.assert_close(alignment.compute(), want)
    want = torch.stack([frame_consistency(clip, "adjacent") for clip in clips]).mean()
    torch.testing.assert_close(consistency.compute(), want)


def test_refusals():
    with pytest.raises(UserError, match="at least 2 frames"):
        frame_consistency(embeddings(1))
    with pytest.raises(UserError, match="all_pairs, adjacent"):
        frame_consistency(embeddings(3), "to_first")
