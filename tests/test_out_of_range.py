"""Requests out of range that the one table of ranges decides, for every program: refused, and the key is named.

`experiments/robustness` throws all of `tests/out_of_range.py` at the programs, as users run them.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from maskvid.bounds import ARGUMENTS, PRETRAINING
from maskvid.config import CONF, register
from maskvid.entry import check_config, mistake, quote_values
from tests.out_of_range import Paths, good_requests, requests

PATHS = Paths(*(Path(f"/tmp/{name}") for name in ("run", "clips", "backbone", "videos", "scores", "new")))
VALUES = {"0", "-1", "-5", "1.5", "nan", "inf", "abc", "1e9", "1000000000", "99999999999999999999", "maybe", "''"}
LATER = {"run", "prompt", "backbone.path", "backbone.dtype", "trainer.devices", "data.train", "+scheduler.solver_order"}
"""Keys that are looked at behind the table, by what they name."""


def composed(program: str, arguments: list[str]):
    register()
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose(program, overrides=quote_values(arguments))


def answer(program: str, arguments: list[str]) -> str | None:
    """What a program says to its arguments before any work, or None."""
    try:
        check_config(composed(program, arguments), "usage", others=PRETRAINING if program == "pretrain" else {})
    except Exception as error:
        return mistake(error)
    return None


def test_what_works_passes():
    for name, (program, arguments, _) in good_requests(PATHS).items():
        assert answer(program, list(arguments)) is None, name


@pytest.mark.parametrize(
    "program",
    ["generate", "edit", "evaluate", "train", "prepare", "draw", "report", "export", "dashboard", "pretrain"],
)
def test_every_key_is_refused_by_its_name(program):
    mine = []
    for _, other, arguments in requests(PATHS):
        key, _, value = arguments[-1].partition("=")
        if other == program and value in VALUES and key not in LATER:
            mine.append((key.lstrip("+"), arguments))
    assert mine
    for key, arguments in islice(mine, 1, None, 3):
        said = answer(program, arguments)
        assert said is not None, arguments[-1]
        assert key.rpartition(".")[2] in said, (arguments[-1], said)


def test_every_argument_of_the_table_exists():
    """A name that is misspelt would check nothing."""
    config = composed("train", ["+experiment=horse", "run_dir=/tmp/new"])
    nodes = [config.trainer, *(node for node in config.callbacks.values() if node)]
    given = {node["_target_"]: node for node in nodes}
    for target, arguments in ARGUMENTS.items():
        missing = set(arguments) - set(given[target]) - {"num_nodes"}  # which trainer=ddp has
        assert missing <= {"log_every", "refresh_rate"}, (target, missing)
    stages = composed("pretrain", [])
    names = {key for stage in stages.values() if hasattr(stage, "keys") for key in stage}
    names |= set(stages.vae.settings) | set(stages.corpora.backbone)
    assert set(PRETRAINING) <= names


def test_a_connection_that_is_not_another_processs_keeps_its_own_words():
    """A hub or a tracker that hangs up is no process of the run that stands still."""
    words = "Connection reset by peer"
    assert "another process of this run" in str(mistake(RuntimeError(f"[pair.cc:534] {words} [127.0.0.1]")))
    for error in (
        ConnectionResetError(104, words),
        ValueError(words),
        type("DistributionNotFound", (Exception,), {})(),
    ):
        assert mistake(error) is None


def test_a_run_that_does_not_fit_names_the_next_switch_that_is_not_on():
    error = torch.OutOfMemoryError("CUDA out of memory")
    assert "fewer frames, a smaller size" in str(mistake(error))
    with initialize_config_dir(CONF, version_base="1.3"):
        for given, named in (
            (["backbone=sd15", "method.unet.gradient_checkpointing=false"], "method.unet.gradient_checkpointing=true"),
            (["backbone=sd15", "backbone.dtype=float32"], "backbone.dtype=bfloat16"),
            (["backbone=sd15", "backbone.dtype=float16", "trainer.precision=32-true"], "trainer.precision=bf16-mixed"),
            (["backbone=sd15", "data.batch_size=3"], "data.batch_size=1"),
            (["backbone=sd15", "data.batch_size=1"], "ask for fewer frames, a smaller size"),
        ):
            config = compose("train", overrides=[*given, "data.train=x", "run_dir=y"])
            assert named in str(mistake(error, config)), given
        for dtype, named in (
            ("null", "dtype=bfloat16"), ("bfloat16", "dtype=float8"), ("float8", "ask for fewer frames, a smaller size")
        ):  # fmt: skip
            config = compose("generate", overrides=["run=x", "prompt=y", "masks=z", f"backbone.dtype={dtype}"])
            assert named in str(mistake(error, config)), dtype
