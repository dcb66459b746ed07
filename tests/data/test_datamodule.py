from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import LightningModule, Trainer
from omegaconf import OmegaConf

import maskvid
from maskvid.data import MaskVidDataModule
from maskvid.data.windows import EncodedClip, TrainingWindows
from maskvid.errors import UserError
from maskvid.masks.perturb import sliding_box
from maskvid.settings import Data
from tests.data.tiny import AverageEncoder, write_triple

CONF = f"{maskvid.__path__[0]}/../conf"


@pytest.fixture
def make(tmp_path):
    """Make a data module over three training clips and two validation sets; ready unless `encoder=None`."""
    for name in ("a", "b", "c"):
        write_triple(tmp_path / "train", name)
    for name in ("d", "e", "f"):
        write_triple(tmp_path / "horse", name)
    write_triple(tmp_path / "unseen", "g")

    def build(encoder: AverageEncoder | None = None, ready: bool = True, **changes) -> MaskVidDataModule:
        arguments = {
            "train": str(tmp_path / "train"),
            "validation": {"horse": str(tmp_path / "horse"), "unseen": str(tmp_path / "unseen")},
            "height": 16,
            "width": 24,
            "num_frames": 4,
            "fps": 4,
            "batch_size": 2,
            "prompt_dropout": 0.0,
            "zoom": 0.0,
            "cache_dir": str(tmp_path / "cache"),
            "seed": 5,
        }
        module = MaskVidDataModule(Data(**{**arguments, **changes}))
        if ready:
            module.attach(encoder or AverageEncoder()).setup("fit")
        return module

    return build


def batches(module, count):
    return list(islice(module.train_dataloader(), count))


def same(left, right):
    return left.ids == right.ids and all(
        torch.equal(getattr(left, name), getattr(right, name)) for name in ("latents", "masks", "text", "subject")
    )


def ranked(module, rank, world_size, step=0, accumulate=1):
    module.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        global_step=step,
        accumulate_grad_batches=accumulate,
        strategy=SimpleNamespace(barrier=lambda name: None),
    )
    return module


def test_training_batches(make):
    for batch in batches(make(), 6):
        assert len(batch) == 2
        assert batch.latents.shape == (2, 4, 3, 4, 6)
        assert batch.masks.shape == (2, 4, 1, 16, 24)
        assert batch.frames is None
        assert batch.text.shape == (2, 8, 6)
        assert batch.subject.shape == (2, 8)
        assert batch.pooled.shape == (2, 6)
        assert 0 <= batch.masks.min() < batch.masks.max() <= 1
        assert -1 <= batch.latents.min() < batch.latents.max() <= 1
        assert batch.prompts == [f"a square wanders, {name}" for name in batch.ids]
        assert batch.subject[:, :3].tolist() == [[1, 1, 0]] * 2  # "a square" of "a square wanders"


def test_masks_fit_their_latents(make):
    # the square is far brighter than its ground, so the mean latent separates foreground from background
    data = make(flip=True)
    for batch in [*batches(data, 12), *data.val_dataloader()[0]]:
        inside = torch.nn.functional.avg_pool2d(batch.masks.flatten(0, 1), 4).flatten() > 0.9
        brightness = batch.latents.flatten(0, 1).mean(1).flatten()
        assert brightness[inside].mean() > brightness[~inside].mean() + 0.5


def test_windows_start_everywhere_and_clips_are_all_shown(make):
    drawn = batches(make(batch_size=1), 60)
    starts = {round(float((batch.masks[0, 0, 0].sum(0) > 0).nonzero().min())) for batch in drawn}
    assert len(starts) == 4  # 10 frames hold windows of 7 at 0..3
    assert {batch.ids[0] for batch in drawn} == {"a", "b", "c"}


def test_validation_batches_are_the_first_windows_of_every_set(make):
    horse, unseen = make().val_dataloader()
    assert [batch.ids for batch in horse] == [["d"], ["e"], ["f"]]
    (batch,) = unseen
    assert batch.ids == ["g"]
    assert batch.frames.shape == (1, 4, 3, 16, 24)
    assert batch.latents.shape == (1, 4, 3, 4, 6)
    assert -1 <= batch.frames.min() < -0.5 < 0.5 < batch.frames.max() <= 1
    torch.testing.assert_close(batch.latents[0], torch.nn.functional.avg_pool2d(batch.frames[0], 4))
    assert all(len(batch) == 1 for batch in make().val_dataloader()[0])
    assert [len(loader) for loader in make(limit_validation=2).val_dataloader()] == [2, 1]


