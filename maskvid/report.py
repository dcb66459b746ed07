"""`python -m maskvid.report runs=runs/sweeps/DAY/TIME`: tables, plots and a page of what a sweep found."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("report")  # before the imports below, which take seconds

from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from maskvid.config import CONF, register
from maskvid.entry import check_config, entry_point, run
from maskvid.errors import UserError
from maskvid.files import atomic_write, check_output
from maskvid.metrics.suite import METRICS
from maskvid.reporting.jobs import read_jobs
from maskvid.reporting.page import write_page
from maskvid.reporting.plots import draw
from maskvid.reporting.table import inline, markdown, summarise, write_csv

register()


def report(config: DictConfig) -> Path:
    """Write `report.csv`, `report.md`, `metrics.png`, `metrics.svg` and `index.html`.

    Returns:
        The folder they are in.
    """
    check_config(config, "report runs=runs/sweeps/DAY/TIME, or any folder with runs in it.")
    sweep = Path(config.runs)
    folder = sweep / "report" if config.out is None else Path(config.out)
    check_output(folder)
    jobs, without = read_jobs(sweep)
    summary = summarise(jobs)
    metrics = summary.metrics if config.columns is None else list(config.columns)
    unknown = [name for name in metrics if name not in summary.metrics]
    if unknown:
        known = ", ".join(summary.metrics)
        kind = "measured in this sweep" if all(name in METRICS for name in unknown) else "a metric"
        raise UserError(f"columns: {', '.join(unknown)} is not {kind}; choose from {known}.")
    write_csv(folder / "report.csv", summary)
    text = markdown(summary, metrics)
    if without:
        text += "\nJobs without scores:\n\n" + "\n".join(f"- {inline(line)}" for line in without) + "\n"
    with atomic_write(folder / "report.md") as path:
        path.write_text(text)
    picture = folder / "metrics.png" if config.plots else None
    if picture is not None:
        draw(summary, metrics, [picture, folder / "metrics.svg"])
    write_page(
        folder / "index.html", title=config.title or sweep.name, summary=summary, jobs=jobs, without=without,
        plot=picture, clips=config.clips,
    )  # fmt: skip
    return folder


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
@entry_point
def main(config: DictConfig) -> None:
    """Hydra's entry."""
    folder = report(config)
    console = Console(soft_wrap=True, highlight=False)
    console.print((folder / "report.md").read_text(), markup=False)
    console.print(f"page: {(folder / 'index.html').resolve()}")


if __name__ == "__main__":
    run(main)
