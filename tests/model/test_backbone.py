import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from safetensors.torch import load_file, save_file

from maskvid.errors import UserError
from maskvid.model import Backbone, InflatedUNet
from maskvid.prompt import Prompt, parse_prompt
from tests.backbones import save_backbone
from tests.single_file import save_single_file


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


@torch.no_grad()
def test_latents_are_on_the_scale_that_the_2d_unet_was_trained_on(backbone):
    """As diffusers' own pipelines scale them, on the way in and on the way out."""
    frames, vae = torch.rand(2, 3, 32, 48) * 2 - 1, backbone.pipeline.vae
    latents = vae.encode(frames).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(backbone.encode_frames(frames), latents)
    decoded = vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(backbone.decode_latents(latents), decoded)


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


def save_lora(folder, tiny_backbone):
    """A LoRA of the tiny U-Net's query projections, written by diffusers."""
    peft = pytest.importorskip("peft")
    unet = UNet2DConditionModel.from_pretrained(tiny_backbone, subfolder="unet")
    unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    layers = convert_state_dict_to_diffusers(peft.get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)
    return str(folder)


def test_a_lora_is_fused_before_tuning(tiny_backbone, tmp_path):
    lora = save_lora(tmp_path, tiny_backbone)
    plain, full = Backbone(str(tiny_backbone)), Backbone(str(tiny_backbone), lora=lora)
    none = Backbone(str(tiny_backbone), lora=lora, lora_scale=0.0)
    names = list(plain.unet.state_dict())
    assert list(full.unet.state_dict()) == names  # plain layers again
    changed = [n for n in names if not torch.allclose(plain.unet.state_dict()[n], full.unet.state_dict()[n], atol=1e-6)]
    assert changed
    assert all(name.endswith("to_q.weight") for name in changed)
    assert all(torch.allclose(plain.unet.state_dict()[n], none.unet.state_dict()[n], atol=1e-6) for n in names)
    assert full.fingerprint != plain.fingerprint


def test_a_loras_alpha_scales_it(tiny_backbone, tmp_path):
    folder = Path(save_lora(tmp_path, tiny_backbone))
    [file] = folder.glob("*.safetensors")
    weights = load_file(file)
    layers = [name.removesuffix(".lora.down.weight") for name in weights if name.endswith(".lora.down.weight")]
    shared = {}  # as communities share it
    for layer in layers:
        key = f"lora_unet_{layer.removeprefix('unet.').replace('.', '_')}"
        shared |= {f"{key}.lora_{side}.weight": weights[f"{layer}.lora.{side}.weight"] for side in ("down", "up")}
        shared[f"{key}.alpha"] = torch.tensor(8.0)
    save_file(shared, file)
    before, after = (Backbone(str(tiny_backbone), lora=lora).unet.state_dict() for lora in (None, str(folder)))
    for layer in layers:
        name = f"{layer.removeprefix('unet.')}.weight"
        added = 8 / 2 * weights[f"{layer}.lora.up.weight"] @ weights[f"{layer}.lora.down.weight"]
        torch.testing.assert_close(after[name], before[name] + added, atol=1e-7, rtol=0)


def test_errors_of_other_libraries_are_shown_whole(tiny_backbone, tmp_path):
    lora, other = save_lora(tmp_path / "lora", tiny_backbone), save_backbone(tmp_path / "sd1", "sd1")
    with pytest.raises(UserError, match=r"(?s)backbone\.lora=.*\n.*size mismatch"):  # not in the error's first line
        Backbone(str(other), lora=lora)


