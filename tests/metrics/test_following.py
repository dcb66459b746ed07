"""How far a video follows, frame by frame: the figures of constructed videos, in flat memory."""

import doctest

import pytest
import torch

import maskvid.metrics.following
from maskvid.clip import Sample
from maskvid.masks.perturb import boxes
from maskvid.media.strips import MISSED, SPILLED, compared, sample_sheet
from maskvid.metrics.following import Followed, Following


class Bright:
    """Takes what is white for the foreground, and counts how many frames it is shown at once."""

    def __init__(self, tracks: bool = False) -> None:
        self.tracks, self.most = tracks, 0

    def __call__(self, frames, masks=None):
        self.most = max(self.most, len(frames))
        return (frames.mean(1, keepdim=True) > 0.9).float()


class Looks:
    """White pictures are what the text says, black ones are not."""

    def images(self, frames):
        white = frames.mean((1, 2, 3)) > 0
        return torch.stack([white.float(), (~white).float()], 1)

    def texts(self, texts):
        return torch.tensor([[1.0, 0.0]])


class Judges:
    device = torch.device("cpu")
    clip = Looks()

    def __init__(self, tracks: bool = False) -> None:
        self.segmenter = Bright(tracks)


def video(*columns: int, size=(8, 20)) -> torch.Tensor:
    """A white bar of ten columns that begins at each frame's column."""
    frames = -torch.ones(len(columns), 3, *size)
    for frame, column in zip(frames, columns, strict=True):
        frame[..., column : column + 10] = 1
    return frames


MASKS = ((video(0, 0, 0, 0)[:, :1] + 1) / 2).clone()


@pytest.mark.parametrize("tracks", [False, True])
@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_the_figures_are_those_of_each_frame_in_whatever_pieces_it_comes(tracks, pieces):
    judges = Judges(tracks)
    following = Following(judges, "white", given_frames=1, kept=frozenset({2}))
    for frames, masks in zip(video(0, 0, 5, 10).chunk(pieces), MASKS.chunk(pieces), strict=True):
        following.add(frames, masks)
    followed = following.done()
    assert followed.mask_iou == pytest.approx([1, 1, 1 / 3, 0])
    assert followed.mean("mask_iou") == pytest.approx((1 + 1 / 3 + 0) / 3)  # frame 0 was given
    assert followed.boundary_f[1] == 1
    assert set(followed.detected) == {2}
    torch.testing.assert_close(followed.detected[2], (video(5)[0, :1] + 1) / 2)
    assert judges.segmenter.most == (4 if tracks else 4 // pieces)


def test_text_alignment_is_the_mean_over_frames_and_the_score_their_product():
    following = Following(Judges(), "white", given_frames=0)
    following.add(torch.cat([torch.ones(1, 3, 8, 20), -torch.ones(1, 3, 8, 20)]), MASKS[:2])
    followed = following.done()
    assert followed.text_alignment == pytest.approx(50)
    assert followed.score == pytest.approx(followed.mean("mask_iou") * 50)
    wordless = Following(Judges(), None, given_frames=0)
    wordless.add(video(0), MASKS[:1])
    assert wordless.done().text_alignment is None
    assert wordless.done().score == 1
    assert "text_alignment" not in wordless.done().as_dict()


def test_a_video_whose_frames_were_all_given_counts_them():
    assert Followed([0.5], [0.25], None, given_frames=1).mean("mask_iou") == 0.5


def test_what_is_missed_is_red_and_what_spilled_blue():
    shown = (compared(video(5), MASKS[:1], (video(5)[:, :1] + 1) / 2) + 1) * 127.5
    columns = shown[0, :, 4].T.round().int().tolist()
    assert columns[2] == list(MISSED)
    assert columns[12] == list(SPILLED)
    assert columns[7] == [242, 242, 242]  # where both agree the picture shines through
    assert columns[18] == [115, 115, 115]


def test_the_strip_has_a_row_of_what_followed():
    sample = Sample("generated", "a", "white", video(0, 5), MASKS[:2])
    plain = sample_sheet(sample, columns=None, scale=2)
    more = sample_sheet(sample, columns=None, scale=2, detected=(video(0, 5)[:, :1] + 1) / 2, heading="mask IoU 1")
    assert more.shape[0] > plain.shape[0]
    assert not (plain == MISSED).all(-1).any()
    assert (more == MISSED).all(-1).any()
    assert (more == SPILLED).all(-1).any()


def test_the_example_of_the_docstring_runs():
    found = doctest.testmod(maskvid.metrics.following)
    assert found.attempted
    assert not found.failed


def test_where_a_box_was_asked_for_the_box_of_what_is_found_counts():
    """A cross fills a third of its box."""
    frames = -torch.ones(2, 3, 12, 20)
    frames[:, :, 4:6, 2:14] = frames[:, :, 1:9, 7:9] = 1
    masks = torch.zeros(2, 1, 12, 20)
    masks[:, :, 1:9, 2:14] = 1
    for shaped, iou in ((None, 36 / 96), (boxes, 1.0)):
        following = Following(Judges(), None, given_frames=1, kept=frozenset({1}), shaped=shaped)
        following.add(frames, masks)
        followed = following.done()
        assert followed.mean("mask_iou") == pytest.approx(iou)
        assert followed.detected[1].sum() == 36  # what is shown is what was found
