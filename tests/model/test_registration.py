import torch

from maskvid.model.registration import moments, recomposed, spread


def scene(count: int = 3):
    """A block of 3 on a ground of 1 that goes right and grows; latents (1, 2, 16, 24) and masks."""
    masks = torch.zeros(1, count, 1, 64, 96)
    for i in range(count):
        masks[0, i, 0, 24 - 4 * i : 40 + 4 * i, 8 + 20 * i : 32 + 28 * i] = 1
    picture = torch.ones(1, 2, 16, 24)
    picture[..., 6:10, 2:8] = 3
    return picture, masks


def test_the_foreground_moves_with_its_masks_and_the_ground_stays():
    picture, masks = scene()
    brought = recomposed(picture, masks)
    assert brought.shape == (1, 2, 2, 16, 24)
    for i in (1, 2):
        small = torch.nn.functional.avg_pool2d(masks[:, i], 4)
        torch.testing.assert_close(brought[0, i - 1, 0], 1 + 2 * small[0, 0], atol=0.15, rtol=0)


def test_a_coat_keeps_its_pattern_where_it_was():
    picture, masks = scene()
    picture[..., 6:10, 5:8] = 5  # the right half
    [brought] = recomposed(picture, masks)[0, -1:, 0]
    assert brought[8, 14] < 3.6 < 4.4 < brought[8, 20]


def test_without_a_foreground_in_the_first_frame_there_is_the_ground_alone():
    picture, masks = scene()
    masks[:, 0] = 0
    torch.testing.assert_close(recomposed(torch.ones_like(picture), masks), torch.ones(1, 2, 2, 16, 24))
    centres, spreads = moments(masks)
    assert centres.abs().max() == 0
    assert (spreads == 1).all()


def test_what_is_unknown_takes_what_lies_nearest():
    picture = torch.zeros(1, 1, 9, 15)
    picture[..., :7] = 2
    picture[..., 8:] = -2
    region = torch.zeros(1, 1, 9, 15)
    region[..., 2:4, 2:4] = region[..., 5:7, 11:13] = 1
    filled = spread(picture, region)
    assert (filled[..., 2:4, :5] > 0.2).all()
    assert (filled[..., 5:7, -5:] < -0.2).all()
    assert torch.equal(filled[..., 2:4, 2:4], picture[..., 2:4, 2:4])
    assert torch.equal(spread(picture, torch.zeros_like(region)), torch.zeros_like(picture))
