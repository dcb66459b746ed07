"""What an adapter was tuned on: another function has another fingerprint, another file of the same has not."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

from maskvid.model import Backbone
from tests.backbones import save_backbone
from tests.single_file import save_single_file


@pytest.fixture(scope="module")
def whole(tiny_backbone):
    return Backbone(str(tiny_backbone)).fingerprint


@pytest.fixture
def copy(tiny_backbone, tmp_path):
    return shutil.copytree(tiny_backbone, tmp_path / "copy")


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}),
        ("scheduler/scheduler_config.json", {"beta_end": 0.03}),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}),
        ("unet/config.json", {"attention_head_dim": 4}),
        ("unet/config.json", {"norm_eps": 1e-3}),
        ("text_encoder/config.json", {"num_attention_heads": 4}),
        ("text_encoder/config.json", {"hidden_act": "gelu"}),
        ("vae/config.json", {"act_fn": "relu"}),
        ("vae/config.json", {"scaling_factor": 0.5}),
    ],
)
def test_a_configuration_that_changes_the_numbers_changes_it(copy, whole, file, values):
    change(copy / file, **values)
    assert Backbone(str(copy)).fingerprint != whole


def test_another_tokenizer_changes_it(copy, whole):
    path = copy / "tokenizer" / "tokenizer.json"
    stored = json.loads(path.read_text())
    vocabulary = stored["model"]["vocab"]
    vocabulary["a</w>"], vocabulary["b</w>"] = vocabulary["b</w>"], vocabulary["a</w>"]
    path.write_text(json.dumps(stored))
    assert Backbone(str(copy)).fingerprint != whole


@pytest.mark.parametrize("what", ["one weight in a hundred", "twice the scale"])
def test_other_weights_change_it(copy, whole, what):
    unet = UNet2DConditionModel.from_pretrained(copy, subfolder="unet")
    for parameter in unet.parameters():
        if what == "twice the scale":
            parameter.data *= 2
        else:
            parameter.data += 0.01 * parameter.data.std() * torch.randn_like(parameter) if parameter.dim() > 1 else 0
    unet.save_pretrained(copy / "unet")
    assert Backbone(str(copy)).fingerprint != whole


def test_what_changes_no_number_does_not_change_it(copy, whole):
    change(copy / "unet/config.json", _name_or_path="elsewhere", sample_size=64, dropout=0.1)
    change(copy / "text_encoder/config.json", attention_dropout=0.1, transformers_version="4.0.0", eos_token_id=2)
    config = json.loads((copy / "scheduler/scheduler_config.json").read_text())
    EulerDiscreteScheduler.from_config(config).save_pretrained(copy / "scheduler")  # another sampler, the same schedule
    change(copy / "model_index.json", scheduler=["diffusers", "EulerDiscreteScheduler"])
    assert Backbone(str(copy)).fingerprint == whole


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_it_is_that_of_the_same_weights_in_every_type_and_file(kind, tmp_path):
    folder = save_backbone(tmp_path / kind, kind)
    whole = Backbone(str(folder))
    assert {Backbone(str(folder), dtype=dtype).fingerprint for dtype in ("bfloat16", "float16")} == {whole.fingerprint}
    if kind == "sd1":
        single = save_single_file(folder, tmp_path / "model.safetensors")
        assert Backbone(str(single), config=str(folder)).fingerprint == whole.fingerprint
    half = tmp_path / "half"
    whole.pipeline.to(dtype=torch.float16).save_pretrained(half, variant="fp16", max_shard_size="200KB")
    assert len(list((half / "unet").glob("*fp16*"))) > 2  # an index and shards
    for dtype in ("float32", "float16"):
        assert Backbone(str(half), variant="fp16", dtype=dtype).fingerprint == whole.fingerprint


def test_the_vaes_decoder_does_not_count(copy, whole):
    vae = AutoencoderKL.from_pretrained(copy, subfolder="vae")
    vae.decoder.conv_out.bias.data += 1
    vae.save_pretrained(copy / "vae")
    change(copy / "vae/config.json", force_upcast=False)
    assert Backbone(str(copy)).fingerprint == whole
    vae.encoder.conv_out.bias.data += 1
    vae.save_pretrained(copy / "vae")
    assert Backbone(str(copy)).fingerprint != whole
