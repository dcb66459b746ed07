import pytest
import torch

from maskvid.callbacks.checkpoint_io import AtomicCheckpointIO
from maskvid.callbacks.last_checkpoint import LastCheckpoint
from maskvid.errors import UserError
from tests.callbacks.tiny import TinyModule, batches, trainer


def test_save_and_load(tmp_path):
    path = tmp_path / "new" / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint(
        {"pytorch-lightning_version": "2.5", "state_dict": {"x": torch.arange(3)}}, path
    )
    assert torch.equal(AtomicCheckpointIO().load_checkpoint(path)["state_dict"]["x"], torch.arange(3))
    with pytest.raises(TypeError, match="storage_options"):
        AtomicCheckpointIO().save_checkpoint({}, path, storage_options={})


class Marker:
    """Unpickled, it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("asked", [None, False, True])
def test_nothing_in_a_checkpoint_is_run(tmp_path, asked):
    torch.save({"state_dict": Marker(tmp_path / "marker")}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="holds more than tensors"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt", weights_only=asked)
    assert not (tmp_path / "marker").exists()


def test_a_file_of_tensors_that_is_no_checkpoint_is_refused_in_words(tmp_path):
    torch.save({"x": torch.arange(3)}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="no checkpoint of a run"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt")


@pytest.mark.parametrize("content", [b"", b"PK", b"no checkpoint"])
def test_a_damaged_checkpoint_is_refused_in_words(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt")
    torch.save([1], tmp_path / "b.ckpt")
    with pytest.raises(UserError, match="no checkpoint of a run"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "b.ckpt")


def test_a_failure_in_the_middle_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    save = torch.save

    def killed(checkpoint, target):
        save(checkpoint, target)
        with open(target, "r+b") as handle:
            handle.truncate(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


def test_last_checkpoint_is_the_only_file_and_holds_the_last_step(tmp_path):
    def run(steps, resume=None):
        callback = LastCheckpoint(dirpath=tmp_path / "checkpoints", every_n_train_steps=4)
        trainer(tmp_path, [callback], max_steps=steps).fit(TinyModule(), batches(), ckpt_path=resume)
        assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
        return torch.load(tmp_path / "checkpoints" / "last.ckpt")["global_step"]

    assert run(6) == 6  # not 4, the last multiple
    assert run(8, tmp_path / "checkpoints" / "last.ckpt") == 8