def test_the_same_seed_draws_the_same_and_another_does_not(make):
    one, two, other = batches(make(), 8), batches(make(), 8), batches(make(seed=6), 8)
    assert all(map(same, one, two))
    assert not all(map(same, one, other))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resume_goes_on_where_the_run_was(make, num_workers):
    unbroken = batches(make(), 12)
    resumed = ranked(make(num_workers=num_workers), 0, 1, step=3, accumulate=2)
    assert all(map(same, batches(resumed, 6), unbroken[6:]))


def test_resume_with_another_batch_size_repeats_nothing(make):
    before = ranked(make(batch_size=2), 0, 1, step=3)
    state = before.state_dict()
    after = ranked(make(batch_size=3), 0, 1, step=3)
    after.load_state_dict(state)
    assert after.position == 6
    after.trainer.global_step = 5
    assert after.position == 6 + 2 * 3


def test_two_ranks_draw_what_one_process_draws(make):
    one = batches(make(batch_size=4), 5)
    ranks = [batches(ranked(make(batch_size=2), rank, 2), 5) for rank in range(2)]
    for whole, left, right in zip(one, *ranks, strict=True):
        assert whole.ids[0::2] == left.ids
        assert whole.ids[1::2] == right.ids
        assert torch.equal(whole.latents[0::2], left.latents)
        assert torch.equal(whole.latents[1::2], right.latents)


def test_validation_is_sharded_without_repeats(make):
    shares = []
    for rank in range(2):
        module = ranked(make(ready=False), rank, 2).attach(AverageEncoder())
        module.setup("validate")
        shares.append([[batch.ids[0] for batch in loader] for loader in module.val_dataloader()])
    assert shares == [[["d", "f"], ["g"]], [["e"], []]]


def test_dropped_prompts_are_the_empty_prompt_as_the_encoder_gives_it(make):
    drawn = batches(make(prompt_dropout=0.5), 40)
    rows = [(batch, row) for batch in drawn for row in range(2)]
    dropped = [(batch, row) for batch, row in rows if batch.prompts[row] == ""]
    assert 20 < len(dropped) < 60
    for batch, row in dropped:
        assert not batch.text[row].any()
        assert batch.subject[row].all()  # as a whole, like every prompt without brackets
    plain = batches(make(), 40)
    assert all(torch.equal(left.latents, right.latents) for left, right in zip(drawn, plain, strict=True))


def test_a_subject_that_the_tokenizer_does_not_reach_is_a_rejected_clip(make, tmp_path):
    long = "one two three four five six seven eight [a square]"
    write_triple(tmp_path / "train", "long", text=long)
    with pytest.raises(UserError, match=r"(?s)1 clips rejected.*train/long.*'a square' lies beyond"):
        make()
    with pytest.warns(UserWarning, match="train/long"):
        module = make(on_reject="skip")
    assert [clip.triple.id for clip in module.clips["train"]] == ["a", "b", "c"]


def test_some_windows_show_boxes_and_nothing_else_changes():
    masks = np.zeros((8, 16, 24), np.uint8)
    masks[:, 4:8, 2] = masks[:, 4, 2:9] = 255  # an L, which is not its own box
    text = {"text": torch.ones(4, 3), "subject": torch.ones(4)}
    clip = EncodedClip("a", ["a fox"], masks, np.arange(8) / 8, [text], torch.randn(8, 4, 4, 6))
    common = {"num_frames": 4, "fps": 4, "seed": 5, "prompt_dropout": 0.3, "empty_text": text}
    plain, boxed = (TrainingWindows([clip], box_masks=share, **common) for share in (0.0, 0.5))
    count = 0
    for position in range(100):
        left, right = plain[position], boxed[position]
        assert torch.equal(left.latents, right.latents)
        assert left.prompts == right.prompts
        if not torch.equal(left.masks, right.masks):
            count += 1
            assert torch.equal(right.masks[0], sliding_box(left.masks[0]))
    assert 30 < count < 70


def test_the_stage_of_rough_masks_sees_the_same_windows_with_imprecise_masks(make):
    module = make()
    plain = batches(module, 20)
    drawn, again = batches(module.roughened(), 20), batches(module.roughened(), 20)
    changed = 0
    for left, right, same in zip(plain, drawn, again, strict=True):
        assert torch.equal(left.latents, right.latents)
        assert left.prompts == right.prompts
        assert left.roughness is None
        assert right.roughness.shape == (2,)
        assert torch.equal(right.roughness, same.roughness)
        assert torch.equal(right.masks, same.masks)
        changed += sum(not torch.equal(left.masks[row], right.masks[row]) for row in range(2))
    assert changed > 25  # a shift that rounds to nothing changes nothing, nor does a box around a square
    assert torch.equal(batches(module, 1)[0].masks, plain[0].masks)


