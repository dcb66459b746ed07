import torch

from maskvid.masks.perturb import boxes


def test_boxes_bound_the_foreground_of_each_frame():
    masks = torch.zeros(3, 1, 8, 12)
    masks[0, 0, 2, 3] = masks[0, 0, 5, 9] = 1  # two specks: one box around both
    masks[1, 0, :, 0] = 0.6
    masks[1, 0, 4, 4] = 0.4  # no foreground
    expected = torch.zeros(3, 1, 8, 12)
    expected[0, 0, 2:6, 3:10] = 1
    expected[1, 0, :, 0] = 1
    assert torch.equal(boxes(masks), expected)
