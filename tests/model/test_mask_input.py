import torch

from maskvid.model import InflatedUNet, mask_inputs, merge_ranges
from maskvid.model.mask_input import KEPT, MaskInput
from tests.backbones import tiny_unet
from tests.model.test_inflate import clip


def fresh() -> MaskInput:
    torch.manual_seed(0)
    layer = MaskInput(8, factor=4)
    torch.nn.init.normal_(layer.conv.weight, std=0.1)
    return layer.train()


def tuned() -> MaskInput:
    """As if tuned on small squares that move, each seen often enough to count."""
    layer = fresh()
    for place in KEPT * list(range(0, 24, 4)):
        layer(squares(8, place), (8, 8))
    merge_ranges(layer)
    return layer.eval()


def squares(size: int, place: int = 0) -> torch.Tensor:
    masks = torch.zeros(1, 3, 1, 32, 32)
    for frame in range(3):
        masks[:, frame, :, 8 : 8 + size, place + frame : place + frame + size] = 1
    return masks


def ranges(layer: MaskInput) -> torch.Tensor:
    return torch.stack([layer.low, layer.high])


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
    merge_ranges(layer)
    assert not layer(squares(8), (8, 8)).any()


def test_one_outlier_does_not_widen_the_range_nor_does_what_is_no_number():
    calm, odd = tuned(), tuned().train()
    wanted = ranges(calm).clone()
    with torch.no_grad():
        odd.conv.weight.mul_(50)  # one step that went astray, on a shape that is wrong
        odd(squares(24), (8, 8))
        odd.conv.bias.fill_(torch.nan)
        for _ in range(KEPT):
            odd(squares(8), (8, 8))
    merge_ranges(odd)
    for found, expected in zip(ranges(odd), wanted, strict=True):
        assert (found.abs() <= 1.001 * expected.abs()).all()
    assert (odd.merged[:, 0].amax(-1) > 10 * wanted.abs().amax(-1)).all()  # it was looked at


def test_the_range_is_what_so_many_examples_reached_however_often_it_is_merged():
    """Against a sort of all that was seen; early, the least extreme of the few."""
    layer, seen = fresh(), []
    for index, place in enumerate(torch.arange(40) % 20):
        masks = torch.cat([squares(4 + index % 13, int(place)), squares(6, index % 7)])
        features = layer(masks, (8, 8)).unflatten(0, (2, 3))[:, 1:]
        seen += [torch.stack([-one.amin((0, 2, 3)), one.amax((0, 2, 3))]) for one in features]
        if index % 9 == 0:
            merge_ranges(layer)
            if index % 2:
                merge_ranges(layer)
            kth = torch.stack(seen).sort(0, descending=True).values[min(len(seen), KEPT) - 1].clamp(min=0)
            assert torch.equal(ranges(layer), torch.stack([-kth[0], kth[1]]))


def test_two_processes_have_the_range_of_one_with_twice_the_batch(monkeypatch):
    """Each notes one of two examples; what a merge gathers is the tensors of both."""
    whole, parts = fresh(), [fresh(), fresh()]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)

    def merge(layers):
        noted = [layer.noted for layer in layers]
        monkeypatch.setattr(
            torch.distributed, "all_gather", lambda out, own: [o.copy_(n) for o, n in zip(out, noted, strict=True)]
        )
        for layer in layers:
            merge_ranges(layer)

    for index in range(30):
        masks = torch.cat([squares(4 + index % 11, index % 9), squares(5 + index % 7, index % 5)])
        whole(masks, (8, 8))
        for layer, own in zip(parts, masks.split(1), strict=True):
            layer(own, (8, 8))
        if index % 7 == 0:
            merge(parts)
    merge(parts)
    monkeypatch.undo()
    merge_ranges(whole)
    for layer in parts:
        torch.testing.assert_close(ranges(layer), ranges(whole))


def test_gradient_checkpointing_counts_no_example_twice():
    """Its forward pass runs again within backward."""
    off = {"self_attention_strength": None, "cross_attention_strength": None, "subject_branch": False}
    parts = off | {"first_frame_input": False, "temporal_attention": None, "temporal_conv": None}
    video = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4, gradient_checkpointing=True, **parts).train()
    latents, timesteps, text, steer = clip("mini")
    for name, parameter in video.steering.named_parameters():
        if name.startswith("mask_input"):
            torch.nn.init.constant_(parameter, 0.01)
    video(latents, timesteps, text, **steer).square().mean().backward()
    assert {int(layer.noted.isfinite().sum(1).max()) for layer in mask_inputs(video)} == {2}  # the batch
