import pytest
import torch

from maskvid.callbacks.ema import EMA, averaged
from maskvid.callbacks.last_checkpoint import LastCheckpoint
from maskvid.errors import UserError
from tests.callbacks.tiny import TinyModule, batches, trainer


def test_average_against_the_recurrence_and_only_of_the_trained(tmp_path):
    ema, module = EMA(decay=0.8, warmup=4), TinyModule()
    want = module.trained.weight.detach().clone()
    trainer(tmp_path, [ema], max_steps=6).fit(module, batches())
    for step, weight in enumerate(module.history):
        decay = min(0.8, (1 + step) / (4 + step))
        want = decay * want + (1 - decay) * weight
    torch.testing.assert_close(ema.state_dict()["average"]["trained.weight"], want)
    assert set(ema.state_dict()["average"]) == {"trained.weight", "trained.bias"}
    assert ema.updates == 6


def test_one_update_per_optimiser_step_under_accumulation(tmp_path):
    ema = EMA()
    trainer(tmp_path, [ema], max_steps=3, accumulate_grad_batches=4).fit(TinyModule(), batches())
    assert ema.updates == 3


def test_validation_sees_the_average_and_training_goes_on_without_it(tmp_path):
    plain, module, ema = TinyModule(), TinyModule(), EMA(decay=0.5, warmup=1)
    options = {"max_steps": 6, "val_check_interval": 3, "limit_val_batches": 1}
    trainer(tmp_path, [], **options).fit(plain, batches(), batches())
    trainer(tmp_path, [ema], **options).fit(module, batches(), batches())
    assert torch.equal(plain.trained.weight, module.trained.weight)  # training was not touched
    assert torch.equal(plain.seen_in_validation[0], module.history[2])
    assert torch.equal(module.seen_in_validation[1], ema.state_dict()["average"]["trained.weight"])
    assert not torch.equal(module.seen_in_validation[1], plain.seen_in_validation[1])


def test_applied_is_exact_nests_and_survives_errors(tmp_path):
    ema, module = EMA(decay=0.5), TinyModule()
    runner = trainer(tmp_path, [ema], max_steps=4)
    with ema.applied(module):  # nothing averaged yet
        pass
    runner.fit(module, batches())
    before = module.trained.weight.detach().clone()

    def inside() -> None:
        with averaged(runner, module), ema.applied(module):
            assert torch.equal(module.trained.weight, ema.state_dict()["average"]["trained.weight"])
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        inside()
    assert torch.equal(module.trained.weight, before)
    with averaged(trainer(tmp_path, []), module):
        assert torch.equal(module.trained.weight, before)


def test_resume_is_exact_bit_for_bit(tmp_path):
    def run(folder, steps, resume=None):
        ema, module = EMA(decay=0.9, warmup=3), TinyModule()
        checkpoint = LastCheckpoint(dirpath=folder, every_n_train_steps=100)
        # one batch repeated, so that the position in the data does not matter here
        runner = trainer(folder, [ema, checkpoint], max_steps=steps, overfit_batches=1)
        runner.fit(module, batches(1), ckpt_path=resume)
        return ema.state_dict(), module.state_dict()

    whole, weights = run(tmp_path / "whole", 9)
    run(tmp_path / "cut", 5)
    resumed, resumed_weights = run(tmp_path / "cut", 9, tmp_path / "cut" / "last.ckpt")
    assert resumed["updates"] == whole["updates"] == 9
    for name, value in whole["average"].items():
        assert torch.equal(resumed["average"][name], value)
    for name, value in weights.items():
        assert torch.equal(resumed_weights[name], value)


def test_a_checkpoint_taken_within_validation_holds_training_weights(tmp_path):
    ema, module = EMA(decay=0.5, warmup=1), TinyModule()
    saved = {}

    class SaveInside(TinyModule):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            self.trainer.save_checkpoint(tmp_path / "inside.ckpt")
            saved["average"] = self.trained.weight.detach().clone()

    module = SaveInside()
    trainer(tmp_path, [ema], max_steps=3, val_check_interval=3, limit_val_batches=1).fit(module, batches(3), batches())
    checkpoint = torch.load(tmp_path / "inside.ckpt")
    assert torch.equal(checkpoint["state_dict"]["trained.weight"], module.history[2])
    assert not torch.equal(saved["average"], module.history[2])


def test_a_failing_validation_restores_the_weights(tmp_path):
    class Fails(TinyModule):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            raise RuntimeError("no memory")

    module = Fails()
    with pytest.raises(RuntimeError, match="no memory"):
        trainer(tmp_path, [EMA(decay=0.5, warmup=1)], max_steps=3, val_check_interval=3).fit(
            module, batches(), batches()
        )
    assert torch.equal(module.trained.weight, module.history[2])


def test_refusals(tmp_path):
    with pytest.raises(UserError, match=r"ema.decay=1"):
        EMA(decay=1)
    with pytest.raises(UserError, match=r"ema.warmup=0"):
        EMA(warmup=0)
    ema = EMA()
    ema.load_state_dict({"average": {"other": torch.zeros(2)}, "updates": 1})
    with pytest.raises(UserError, match="first other"):
        ema.start(TinyModule())
