"""The table of mutants is kept up, and says so where it is not; the mutants themselves run apart from the suite."""

import ast
import json

import pytest

from tests.mutants import ROOT, fault, mutate
from tests.ruined import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_table_names_text_and_tests_that_exist(mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert mutant.tests
    for test in mutant.tests:
        file, _, function = test.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("text", ["x = 1\n", "x = 2\nx = 2\n"])
def test_a_text_that_does_not_occur_once_is_an_error_with_a_sentence(tmp_path, text):
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(SystemExit, match=r"some_name: 'x = 2' occurs \d times in code.py, not once"):
        mutate(tmp_path, Mutant("some_name", "code.py", "x = 2", "x = 3", ("test_a.py::test_b",)))
    assert (tmp_path / "code.py").read_text() == text


@pytest.mark.parametrize(
    ("status", "failed", "why"),
    [
        (0, {}, "survived a.py::test_b"),
        (1, {"a.py::test_c": True}, "survived a.py::test_b"),
        (1, {"a.py::test_b": False}, "failed by an error"),
        (2, {"a.py::test_b": True}, "ended with status 2"),
        (1, {"a.py::test_b": True}, None),
    ],
)
def test_only_an_assertion_in_the_named_test_counts(tmp_path, status, failed, why):
    (tmp_path / "failed.json").write_text(json.dumps(failed))
    found = fault(Mutant("some_name", "code.py", "x = 2", "x = 3", ("a.py::test_b",)), tmp_path, status)
    assert found is None if why is None else why in found
