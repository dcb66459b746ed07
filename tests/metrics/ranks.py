"""Several ranks on one machine, for tests of reductions."""

import sys
import time
from collections.abc import Callable

import cv2
import torch
import torch.multiprocessing as mp


def run_ranks(function: Callable[..., None], world: int, folder: str, *args: object) -> None:
    """Run `function(rank, world, *args)` in `world` processes that form a gloo group; fail when one fails or hangs.

    On Linux the processes are forked, which spares each of them ten seconds of imports; that is safe here because they
    only compute forward, on one thread.
    """
    context = mp.start_processes(
        _rank,
        args=(function, world, folder, args),
        nprocs=world,
        join=False,
        start_method="fork" if sys.platform == "linux" else "spawn",
    )
    deadline = time.monotonic() + 120
    while not context.join(timeout=5):
        if time.monotonic() > deadline:
            for process in context.processes:
                process.kill()
            raise TimeoutError("a rank hangs: does every rank take part in every reduction?")


def _rank(rank: int, function: Callable[..., None], world: int, folder: str, args: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    function(rank, world, *args)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
