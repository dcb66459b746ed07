"""`python -m maskvid.dashboard entity=ME`: a W&B report over the project's runs, through W&B's public API."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("dashboard")  # before the imports below, which take seconds

from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig
from rich.console import Console

from maskvid.config import CONF, register
from maskvid.entry import check_config, entry_point, run
from maskvid.errors import UserError
from maskvid.metrics.conventions import CONVENTIONS

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Report

register()
ADHERENCE = ("mask_iou", "boundary_f")
APPEARANCE = ("text_alignment", "frame_consistency_all_pairs", "frame_consistency_adjacent")
MOTION = ("flow_magnitude", "warp_error")


def build(config: DictConfig) -> Report:
    """The report: what was trained, how well it follows masks and text, the videos, and what differs between runs.

    Nothing is sent before its `save` is called. Runs are grouped by sweep and by the settings named in `group_by`;
    each validation set has bars for every headline metric.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as wr
    except ImportError as error:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'maskvid[dashboard]'.") from error
    group_by = [f"config.{key}" for key in config.group_by]

    def grid(panels: list[Any]) -> Any:
        runs = wr.Runset(entity=config.entity, project=config.project, name="runs", groupby=group_by)
        return wr.PanelGrid(runsets=[runs], panels=panels)

    def bars(names: tuple[str, ...]) -> list[Any]:
        return [
            wr.BarPlot(
                title=f"{set_name}: {name.replace('_', ' ')}",
                metrics=[f"{set_name}/{name}"],
                groupby_aggfunc="mean",
                groupby_rangefunc="stddev",
                layout=wr.Layout(x=8 * (column % 3), y=6 * (column // 3), w=8, h=6),
            )
            for column, (set_name, name) in enumerate((s, n) for s in config.sets for n in names)
        ]

    videos = [
        wr.MediaBrowser(title=f"{set_name}: {clip}", media_keys=[f"{set_name}/{clip}/outlined"], num_columns=4)
        for set_name in config.sets
        for clip in config.clips
    ]
    blocks = [
        wr.H1("Does the foreground follow its masks?"),
        grid(bars(ADHERENCE)),
        wr.H1("Text and consistency"),
        grid(bars(APPEARANCE)),
        wr.H1("Motion: consistency rewards a frozen video"),
        grid(bars(MOTION)),
        wr.H1("Videos, the requested masks outlined"),
        grid(videos) if videos else wr.P("Name clips by clips=[...] to see them here."),
        wr.H1("Training"),
        grid([wr.LinePlot(title="loss", x="trainer/global_step", y=["train/loss"], smoothing_factor=0.9)]),
        wr.H1("What differs between runs"),
        grid([wr.RunComparer(diff_only=True)]),
        wr.H1("What the figures mean"),
        wr.UnorderedList([f"{name}: {CONVENTIONS[name]}" for name in (*ADHERENCE, *APPEARANCE, *MOTION)]),
    ]
    return wr.Report(
        entity=config.entity, project=config.project, title=config.title, blocks=blocks, width="fluid",
        description="Made by python -m maskvid.dashboard",
    )  # fmt: skip


@hydra.main(version_base="1.3", config_path=CONF, config_name="dashboard")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    check_config(config, "dashboard entity=YOUR_WANDB_NAME [project=maskvid].")
    report = build(config)
    try:
        report.save()
    except Exception as error:  # the client raises what it likes: no network, no login, no such project
        reason = " ".join(str(error).split())
        raise UserError(f"W&B did not take the report: {reason}; log in by `wandb login`.") from error
    Console(soft_wrap=True, highlight=False).print(f"dashboard: {report.url}")


if __name__ == "__main__":
    run(main)
