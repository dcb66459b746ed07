import torch

from maskvid.model.mask_input import MaskInput


def tuned() -> MaskInput:
    """As if tuned on small squares that move."""
    torch.manual_seed(0)
    layer = MaskInput(8, factor=4)
    torch.nn.init.normal_(layer.conv.weight, std=0.1)
    layer.train()
    for place in range(0, 24, 4):
        layer(squares(8, place), (8, 8))
    return layer.eval()


def squares(size: int, place: int = 0) -> torch.Tensor:
    masks = torch.zeros(1, 3, 1, 32, 32)
    for frame in range(3):
        masks[:, frame, :, 8 : 8 + size, place + frame : place + frame + size] = 1
    return masks


def test_sampling_is_as_tuning_for_masks_that_tuning_saw():
    layer = tuned()
    features = layer(squares(8, 8), (8, 8))
    assert features.abs().max() > 0
    assert torch.equal(features, layer.train()(squares(8, 8), (8, 8)))


def test_shapes_beyond_those_of_the_tuning_stay_within_its_range():
    layer = tuned()
    layer.conv.weight.data.mul_(2)  # whatever drives the features out
    features = layer(squares(24), (8, 8)).unflatten(0, (1, 3))[:, 1:].flatten(0, 1)
    assert (features >= layer.low[:, None, None]).all()
    assert (features <= layer.high[:, None, None]).all()
    assert (features == layer.high[:, None, None]).any()


def test_what_was_never_tuned_adds_nothing():
    layer = MaskInput(8, factor=4).eval()
    torch.nn.init.normal_(layer.conv.weight)
    assert not layer(squares(8), (8, 8)).any()
