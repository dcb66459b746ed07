import pytest
import torch

from maskvid.diffusion.editing import edit_region, keep_outside, paste_outside
from maskvid.diffusion.long_video import long_video, segments


def test_a_video_of_one_window_needs_no_room_for_another():
    assert list(segments(2, 2, 1)) == [([0, 1], 1)]


@pytest.mark.parametrize(("num_frames", "window", "carry"), [(24, 8, 1), (23, 8, 2), (9, 8, 3), (5, 8, 1), (100, 4, 1)])
def test_segments_cover_every_frame_once_and_carry_the_last_ones(num_frames, window, carry):
    new, before = [], []
    for indices, known in segments(num_frames, window, carry):
        assert indices[0] == 0
        assert len(indices) <= window
        if before:
            assert indices[1:known] == before[-carry:]
        before = indices
        new += indices if not new else indices[known:]
    assert new == list(range(num_frames))


def test_a_window_without_room_for_a_new_frame_is_refused():
    with pytest.raises(ValueError, match="window=2"):
        list(segments(9, 2, 1))


def test_latents_are_carried_as_they_are_and_the_first_frame_is_always_the_first():
    first = torch.randn(2, 4, 3, 3)
    made = {}

    def sample_segment(clean, indices):
        known = clean.shape[1]
        assert torch.equal(clean[:, 0], first)
        for place, index in enumerate(indices[1:known], 1):
            assert torch.equal(clean[:, place], made[index])
        fresh = torch.randn(2, len(indices) - known, 4, 3, 3)
        made.update({index: fresh[:, i] for i, index in enumerate(indices[known:])})
        return torch.cat([clean, fresh], 1)

    pieces = list(long_video(sample_segment, first, num_frames=20, window=6, carry=2))
    video = torch.cat(pieces, 1)
    assert video.shape[1] == 20
    assert torch.equal(video[:, 0], first)
    assert all(torch.equal(video[:, i], made[i]) for i in range(1, 20))


def test_the_edit_region_is_what_the_mask_touches_and_a_margin():
    masks = torch.zeros(1, 1, 1, 16, 24)
    masks[..., 5, 9] = 0.2  # one pixel, in cell (1, 2)
    region = edit_region(masks, (4, 6), margin=1)
    assert region[0, 0, 0].nonzero().tolist() == [[r, c] for r in (0, 1, 2) for c in (1, 2, 3)]


def test_outside_the_region_each_step_is_the_sources():
    path = [torch.full((1, 2, 1, 2, 2), float(i)) for i in range(4)]  # three steps
    region = torch.zeros(1, 2, 1, 2, 2)
    region[..., 0, 0] = 1
    blend = keep_outside(region, path)
    out = blend(1, torch.full((1, 2, 1, 2, 2), 9.0))  # one step down from the noise, path[3]
    assert out[..., 0, 0].unique().tolist() == [9]
    assert out[..., 1, :].unique().tolist() == [2]
    assert blend(3, out)[..., 1, 1].unique().tolist() == [0]  # ends on the clean source


@pytest.mark.parametrize("cell", [4, 8])
def test_what_an_edit_may_not_reach_is_the_sources_to_the_pixel(cell):
    region = torch.zeros(1, 2, 1, 8, 12)
    region[0, 0, 0, 2:5, 3:6] = 1  # the second frame is kept whole
    draws = torch.Generator().manual_seed(1)
    edited, source = torch.randn(2, 1, 2, 3, 8 * cell, 12 * cell, generator=draws)
    made = paste_outside(edited, source, region)
    inside = made[0, 0, :, 2 * cell : 5 * cell, 3 * cell : 6 * cell]
    assert torch.equal(inside, edited[0, 0, :, 2 * cell : 5 * cell, 3 * cell : 6 * cell])
    beyond = torch.ones(8 * cell, 12 * cell, dtype=torch.bool)
    beyond[cell : 6 * cell, 2 * cell : 7 * cell] = False  # the region and a cell around it
    assert torch.equal(made[0, 0][:, beyond], source[0, 0][:, beyond])
    assert torch.equal(made[0, 1], source[0, 1])
    ramp = paste_outside(torch.ones_like(edited), torch.zeros_like(source), region)[0, 0, 0, 3 * cell, : 3 * cell + 1]
    steps = ramp.diff()
    assert (steps >= 0).all()
    assert steps.max() < 1.01 / (cell + 1) + 1e-6  # no seam: a step a pixel