def test_a_lora_that_is_none_is_named(tiny_backbone, tmp_path):
    with pytest.raises(UserError, match=r"backbone\.lora='/nowhere'"):
        Backbone(str(tiny_backbone), lora="/nowhere")


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_true_architectures_train_and_sample(kind, tmp_path):
    backbone = Backbone(str(save_backbone(tmp_path / kind, kind)))
    text, subject, pooled = backbone.encode_text([parse_prompt("[a fox] runs")])
    assert (pooled is not None) == (kind == "sdxl")
    assert subject.sum() > 0
    video = InflatedUNet(backbone.unet, vae_scale_factor=backbone.vae_scale_factor).train()
    latents, masks = torch.randn(1, 3, 4, 8, 12), torch.zeros(1, 3, 1, 32, 48)
    out = video(latents, torch.tensor([500]), text, masks=masks, subject=subject, pooled=pooled)
    out[:, 1:].square().mean().backward()
    gradients = {name: p.grad for name, p in video.steering.named_parameters() if "mask_input" in name}
    assert any(gradient is not None and gradient.any() for gradient in gradients.values())
    assert all(gradient is not None for gradient in gradients.values())
    with video.plain():
        generators = [torch.Generator().manual_seed(0)]
        painted = backbone.paint(["a fox"], (32, 48), generators=generators, guidance_scale=2.0, num_inference_steps=2)
    assert painted.shape == (1, 4, 8, 12)


def test_a_community_checkpoint_is_read_from_its_single_file(tmp_path):
    folder = save_backbone(tmp_path / "sd1", "sd1")
    path = save_single_file(folder, tmp_path / "model.safetensors")
    whole, single = Backbone(str(folder)), Backbone(str(path), config=str(folder))
    prompts = [parse_prompt("[a fox] runs")]
    for one, other in zip(single.encode_text(prompts)[:2], whole.encode_text(prompts)[:2], strict=True):
        assert torch.equal(one, other)


def test_a_single_file_that_predicts_velocity_says_so_by_a_mark_or_the_user_does(tmp_path):
    folder = save_backbone(tmp_path / "sd1", "sd1")
    path = save_single_file(folder, tmp_path / "model.safetensors")

    def prediction(**more) -> str:
        return Backbone(str(path), config=str(folder), **more).scheduler.config.prediction_type

    assert prediction() == "epsilon"
    assert prediction(prediction_type="v_prediction") == "v_prediction"
    weights = load_file(path)
    save_file(weights, path, metadata={"modelspec.prediction_type": "v"})
    assert prediction() == "v_prediction"
    assert prediction(prediction_type="epsilon") == "epsilon"
    save_file({**weights, "v_pred": torch.tensor([])}, path)
    assert prediction() == "v_prediction"


def test_single_files_that_cannot_be_read_are_named(tmp_path):
    folder = save_backbone(tmp_path / "sd1", "sd1")
    path = save_single_file(folder, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"give backbone\.config=PATH"):
        Backbone(str(path))
    with pytest.raises(UserError, match="no such file"):
        Backbone(str(tmp_path / "other.safetensors"), config=str(folder))
    (tmp_path / "model.ckpt").write_bytes(b"")
    with pytest.raises(UserError, match="is pickled"):
        Backbone(str(tmp_path / "model.ckpt"), config=str(folder))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded by diffusers with backbone.config"):
        Backbone(str(path), config=str(folder))
    narrow = save_backbone(tmp_path / "mini", "mini")
    with pytest.raises(UserError, match="cannot be loaded by diffusers with backbone.config"):
        Backbone(str(save_single_file(folder, path)), config=str(narrow))


def test_parts_that_nothing_asks_for_stay_where_they_are(tiny_backbone):
    """A cache holds the prompts: on a GPU the text encoders would only take room."""
    backbone = Backbone(str(tiny_backbone)).to("meta", painting=False)
    assert backbone.pipeline.vae.device == torch.device("meta")
    assert backbone.pipeline.text_encoder.device == torch.device("cpu")
    assert backbone.encode_text([Prompt("a horse")])[0].device == torch.device("cpu")
    assert Backbone(str(tiny_backbone)).to("meta").pipeline.text_encoder.device == torch.device("meta")
