import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from maskvid.callbacks.loggers import wandb_logger, wandb_mode
from maskvid.callbacks.video_logger import VideoLogger, samples_of
from tests.callbacks.tiny import TinyModule, batches, sample, trainer


def test_every_sample_becomes_two_files(tmp_path):
    module = TinyModule({0: [sample(0), sample(1, known=True)], 1: [sample(0, "train")], 2: None})
    runner = trainer(
        tmp_path, [VideoLogger(scale=2)], max_steps=3, val_check_interval=3, limit_val_batches=3, num_sanity_val_steps=1
    )
    runner.fit(module, batches(3), batches())
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file())
    assert written == [  # nothing of the sanity check at step 0
        "samples/step-000003/heldout/clip-0.mp4",
        "samples/step-000003/heldout/clip-0.png",
        "samples/step-000003/heldout/clip-1.mp4",
        "samples/step-000003/heldout/clip-1.png",
        "samples/step-000003/train/clip-0.mp4",
        "samples/step-000003/train/clip-0.png",
    ]
    sheet = np.asarray(Image.open(tmp_path / written[1]))
    assert sheet.shape[0] > 2 * 2 * 32
    assert sheet.std() > 10


def test_tensorboard_gets_frames_up_to_the_limit(tmp_path):
    logger = TensorBoardLogger(str(tmp_path), name="", version="")
    runner = trainer(tmp_path, [VideoLogger(scale=1, logged_per_set=1)], logger=logger, limit_val_batches=1)
    runner.validate(TinyModule({0: [sample(1), sample(0)]}), batches(), verbose=False)
    logger.experiment.flush()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["images"] == ["heldout/clip-0/frames"]


def test_wandb_gets_video_frames_and_caption_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = wandb_logger(save_dir=tmp_path / "run", project="maskvid")
    logged = []
    monkeypatch.setattr(logger, "log_metrics", lambda metrics, step=None: logged.append(metrics))
    import wandb

    wandb.init(mode="disabled")
    runner = trainer(tmp_path, [VideoLogger(scale=1)], logger=logger, limit_val_batches=1)
    try:
        runner.validate(TinyModule({0: [sample(0)]}), batches(), verbose=False)
    finally:
        wandb.finish()
    values = {key: value[0] for metrics in logged for key, value in metrics.items() if "clip-0" in key}
    assert isinstance(values["heldout/clip-0/video"], wandb.Video)
    assert isinstance(values["heldout/clip-0/frames"], wandb.Image)


def test_what_is_not_a_sample_is_refused():
    assert samples_of(None) == []
    with pytest.raises(TypeError, match="maskvid.clip.Sample"):
        samples_of([1])


def test_wandb_mode_follows_the_environment(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert wandb_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode() == "disabled"
