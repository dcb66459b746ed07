"""A small LightningModule with a frozen part, for tests of callbacks."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from maskvid.callbacks.checkpoint_io import AtomicCheckpointIO
from maskvid.clip import Sample
from tests.metrics.judges import clip


class TinyModule(LightningModule):
    """One trained layer on a frozen one; validation returns the samples it is told to."""

    def __init__(self, samples: dict[int, list[Sample]] | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.trained = nn.Linear(3, 1)
        self.samples = samples or {}
        self.seen_in_validation: list[torch.Tensor] = []
        self.history: list[torch.Tensor] = []

    def training_step(self, batch, batch_idx):
        return self.trained(self.frozen(batch)).pow(2).mean()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.history.append(self.trained.weight.detach().clone())

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.seen_in_validation.append(self.trained.weight.detach().clone())
        return self.samples.get(batch_idx)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.trained.parameters(), lr=0.05)


def batches(count: int = 64) -> DataLoader:
    return DataLoader(torch.randn(count, 3, generator=torch.Generator().manual_seed(1)), batch_size=1)


def sample(index: int, set_name: str = "heldout", *, known: bool = False) -> Sample:
    frames, masks, prompt = clip(index)
    return Sample(set_name, f"clip-{index}", prompt, frames, masks, frames.flip(0) if known else None)


def trainer(folder, callbacks, **options) -> Trainer:
    defaults = {
        "logger": False,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any("Checkpoint" in type(callback).__name__ for callback in callbacks),
        "num_sanity_val_steps": 0,
        "plugins": [AtomicCheckpointIO()],
        "default_root_dir": str(folder),
        "callbacks": callbacks,
    }
    return Trainer(**(defaults | options))
