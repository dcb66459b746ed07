"""Windows that are shown larger: from the clip's own pixels, masks and pictures alike, the same in every run."""

import numpy as np
import torch

from maskvid.data import MaskVidDataModule
from maskvid.data.checked import check_triple
from maskvid.data.triples import read_triples
from maskvid.data.zooms import LEAST, MOST, ZOOMS, zoomed_frames, zoomed_masks, zooms_of
from maskvid.settings import Data, Requirements
from tests.data.tiny import AverageEncoder, make_masks, write_triple

WANTED = Requirements(height=16, width=24, num_frames=4, fps=4)


def checked(tmp_path, **row):
    [triple] = read_triples(write_triple(tmp_path / "clips", **row))
    return check_triple(triple, WANTED)


def test_the_foreground_is_larger_and_as_much_of_it_shown_as_there_is_room_for(tmp_path):
    clip = checked(tmp_path)
    zooms = zooms_of(clip, WANTED)
    assert len(zooms) == ZOOMS
    for zoom in zooms:
        masks = zoomed_masks(clip, zoom, 16, 24) > 127
        before = np.stack([clip.masks[index] for index in zoom.frames]) > 127
        scale = zoom.rows / 16
        assert LEAST - 0.05 < scale < MOST + 0.05
        whole = before.any(0)
        fits = max(np.ptp(np.flatnonzero(whole.any(1))) + 1, 1) * scale <= 16
        fits &= (np.ptp(np.flatnonzero(whole.any(0))) + 1) * scale <= 24
        if fits:
            assert abs(masks.sum() / before.sum() / scale**2 - 1) < 0.25
        assert masks.any((1, 2)).all()
    assert zooms == zooms_of(clip, WANTED)  # all runs share what is encoded


def test_pictures_and_masks_show_the_same_part(tmp_path):
    clip = checked(tmp_path)
    for zoom in zooms_of(clip, WANTED):
        frames, masks = zoomed_frames(clip, zoom, 16, 24), zoomed_masks(clip, zoom, 16, 24)
        bright = frames[..., 0] > 180  # the square
        agreed = (bright & (masks > 127)).sum() / max((bright | (masks > 127)).sum(), 1)
        assert agreed > 0.8  # pixels at the edge are few and large


def test_masks_at_another_rate_follow_their_frames(tmp_path):
    folder = write_triple(tmp_path / "clips")
    np.savez_compressed(folder / "clip.npz", masks=make_masks().repeat(2, axis=0), fps=16.0)
    [triple] = read_triples(folder)
    clip, plain = check_triple(triple, WANTED), checked(tmp_path / "plain")
    assert clip.order is not None
    for zoom in zooms_of(plain, WANTED):
        assert np.array_equal(zoomed_masks(clip, zoom, 16, 24), zoomed_masks(plain, zoom, 16, 24))


def test_a_share_of_the_windows_is_zoomed_and_the_others_are_what_they_were(tmp_path):
    write_triple(tmp_path / "clips", "a")
    write_triple(tmp_path / "clips", "b")

    def windows(zoom: float, encoder: AverageEncoder):
        settings = Data(
            train=str(tmp_path / "clips"), height=16, width=24, num_frames=4, fps=4, zoom=zoom, flip=True,
            cache_dir=str(tmp_path / "cache"), prompt_dropout=0.0,
        )  # fmt: skip
        module = MaskVidDataModule(settings).attach(encoder)
        module.setup("fit")
        return module._windows(0.0)

    first, again = AverageEncoder(), AverageEncoder()
    plain, zoomed = windows(0.0, AverageEncoder()), windows(0.4, first)
    changed = [not torch.equal(plain[p].masks, zoomed[p].masks) for p in range(100)]
    assert 25 < sum(changed) < 55
    for position in range(100):
        one, other = plain[position], zoomed[position]
        assert one.prompts == other.prompts
        if not changed[position]:
            assert torch.equal(one.latents, other.latents)
        bright = (other.latents[0, :, 0] > 0.4).float()
        masks = torch.nn.functional.avg_pool2d(other.masks[0, :, 0], 4)
        assert (bright - masks).abs().mean() < 0.2
    assert windows(0.4, again) is not None
    assert first.frames_encoded == 2 * 2 * ZOOMS * 4  # two clips, mirrored as well; the whole ones were there
    assert again.frames_encoded == 0
