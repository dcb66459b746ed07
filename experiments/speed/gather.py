"""Scores and costs of the runs in a folder as one table: `python -m experiments.speed.gather RUNS TABLE.csv`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from experiments.study import HEADLINES, Row, write_rows


def main() -> None:
    runs, table = map(Path, sys.argv[1:])
    rows: list[Row] = []
    for scores in sorted(runs.glob("*/metrics.json")):
        metrics, cost = json.loads(scores.read_text()), json.loads((scores.parent / "cost.json").read_text())
        shown = {key: round(value, 4) for key, value in metrics.items() if key.partition("/")[2] in HEADLINES}
        rows.append({"run": scores.parent.name, **shown, **cost})
    write_rows(table, rows)
    print(table.read_text())


if __name__ == "__main__":
    main()
