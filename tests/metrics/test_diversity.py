import itertools

import pytest
import torch
from torch.nn.functional import cosine_similarity

from maskvid.errors import UserError
from maskvid.metrics.diversity import Diversity, diversity


def test_it_is_the_mean_over_pairs():
    videos = [torch.randn(5, 8, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    pairs = [float(cosine_similarity(a.mean(0), b.mean(0), dim=0)) for a, b in itertools.combinations(videos, 2)]
    assert float(diversity(videos)) == pytest.approx(100 * sum(pairs) / 6, abs=1e-4)


def test_the_same_video_twice_is_100_and_prompts_are_averaged():
    video, other = torch.eye(4)[:1], torch.eye(4)[1:2]
    metric = Diversity()
    metric.update([video, video])
    metric.update([video, other])
    assert float(metric.compute()) == pytest.approx(50)


def test_one_video_has_no_diversity():
    with pytest.raises(UserError, match="two or more"):
        diversity([torch.ones(1, 4)])
