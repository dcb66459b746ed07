import json
import shutil

import pytest
import torch

from maskvid.errors import UserError
from maskvid.model import Backbone
from tests.backbones import TEXT_WIDTH


@pytest.fixture(scope="module")
def backbone(tiny_backbone):
    return Backbone(str(tiny_backbone))


def test_frames_there_and_back(backbone):
    frames = torch.rand(9, 3, 32, 48) * 2 - 1
    latents = backbone.encode_frames(frames)
    assert latents.shape == (9, 4, 8, 12)
    assert backbone.vae_scale_factor == 4
    decoded = backbone.decode_latents(latents)
    assert decoded.shape == frames.shape
    assert decoded.abs().max() <= 1
    torch.testing.assert_close(backbone.encode_frames(frames[8:]), latents[8:], atol=1e-4, rtol=1e-4)


def test_the_subjects_tokens_are_marked(backbone):
    text, marks, pooled = backbone.encode_text(["a fox runs", "a fox runs", ""], ["a fox", "a cat", None])
    assert text.shape == (3, 32, TEXT_WIDTH)
    assert pooled is None
    assert marks[0].nonzero().flatten().tolist() == [1, 2, 3, 4]  # start token, then the bytes of "a", "f", "o", "x"
    assert not marks[1:].any()  # words the prompt does not hold mark nothing


def test_other_weights_have_another_fingerprint(backbone, tiny_backbone, tmp_path):
    assert Backbone(str(tiny_backbone)).fingerprint == backbone.fingerprint
    copy = shutil.copytree(tiny_backbone, tmp_path / "copy")
    config = json.loads((copy / "vae" / "config.json").read_text())
    (copy / "vae" / "config.json").write_text(json.dumps(config | {"scaling_factor": 0.5}))
    assert Backbone(str(copy)).fingerprint != backbone.fingerprint


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(tiny_backbone, tmp_path, part):
    copy = shutil.copytree(tiny_backbone, tmp_path / "copy")
    shutil.rmtree(copy / part)
    with pytest.raises(UserError, match=f"the part '{part}' is missing"):
        Backbone(str(copy))


def test_missing_weights_and_folders_are_named(tiny_backbone, tmp_path):
    with pytest.raises(UserError, match=r"no model_index\.json"):
        Backbone(str(tmp_path / "nothing"))
    copy = shutil.copytree(tiny_backbone, tmp_path / "copy")
    (copy / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded by diffusers"):
        Backbone(str(copy))
    with pytest.raises(UserError, match=r"backbone\.dtype='int8'"):
        Backbone(str(tiny_backbone), dtype="int8")
