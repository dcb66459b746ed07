import doctest

import numpy as np
import pytest

from maskvid.footage import placing, spans, wording
from maskvid.footage.spans import cut_windows, plan_windows


@pytest.mark.parametrize("module", [spans, placing, wording])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(("rate", "fps"), [(24, 8), (25, 8), (30000 / 1001, 8), (50, 12), (12, 12), (23.976, 24)])
def test_windows_show_what_a_viewer_sees_at_their_times(rate, fps):
    times = np.arange(400) / rate
    plan = plan_windows(times, [101, 250], 16, fps)
    assert len(plan.spans) > 2
    for span in plan.spans:
        for index, frame in enumerate(span.frames):
            when = span.start + index / fps
            assert times[frame] <= when + 2e-3
            assert frame == len(times) - 1 or times[frame + 1] > when
    starts = [0, 101, 250, 400]
    for span in plan.spans:  # none holds a cut
        assert starts[span.shot - 1] <= min(span.frames)
        assert max(span.frames) < starts[span.shot]


def test_a_variable_frame_rate_is_followed_by_its_times():
    times = np.concatenate([np.arange(20) / 10, 2 + np.arange(60) / 30])
    plan = plan_windows(times, [], 4, 5)
    assert [span.frames for span in plan.spans][:1] == [(0, 2, 4, 6)]
    assert len(plan.spans) == 5
    assert all(np.allclose(times[list(span.frames)], span.start + np.arange(4) / 5, atol=0.04) for span in plan.spans)


def test_what_no_window_is_cut_from_is_told():
    assert plan_windows(np.zeros(1), [], 8, 4).left_over == ("it holds 1 frame, and a window has 8",)
    slow = plan_windows(np.arange(50) / 2, [], 8, 4)
    assert not slow.spans
    assert "set fps=2" in slow.left_over[0]
    short = plan_windows(np.arange(12) / 12, [], 16, 8)
    assert short.left_over == ("shot 1: 1 s in all, less than a window of 2 s",)
    assert plan_windows(np.arange(48) / 12, [24], 16, 8).left_over == ()


def test_frames_are_read_once_and_no_further_than_needed():
    read = []

    def frames():
        for index in range(1000):
            read.append(index)
            yield np.full((8, 12, 3), index % 256, np.uint8)

    plan = plan_windows(np.arange(1000) / 24, [], 4, 8)
    found = list(cut_windows(frames(), plan.spans[:3], 4, 6))
    assert read == list(range(plan.spans[2].frames[-1] + 1))
    for span, pictures in found:
        assert pictures.shape == (4, 4, 6, 3)
        assert tuple(pictures[:, 0, 0, 0]) == span.frames


def test_a_frame_may_belong_to_two_windows_of_a_slower_clip():
    plan = plan_windows(np.arange(40) / 23.0, [], 4, 24)
    assert plan.spans
    found = list(cut_windows((np.full((2, 2, 3), i, np.uint8) for i in range(40)), plan.spans, 2, 2))
    assert [tuple(int(v) for v in pictures[:, 0, 0, 0]) for _, pictures in found] == [s.frames for s in plan.spans]
    indices = [frame for span in plan.spans for frame in span.frames]
    assert len(set(indices)) < len(indices)


def test_what_is_followed_is_looked_at_more_densely_and_keeps_the_same_frames():
    times = np.arange(200) / 24
    plain, dense = (plan_windows(times, [90], 8, 8, densest=densest) for densest in (None, 25.0))
    assert [span.kept for span in dense.spans] == [span.frames for span in plain.spans]
    assert {span.step for span in dense.spans} == {3}
    first, second = dense.spans[:2]
    assert first.frames[:4] == (0, 0, 0, 1)  # nothing leads to the first frame
    assert second.frames[0] == first.frames[-1] + 1
    later = next(span for span in dense.spans if span.shot == 2)
    assert min(later.frames) == 90  # and nothing of the shot before leads to another's
    assert {span.step for span in plan_windows(times, [], 8, 20, densest=25.0).spans} == {1}
