"""Changes that ruin the method, each of which a test must see: `python -m tests.mutants [name ...]`.

Each mutant is one change of one text in a copy of the checkout; the tests named beside it must then fail, every one of
them, by an assertion. They must pass without it. A test that nothing can fail is found out here, and so is a table that
was not kept up: its text must occur exactly once.

Libraries take most of the time, so they are imported once and each mutant runs in a fork that has them already.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.ruined import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("maskvid", "conf", "tests", "pyproject.toml")
AT_ONCE = 2


def mutate(root: Path, mutant: Mutant) -> None:
    """Apply a change to a copy of the checkout.

    Raises:
        SystemExit: The text to change does not occur exactly once.
    """
    path = root / mutant.file
    text = path.read_text() if path.is_file() else ""
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.name}: {mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.file}, not once; "
            "write into the table of tests/ruined.py what the code is now."
        )
    path.write_text(text.replace(mutant.old, mutant.new))


def copy_checkout(folder: Path) -> Path:
    """A copy of what tests need; assets, which are large and never changed, are linked."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "assets"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "maskvid" / "assets").symlink_to(ROOT / "maskvid" / "assets")
    return folder


class Witness:
    """A pytest plugin that remembers which tests failed, and whether by an assertion."""

    def __init__(self) -> None:
        self.failed: dict[str, bool] = {}

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Called by pytest after setup, call and teardown of each test."""
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            function = item.nodeid.partition("[")[0].removeprefix("tests/")
            asserted = call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
            self.failed[function] = call.when == "call" and asserted and self.failed.get(function, True)


def run_tests(folder: Path, tests: Sequence[str]) -> None:
    """Run tests on a copy, in a forked process that ends with pytest's status; `failed.json` says what failed."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
    import maskvid

    if Path(maskvid.__file__).parent != folder / "maskvid":
        raise SystemExit(f"{maskvid.__file__} is imported in place of the copy in {folder}")
    witness = Witness()
    options = ["-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}"]
    status = pytest.main([*options, *(f"tests/{test}" for test in tests)], plugins=[witness])
    (folder / "failed.json").write_text(json.dumps(witness.failed))
    sys.exit(int(status))


def preload() -> None:
    """Import all that tests import, then forget what the copies have of their own."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # as many processes as cores already
    import tests.test_module  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] in ("maskvid", "tests")]:
        del sys.modules[name]


def run_all(jobs: dict[str, tuple[Path, Sequence[str]]]) -> dict[str, int | None]:
    """Run jobs, a copy and its tests by name, a few at once; each one's exit status."""
    context = multiprocessing.get_context("fork")
    waiting, running = dict(jobs), dict[Any, Any]()
    status: dict[str, int | None] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name = next(iter(waiting))
            process = context.Process(target=run_tests, args=waiting.pop(name))
            process.start()
            running[process.sentinel] = (name, process)
        for sentinel in wait(list(running)):
            name, process = running.pop(sentinel)
            process.join()
            status[name] = process.exitcode
    return status


def fault(mutant: Mutant, folder: Path, status: int | None) -> str | None:
    """Why a mutant does not count as seen; None where all its tests saw it."""
    if status not in (0, 1):
        return f"pytest ended with status {status}, not by a failed test: see {folder / 'log.txt'}"
    failed = json.loads((folder / "failed.json").read_text())
    blind = [test for test in mutant.tests if test not in failed]
    if blind:
        return f"survived {', '.join(blind)}"
    broken = [test for test in mutant.tests if not failed[test]]
    return f"failed by an error, not by an assertion: {', '.join(broken)}" if broken else None


def main(names: Sequence[str]) -> int:
    """Run the mutants of these names, or all; 1 where one of them survives."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no mutant {unknown[0]!r}: choose of {', '.join(known)}.")
    chosen = [known[name] for name in names] or list(MUTANTS)
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    as_it_is = "(as it is)"
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    jobs: dict[str, tuple[Path, Sequence[str]]] = {as_it_is: (copy_checkout(folder / "as_it_is"), tests)}
    for mutant in chosen:
        copy = copy_checkout(folder / mutant.name)
        mutate(copy, mutant)
        jobs[mutant.name] = (copy, mutant.tests)
    preload()
    status = run_all(jobs)
    faults = {mutant.name: fault(mutant, jobs[mutant.name][0], status[mutant.name]) for mutant in chosen}
    if status[as_it_is] != 0:
        faults[as_it_is] = f"its tests do not pass: see {jobs[as_it_is][0] / 'log.txt'}"
    table = Table("mutant", "seen by", box=None)
    for mutant in chosen:
        seen = "\n".join(test.partition("::")[2] for test in mutant.tests)
        table.add_row(mutant.name, seen if faults[mutant.name] is None else "[bold red]nothing[/]")
    console = Console(width=160, soft_wrap=True)
    console.print(table)
    for name, reason in faults.items():
        if reason is not None:
            console.print(f"[bold red]{name}[/]: {reason}", highlight=False)
    if any(faults.values()):
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
