import json
import re
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from maskvid.checksum import checksum
from maskvid.errors import UserError
from maskvid.model import InflatedUNet, load_adapter, mix_adapters, save_adapter
from maskvid.model.adapter import FORMAT
from tests.backbones import tiny_unet


def tuned(kind="mini", **parts):
    video = InflatedUNet(tiny_unet(kind), vae_scale_factor=4, **parts)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in video.steering.parameters():
            parameter.add_(torch.randn_like(parameter))
    return video


def test_what_was_trained_comes_back(tmp_path):
    video = tuned()
    save_adapter(tmp_path, video.steering.state_dict(), {"steps": 7})
    fresh = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4)
    assert load_adapter(tmp_path, fresh)["run"] == {"steps": 7}
    for name, value in video.steering.state_dict().items():
        assert torch.equal(value, fresh.steering.state_dict()[name])


@pytest.mark.parametrize(("kind", "parts"), [("sd1", {}), ("mini", {"mask_input": False})])
def test_another_architecture_or_method_is_refused(tmp_path, kind, parts):
    save_adapter(tmp_path, tuned().steering.state_dict(), {})
    with pytest.raises(UserError, match="another architecture or method"):
        load_adapter(tmp_path, InflatedUNet(tiny_unet(kind), vae_scale_factor=4, **parts))


def test_an_adapter_is_float32_whatever_the_run_computed_in(tmp_path):
    video = tuned()
    save_adapter(tmp_path, {name: value.double() for name, value in video.steering.state_dict().items()}, {})
    fresh = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4)
    load_adapter(tmp_path, fresh)
    assert {value.dtype for value in fresh.steering.state_dict().values()} == {torch.float32}


def test_the_weights_alone_say_what_they_belong_to_and_same_weights_are_the_same_file(tmp_path):
    video = tuned()
    path = save_adapter(tmp_path / "a", video.steering.state_dict(), {"steps": 7})
    again = save_adapter(tmp_path / "b", video.steering.state_dict(), {"steps": 7})
    assert path.read_bytes() == again.read_bytes()
    (tmp_path / "a" / "adapter.json").unlink()
    assert load_adapter(tmp_path / "a", tuned())["run"] == {"steps": 7}
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["modelspec.sai_model_spec"] == "1.0.0"
    save_file(video.steering.state_dict(), path)
    with pytest.raises(UserError, match="does not say what it belongs to"):
        load_adapter(tmp_path / "a", tuned())
    for text, words in (("[" * 10_000, "nested"), ("[]", "no mapping"), ("{", "not valid JSON")):
        save_file(video.steering.state_dict(), path, metadata={"maskvid": text})
        with pytest.raises(UserError, match=words):
            load_adapter(tmp_path / "a", tuned())


def test_damaged_and_missing_files_are_refused(tmp_path):
    video = tuned()
    with pytest.raises(UserError, match=r"no adapter\.safetensors"):
        load_adapter(tmp_path, video)
    path = save_adapter(tmp_path, video.steering.state_dict(), {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_adapter(tmp_path, video)


@pytest.mark.parametrize("written", [{"format": 3}, {"format": 5}, {"format": "4"}, {}])
def test_another_format_is_refused(tmp_path, written):
    save_adapter(tmp_path, tuned().steering.state_dict(), {})
    (tmp_path / "adapter.json").write_text(json.dumps(written))
    with pytest.raises(UserError, match="this version of maskvid reads 4; tune again"):
        load_adapter(tmp_path, tuned())


def with_weights(folder, change):
    """An adapter whose weights were changed, the checksum with them: what a stranger can write."""
    state = {name: value.clone() for name, value in tuned().steering.state_dict().items()}
    change(state)
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "adapter.safetensors")
    (folder / "adapter.json").write_text(json.dumps({"format": FORMAT, "weights": checksum(state), "run": {}}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x: x["mask_input.conv.weight"].view(-1)[3].fill_(torch.nan),
            "conv.weight holds values that are not finite",
        ),
        (lambda x: x["mask_input.high"].fill_(torch.inf), "mask_input.high holds values that are not finite"),
        (
            lambda x: x.update({"mask_input.conv.bias": x["mask_input.conv.bias"].char()}),
            "is torch.int8, not torch.float32",
        ),
        (
            lambda x: x.update({"mask_input.conv.bias": x["mask_input.conv.bias"] > 0}),
            "is torch.bool, not torch.float32",
        ),
        (lambda x: x.update({"mask_input.conv.bias": x["mask_input.conv.bias"].half()}), "is torch.float16, not"),
        (
            lambda x: x.update({"mask_input.conv.bias": x["mask_input.conv.bias"][:-1].clone()}),
            "has shape (31,), not (32,)",
        ),
        (lambda x: x.pop("mask_input.conv.bias"), "mask_input.conv.bias is missing"),
        (lambda x: x.update(more=torch.zeros(2)), "more is unknown"),
    ],
)
def test_weights_are_checked_whole(tmp_path, change, words):
    with_weights(tmp_path, change)
    with pytest.raises(UserError, match=re.escape(words)):
        load_adapter(tmp_path, tuned())


