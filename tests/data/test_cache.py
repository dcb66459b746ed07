import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from maskvid.data import cache as cache_module
from maskvid.data.cache import EncodedData, TensorCache, content_hash
from maskvid.errors import UserError
from maskvid.media.decode import decode_frames, frames_to_float
from maskvid.prompt import Prompt
from tests.data.tiny import HEIGHT, WIDTH, AverageEncoder, make_frames, write_mp4, write_pictures

SIZE = {"height": 16, "width": 24}
SHAPES = {"x": (2,)}
SQUARE = Prompt("a square", (2, 8))


@pytest.fixture
def video(tmp_path):
    return write_mp4(tmp_path / "v.mp4", make_frames())


@pytest.fixture
def store(tmp_path):
    return TensorCache(tmp_path / "cache")


def entries(store):
    return sorted(store.folder.rglob("*.safetensors"))


def test_latents_are_those_of_all_frames(video, store):
    encoder = AverageEncoder()
    latents = EncodedData(encoder, store, **SIZE).latents(video)
    assert latents.shape == (10, 3, 4, 6)
    torch.testing.assert_close(latents, encoder.encode_frames(frames_to_float(decode_frames(video, 16, 24))))


def test_encoded_once(video, store):
    encoder = AverageEncoder()
    first = EncodedData(encoder, store, **SIZE)
    latents, text = first.latents(video), first.text(SQUARE)
    again = EncodedData(encoder, TensorCache(store.folder), **SIZE)
    assert torch.equal(again.latents(video), latents)
    for name, tensor in again.text(SQUARE).items():
        assert torch.equal(tensor, text[name])
    assert encoder.frames_encoded == 10
    assert encoder.prompts_encoded == 1


def test_the_name_and_place_of_a_video_do_not_matter(video, store, tmp_path):
    encoder = AverageEncoder()
    EncodedData(encoder, store, **SIZE).latents(video)
    moved = shutil.copy(video, tmp_path / "other.mp4")
    EncodedData(encoder, store, **SIZE).latents(tmp_path / moved)
    assert encoder.frames_encoded == 10


@pytest.mark.parametrize(
    "dependency", ["content", "height", "width", "flip", "backbone", "precision", "decoding", "version"]
)
def test_latents_are_encoded_anew_when_a_dependency_changes(video, store, monkeypatch, dependency):
    EncodedData(AverageEncoder(), store, **SIZE).latents(video)
    size, flip, encoder = dict(SIZE), False, AverageEncoder()
    if dependency == "content":
        write_mp4(video, make_frames(shift=9))
    elif dependency in size:
        size[dependency] *= 2
    elif dependency == "flip":
        flip = True
    elif dependency == "backbone":
        encoder = AverageEncoder("average-2")
    elif dependency == "precision":
        encoder.dtype = torch.bfloat16
    elif dependency == "decoding":
        monkeypatch.setattr(cache_module, "DECODE_VERSION", 999)
    else:
        monkeypatch.setattr(cache_module, "CACHE_VERSION", 999)
    EncodedData(encoder, store, **size).latents(video, flip=flip)
    assert encoder.frames_encoded == 10
    assert len(entries(store)) == 2


@pytest.mark.parametrize(
    ("prompt", "fingerprint", "dtype"),
    [
        (Prompt("a disc", (2, 6)), "average-1", torch.float32),
        (Prompt("a square"), "average-1", torch.float32),
        (Prompt("a square", (0, 8)), "average-1", torch.float32),
        (SQUARE, "average-2", torch.float32),
        (SQUARE, "average-1", torch.bfloat16),
    ],
)
def test_text_is_encoded_anew_when_a_dependency_changes(store, prompt, fingerprint, dtype):
    EncodedData(AverageEncoder(), store, **SIZE).text(SQUARE)
    encoder = AverageEncoder(fingerprint)
    encoder.dtype = dtype
    EncodedData(encoder, store, **SIZE).text(prompt)
    assert encoder.prompts_encoded == 1


def test_flipped_latents_are_those_of_flipped_frames(video, store):
    encoded = EncodedData(AverageEncoder(), store, height=HEIGHT, width=WIDTH)
    torch.testing.assert_close(encoded.latents(video, flip=True), encoded.latents(video).flip(-1))
    assert not torch.equal(encoded.latents(video, flip=True), encoded.latents(video))