def test_each_window_knows_its_position_of_which_its_noise_is_a_function(make):
    assert [position for batch in batches(make(), 5) for position in batch.positions] == list(range(10))


def test_fewer_training_clips_are_the_first_ones(make):
    few = {name for batch in batches(make(limit_training=1), 10) for name in batch.ids}
    assert len(few) == 1
    assert len({name for batch in batches(make(), 10) for name in batch.ids}) > 1


def test_flips_mirror_masks_and_latents_together(make):
    plain, flipped = batches(make(), 20), batches(make(flip=True), 20)
    mirrored = 0
    for left, right in zip(plain, flipped, strict=True):
        for row in range(2):
            if not torch.equal(left.masks[row], right.masks[row]):
                mirrored += 1
                torch.testing.assert_close(left.masks[row].flip(-1), right.masks[row])
                torch.testing.assert_close(left.latents[row].flip(-1), right.latents[row])
    assert 8 < mirrored < 32


def test_a_second_run_encodes_nothing(make):
    first, second = AverageEncoder(), AverageEncoder()
    make(first)
    make(second)
    assert (first.frames_encoded, first.prompts_encoded) == (70, 8)  # 7 clips; their prompts and the empty one
    assert (second.frames_encoded, second.prompts_encoded) == (0, 0)


def test_dry_run_prints_and_encodes_nothing(make, tmp_path, capsys):
    write_triple(tmp_path / "train", "bad", text=None)
    module = make(ready=False, dry_run=True)
    report = module.dry_run()
    assert report.num_rejected == 1
    assert "no caption" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
    with pytest.raises(UserError, match="dry_run=true"):
        module.attach(AverageEncoder()).setup("fit")


def test_rejected_clips_stop_or_are_skipped_aloud(make, tmp_path):
    write_triple(tmp_path / "train", "bad", text=None)
    with pytest.raises(UserError, match=r"(?s)train/bad.*no caption"):
        make()
    with pytest.warns(UserWarning, match="train/bad"):
        module = make(on_reject="skip")
    assert [clip.triple.id for clip in module.clips["train"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"prompt_dropout": 1.5},
        {"box_masks": -0.1},
        {"zoom": 1.5},
        {"limit_training": 0},
        {"num_workers": -1},
        {"seed": -1},
        {"limit_validation": 0},
    ],
)
def test_arguments_out_of_range(make, change):
    with pytest.raises(UserError, match=f"data.{next(iter(change))}="):
        make(ready=False, **change)


def test_what_is_missing_is_named(make):
    with pytest.raises(UserError, match="attach"):
        make(ready=False).setup("fit")
    with pytest.raises(UserError, match="data.train is not set"):
        make(train=None).train_dataloader()


class Recorder(LightningModule):
    """The smallest module that trains and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[list[str]] = []
        self.validated: list[tuple[int, str]] = []

    def training_step(self, batch, index):
        self.seen.append(batch.ids + [f"{batch.latents.sum():.6f}"])
        return (self.scale * batch.latents).square().mean()

    def validation_step(self, batch, index, dataloader_idx=0):
        self.validated.append((dataloader_idx, batch.ids[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def fit(make, folder, max_steps, checkpoint=None):
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu", max_steps=max_steps, accumulate_grad_batches=2, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, val_check_interval=4,
        check_val_every_n_epoch=None, num_sanity_val_steps=0, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(recorder, datamodule=make(ready=False).attach(AverageEncoder()), ckpt_path=checkpoint)
    return trainer, recorder


def test_a_resumed_fit_sees_what_an_unbroken_fit_sees(make, tmp_path):
    _, unbroken = fit(make, tmp_path, 5)
    trainer, first = fit(make, tmp_path, 2)
    trainer.save_checkpoint(tmp_path / "at2.ckpt")
    _, second = fit(make, tmp_path, 5, tmp_path / "at2.ckpt")
    assert len(unbroken.seen) == 10
    assert first.seen + second.seen == unbroken.seen
    assert set(unbroken.validated) == {(0, "d"), (0, "e"), (0, "f"), (1, "g")}


@pytest.mark.parametrize("name", ["folder", "horse"])
def test_configuration_files_make_the_module(name):
    with initialize_config_dir(CONF if CONF.startswith("/") else f"/{CONF}", version_base="1.3"):
        changes = ["+seed=3", "data.train=somewhere"] if name == "folder" else ["+seed=3"]
        config = compose(overrides=[f"+data={name}", "+backbone=mini", *changes])
    module = MaskVidDataModule(Data(**OmegaConf.to_container(config.data, resolve=True)))
    assert module.settings.seed == 3
    assert module.validation_names == ([] if name == "folder" else ["horse", "unseen", "motion"])