def test_other_weights_beside_a_valid_description_are_refused(tmp_path):
    save_adapter(tmp_path / "a", tuned().steering.state_dict(), {})
    with_weights(tmp_path / "b", lambda state: state["mask_input.conv.bias"].add_(1))
    shutil.copy(tmp_path / "b" / "adapter.safetensors", tmp_path / "a")
    with pytest.raises(UserError, match=r"is not what adapter\.json belongs to"):
        load_adapter(tmp_path / "a", tuned())


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 10_000 + "}", "\x00", "", "[]"])
def test_a_description_that_is_no_json_is_refused(tmp_path, text):
    save_adapter(tmp_path, tuned().steering.state_dict(), {})
    (tmp_path / "adapter.json").write_text(text)
    with pytest.raises(
        UserError, match=r"adapter\.json (is not valid JSON|is nested more than|holds a list).*Copy the adapter again"
    ):
        load_adapter(tmp_path, tuned())


def test_a_write_that_fails_leaves_the_former_adapter(tmp_path, monkeypatch):
    video = tuned()
    path = save_adapter(tmp_path, video.steering.state_dict(), {"steps": 1})
    before = path.read_bytes()

    def full(tensors, filename, metadata=None):
        filename.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("maskvid.model.adapter.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_adapter(tmp_path, video.steering.state_dict(), {"steps": 2})
    assert path.read_bytes() == before
    assert json.loads((tmp_path / "adapter.json").read_text())["run"]["steps"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter.json", "adapter.safetensors"]


def test_adapters_mix_by_their_shares(tmp_path):
    start = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4).steering.state_dict()
    states = []
    for seed in (1, 2):
        state = {name: value + seed for name, value in start.items()}
        save_adapter(tmp_path / str(seed), state, {})
        states.append(state)
    fresh = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4)
    mix_adapters([tmp_path / "1", tmp_path / "2"], [0.25, 0.5], fresh)
    for name, value in fresh.steering.state_dict().items():
        torch.testing.assert_close(value, start[name] + 0.25 + 1.0)


def test_a_negative_share_leaves_ranges_that_hold_something(tmp_path):
    unet = InflatedUNet(tiny_unet("mini"), vae_scale_factor=4)
    state = {name: value.clone() for name, value in unet.steering.state_dict().items()}
    for name, value in state.items():
        if name.endswith((".low", ".high")):
            value.fill_(-2.0 if name.endswith(".low") else 3.0)
    save_adapter(tmp_path, state, {})
    mix_adapters([tmp_path], [-0.5], unet)
    mixed = {
        name.rpartition(".")[2]: value for name, value in unet.steering.state_dict().items() if "mask_input" in name
    }
    assert (mixed["low"] == -1.5).all()
    assert (mixed["high"] == 1.0).all()
