import pytest
import torch
from diffusers import ControlNetModel

from maskvid.errors import UserError
from maskvid.model import Backbone
from maskvid.model.control import control_picture
from tests.backbones import tiny_unet


def save_controlnet(folder, kind="mini", widths=(8, 8, 8)):
    torch.manual_seed(0)
    controlnet = ControlNetModel.from_unet(tiny_unet(kind), conditioning_embedding_out_channels=widths)
    for parameter in controlnet.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))  # its zero convolutions hide everything
    controlnet.save_pretrained(folder)
    return str(folder)


def test_pictures_of_a_mask():
    mask = torch.zeros(1, 1, 20, 30)
    mask[..., 5:15, 10:20] = 1
    assert torch.equal(control_picture(mask, "filled"), mask.expand(1, 3, 20, 30))
    edge = control_picture(mask, "edge")[0, 0]
    assert edge.sum() == 36  # the border of a square of ten
    assert edge[5, 10] == edge[14, 19] == 1
    assert edge[6, 11] == 0
    scribble = control_picture(mask, "scribble")[0, 0]
    assert (scribble >= edge).all()
    assert scribble[4, 9] == scribble[6, 11] == 1
    assert scribble[10, 15] == 0
    with pytest.raises(UserError, match="control_picture='depth'"):
        control_picture(mask, "depth")


def test_first_frames_depend_on_the_mask_and_the_plain_pipeline_does_not(tiny_backbone, tmp_path):
    backbone = Backbone(str(tiny_backbone), controlnet=save_controlnet(tmp_path))
    left, right = torch.zeros(2, 1, 1, 32, 48).unbind()
    left[..., :20], right[..., 28:] = 1, 1

    def paint(masks):
        return backbone.paint(
            ["a fox"],
            (32, 48),
            generators=[torch.Generator().manual_seed(0)],
            guidance_scale=2.0,
            num_inference_steps=2,
            masks=masks,
        )

    assert torch.equal(paint(left), paint(left))
    assert (paint(left) - paint(right)).abs().max() > 1e-3
    assert (paint(left) - paint(None)).abs().max() > 1e-3
    assert Backbone(str(tiny_backbone)).fingerprint == backbone.fingerprint


@pytest.mark.parametrize(
    ("kind", "widths", "words"),
    [("sd1", (8, 8, 8), "block_out_channels"), ("mini", (8, 8, 8, 8), "8 times the latents")],
)
def test_a_controlnet_for_another_backbone_is_refused(tiny_backbone, tmp_path, kind, widths, words):
    with pytest.raises(UserError, match=words):
        Backbone(str(tiny_backbone), controlnet=save_controlnet(tmp_path, kind, widths))


def test_a_missing_controlnet_is_named(tiny_backbone):
    with pytest.raises(UserError, match="controlnet='/nowhere/at/all'"):
        Backbone(str(tiny_backbone), controlnet="/nowhere/at/all")
