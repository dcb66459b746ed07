"""`python -m maskvid.prepare videos=FOLDER out=FOLDER subject="the horse"`: raw clips to triples, and a page."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("prepare")  # before the imports below, which take seconds

import warnings
from dataclasses import fields
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from maskvid.config import CONF, register
from maskvid.devices import device_of
from maskvid.entry import check_config, entry_point, run
from maskvid.errors import UserError
from maskvid.footage.finders import ABOUT
from maskvid.footage.making import Outcome, prepare
from maskvid.preparation import Preparation
from maskvid.printing import print_whole

register()
MOST = 30  # rejected windows that are named on the console


def run_prepare(config: DictConfig) -> Outcome:
    """Prepare what is asked for, and print what came of it.

    Raises:
        UserError: See `maskvid.footage.making.prepare`; or no window is good.
    """
    check_config(config, "prepare videos=FOLDER out=FOLDER subject='the horse'.")
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    wanted = Preparation(**{entry.name: plain[entry.name] for entry in fields(Preparation)})
    device = device_of(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    if wanted.foreground == "embedded" and not config.dry_run:
        warnings.warn(ABOUT["embedded"], stacklevel=2)
    stopping.remedy = "What is finished is kept: the same command goes on."
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        outcome = prepare(
            wanted, config.videos, config.out, overwrite=config.overwrite, dry_run=config.dry_run, device=device,
            bar=bar,
        )  # fmt: skip
    _print(outcome, config)
    if not config.dry_run and not outcome.verdicts:
        raise UserError(
            f"num_frames={config.num_frames} fps={config.fps:g}: no shot of any clip is as long as such a window, "
            f"{config.num_frames / config.fps:.3g} s; what is left over is listed above. Ask for fewer frames."
        )
    if not config.dry_run and not outcome.accepted:
        raise UserError(
            f"out={config.out}: no window was accepted; the reasons are above and on {_page(config)}, where a person "
            "may accept one all the same."
        )
    return outcome


def _page(config: DictConfig) -> Path:
    return Path(config.out, "index.html").resolve()


def _print(outcome: Outcome, config: DictConfig) -> None:
    """A table of the clips, and the reasons against windows; names and captions are texts, which may hold brackets."""
    console = Console(soft_wrap=True, highlight=False)
    table = Table("clip", "size", "seconds", "shots", "windows")
    for clip in outcome.clips:
        size, plan = f"{clip.columns}x{clip.rows}", clip.plan
        table.add_row(Text(clip.label), size, f"{plan.seconds:.1f}", str(plan.shots), str(len(plan.spans)))
    print_whole(table, console)
    for clip in outcome.clips:
        for line in clip.plan.left_over:
            console.print(f"left over: {clip.label}: {line}", markup=False)
    for line in outcome.not_read:
        console.print(f"not read: {line}", style="red", markup=False)
    for name in outcome.unknown:
        console.print(f"verdicts.json: no window is named {name}", style="red", markup=False)
    if config.dry_run:
        for clip in outcome.clips:
            for span in clip.plan.spans:
                console.print(f"{clip.window(span)}: from {span.start:.2f} s", markup=False)
        return
    rejected = [verdict for verdict in outcome.verdicts if not verdict.accepted]
    for verdict in rejected[:MOST]:
        said = "a person" if verdict.by_person else "; ".join(verdict.reasons)
        console.print(f"rejected: {verdict.record.name}: {said}", markup=False)
    if len(rejected) > MOST:
        console.print(f"rejected: {len(rejected) - MOST} more, see the page")
    console.print(f"accepted: {outcome.accepted} of {len(outcome.verdicts)} windows", markup=False)
    console.print(f"page: {_page(config)}", markup=False)


@hydra.main(version_base="1.3", config_path=CONF, config_name="prepare")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    run_prepare(config)


if __name__ == "__main__":
    run(main)