@pytest.mark.parametrize("damage", ["truncated", "cut short by one", "empty", "altered byte", "another entry"])
def test_a_damaged_entry_is_encoded_anew(video, store, damage):
    encoder = AverageEncoder()
    encoded = EncodedData(encoder, store, **SIZE)
    good = encoded.latents(video)
    (path,) = entries(store)
    whole = path.read_bytes()
    if damage == "altered byte":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "another entry":
        EncodedData(encoder, store, height=32, width=48).latents(video)
        (other,) = set(entries(store)) - {path}
        shutil.copy(other, path)
    else:
        path.write_bytes(whole[: {"truncated": len(whole) // 2, "cut short by one": -1, "empty": 0}[damage]])
    before = encoder.frames_encoded
    with pytest.warns(UserWarning, match="damaged cache entry"):
        assert torch.equal(encoded.latents(video), good)
    assert encoder.frames_encoded == before + 10
    assert torch.equal(encoded.latents(video), good)
    assert encoder.frames_encoded == before + 10


@pytest.mark.parametrize(
    "other",
    [
        {"latents": torch.zeros(9, 3, 4, 6)},
        {"latents": torch.zeros(10, 3, 4, 7)},
        {"latents": torch.zeros(10, 3, 4, 6, dtype=torch.float64)},
        {"latents": torch.full((10, 3, 4, 6), torch.nan)},
        {"latents": torch.zeros(10, 3, 4, 6), "more": torch.zeros(1)},
        {"other": torch.zeros(10, 3, 4, 6)},
        {},
    ],
    ids=["frames", "width", "type", "not finite", "more", "name", "nothing"],
)
def test_an_entry_that_was_replaced_with_its_checksum_is_encoded_anew(video, store, other):
    encoded = EncodedData(AverageEncoder(), store, **SIZE)
    good = encoded.latents(video)
    (path,) = entries(store)
    store.put(path.stem, other)
    with pytest.warns(UserWarning, match="damaged cache entry"):
        assert torch.equal(encoded.latents(video), good)
    assert torch.equal(encoded.latents(video), good)


def test_a_failed_write_leaves_no_entry_and_says_where(video, store, monkeypatch):
    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "save_file", full)
        with pytest.raises(UserError, match=r"data.cache_dir=.*No space left"):
            EncodedData(AverageEncoder(), store, **SIZE).latents(video)
    assert not [path for path in store.folder.rglob("*") if path.is_file()]
    encoder = AverageEncoder()
    EncodedData(encoder, store, **SIZE).latents(video)
    assert encoder.frames_encoded == 10


def test_a_kill_during_writing_leaves_no_entry(store, monkeypatch):
    def die(tensors, path, metadata):
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "save_file", die)
        child = os.fork()
        if child == 0:
            try:
                store.put("ab" * 32, {"x": torch.zeros(2)})
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert [path for path in store.folder.rglob("*") if path.is_file()], "the half-written file should be there"
    assert store.get("ab" * 32, SHAPES) is None
    store.put("ab" * 32, {"x": torch.ones(2)})
    entry = store.get("ab" * 32, SHAPES)
    assert entry is not None
    assert torch.equal(entry["x"], torch.ones(2))


def test_content_hash_of_a_frame_folder(tmp_path):
    frames = make_frames()
    one = content_hash(write_pictures(tmp_path / "one", frames))
    assert content_hash(write_pictures(tmp_path / "two", frames)) == one
    assert content_hash(write_pictures(tmp_path / "two", np.ascontiguousarray(frames[::-1]))) != one


def test_a_long_clip_is_encoded_in_the_memory_of_its_latents(tmp_path):
    """Parts kept one by one between large frames that go left holes: 12,000 frames took 19 GB for 0.5."""
    program = (
        "import resource, sys; from pathlib import Path; from maskvid.data.cache import EncodedData, TensorCache;"
        "from tests.data.tiny import AverageEncoder; folder = Path(sys.argv[1]);"
        "encoded = EncodedData(AverageEncoder(), TensorCache(folder), height=320, width=512);"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; latents = encoded.latents(folder / 'a.mp4');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - 4 * latents.numel() // 1024, len(latents))"
    )
    write_mp4(tmp_path / "a.mp4", np.repeat(make_frames(6, 320, 512), 64, axis=0))
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    beyond, count = map(int, done.stdout.split())
    assert count == 384
    assert beyond < 400_000  # KiB
