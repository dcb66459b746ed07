import math

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass, distance_transform_edt

from maskvid.errors import UserError
from maskvid.metrics.mask import BoundaryF, MaskIoU, boundary, boundary_f, centroid_distance, mask_coverage, mask_iou


def blobs(count: int, height: int = 40, width: int = 56, seed: int = 0) -> torch.Tensor:
    """Smooth random shapes in [0, 1]."""
    noise = torch.randn(count, 1, 5, 7, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").mul(3).sigmoid()


def box(top: int, left: int, side: int, size: int = 64) -> torch.Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + side, left : left + side] = 1
    return mask


def test_iou_against_counted_pixels():
    detected, requested = blobs(4), blobs(4, seed=1)
    want = []
    for a, b in zip(detected[1:].numpy(), requested[1:].numpy(), strict=True):
        a, b = {*zip(*np.nonzero(a[0] >= 0.5), strict=True)}, {*zip(*np.nonzero(b[0] >= 0.5), strict=True)}
        want.append(len(a & b) / len(a | b))
    assert float(mask_iou(detected, requested)) == pytest.approx(np.mean(want), abs=1e-6)


def test_iou_of_empty_frames_and_the_given_frame():
    full, empty = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    assert mask_iou(empty, full, given_frames=0) == 0  # nothing detected
    assert mask_iou(full, empty, given_frames=0) == 0
    assert mask_iou(empty, empty, given_frames=0) == 1
    detected, requested = torch.cat([full, empty, full]), torch.cat([full, full, full])
    assert float(mask_iou(detected, requested)) == 0.5  # the given frame 0 would lift it to 2/3
    assert float(mask_iou(detected, requested, given_frames=0)) == pytest.approx(2 / 3)
    assert mask_iou(full * 0.5, full, given_frames=0) == 1  # the threshold itself is foreground


def reference_f(detected: np.ndarray, requested: np.ndarray) -> float:
    """DAVIS F by distances to the nearest boundary pixel, instead of dilation."""
    edges = []
    for mask in (detected, requested):
        edge = np.zeros_like(mask)
        for y in range(mask.shape[0]):
            for x in range(mask.shape[1]):
                neighbours = mask[y : y + 2, x : x + 2]
                edge[y, x] = (neighbours != mask[y, x]).any()
        edges.append(edge)
    radius = max(1, math.ceil(0.008 * math.hypot(*detected.shape)))
    precision = (distance_transform_edt(~edges[1])[edges[0]] <= radius).mean()
    recall = (distance_transform_edt(~edges[0])[edges[1]] <= radius).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("size", [(40, 56), (150, 200)])  # tolerance of one pixel and of two
def test_boundary_f_against_distances(size):
    detected, requested = blobs(3, *size), (blobs(3, *size) * 0.8 + blobs(3, *size, seed=1) * 0.2)
    want = [
        reference_f(a[0] >= 0.5, b[0] >= 0.5) for a, b in zip(detected[1:].numpy(), requested[1:].numpy(), strict=True)
    ]
    assert 0.1 < np.mean(want) < 0.99
    assert float(boundary_f(detected, requested)) == pytest.approx(np.mean(want), abs=1e-6)


def test_boundary_f_of_shifts_and_of_empty_frames():
    mask = box(20, 20, 20)
    assert boundary_f(mask, mask, given_frames=0) == 1
    assert boundary_f(box(21, 20, 20), mask, given_frames=0) == 1  # within one pixel
    assert 0.3 < boundary_f(box(24, 20, 20), mask, given_frames=0) < 0.9
    assert boundary_f(box(0, 0, 8), box(50, 50, 8), given_frames=0) == 0
    empty, full = torch.zeros_like(mask), torch.ones_like(mask)
    assert boundary_f(empty, mask, given_frames=0) == 0
    assert boundary_f(empty, full, given_frames=0) == 0
    assert boundary_f(full, full, given_frames=0) == 1
    assert boundary_f(full, mask, given_frames=0) == 0
    assert boundary_f(empty, empty, given_frames=0) == 1
    assert not boundary(full[0, 0].numpy().astype(bool)).any()


def test_metrics_average_clips_not_frames():
    clips = [(blobs(3), blobs(3, seed=1)), (blobs(7, seed=2), blobs(7, seed=2))]
    for metric, function in ((MaskIoU(), mask_iou), (BoundaryF(), boundary_f)):
        for pair in clips:
            metric.update(*pair)
        torch.testing.assert_close(metric.compute(), torch.stack([function(*pair) for pair in clips]).mean())


def test_refusals():
    with pytest.raises(UserError, match="requested"):
        mask_iou(blobs(3), blobs(4))
    with pytest.raises(UserError, match="given_frames is 1"):
        boundary_f(blobs(1), blobs(1))


def test_centroid_distance_against_moments():
    detected, requested = blobs(5), blobs(5, seed=1)
    want = []
    for a, b in zip(detected[1:].numpy(), requested[1:].numpy(), strict=True):
        first, second = center_of_mass(a[0] >= 0.5), center_of_mass(b[0] >= 0.5)
        want.append(math.dist(first, second) / math.hypot(40, 56))
    assert float(centroid_distance(detected, requested)) == pytest.approx(np.mean(want), abs=1e-6)


def test_centroids_of_empty_frames_and_the_given_frame():
    full, empty = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    assert centroid_distance(full, empty, given_frames=0) == 1
    assert centroid_distance(empty, empty, given_frames=0) == 0
    assert float(centroid_distance(torch.cat([empty, full, empty]), full.expand(3, -1, -1, -1))) == 0.5


def test_coverage_needs_more_than_half_of_the_frames_that_ask():
    full, empty = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    asked = torch.cat([full, full, full, empty, empty])
    found = torch.cat([full, full, empty, empty, empty])
    assert mask_coverage(found, asked) == 0  # one of two
    assert mask_coverage(found, asked, given_frames=0) == 1  # two of three
    assert mask_coverage(found, torch.zeros_like(asked)) == 1  # nothing was asked for
