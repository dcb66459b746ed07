"""What a spawned rank runs; not in a test file, so that a spawned process can import it."""

from lightning.pytorch.plugins.environments import LightningEnvironment

from maskvid.callbacks.metrics_table import MetricsCallback
from maskvid.callbacks.video_logger import VideoLogger
from tests.callbacks.tiny import TinyModule, batches, sample, trainer
from tests.metrics.judges import TinyEncoders


class Rank(LightningEnvironment):
    """This process is one rank of a group that the test has spawned."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    creates_processes_externally = True

    def local_rank(self) -> int:
        return self.rank


def validate_shard(rank: int, world: int, folder: str) -> None:
    """Validate with three clips on rank 0, of two sets, and one on rank 1."""
    mine = [{0: [sample(2), sample(0)], 1: [sample(3, "train")]}, {0: [sample(1)]}][rank]
    runner = trainer(
        folder,
        [MetricsCallback(encoders=TinyEncoders()), VideoLogger(scale=1)],
        strategy="ddp",
        devices=world,
        plugins=[Rank(rank)],
        limit_val_batches=2,
    )
    runner.validate(TinyModule(mine), batches(), verbose=False)
