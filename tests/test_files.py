import ast
import json
import math
from pathlib import Path

import numpy as np
import pytest

import maskvid
from maskvid.callbacks.metrics_table import write_metrics
from maskvid.files import file_name, json_text

ROOT = Path(maskvid.__file__).parent


def strict(text: str):
    """Read JSON as readers in other languages do."""
    return json.loads(text, parse_constant=pytest.fail)


def test_what_json_has_no_number_for_is_null_at_every_depth():
    content = {"a": math.inf, "b": [-math.inf, 1.5, (math.nan,)], "c": {"d": np.float64("nan"), "e": True, "f": "inf"}}
    want = {"a": None, "b": [None, 1.5, [None]], "c": {"d": None, "e": True, "f": "inf"}}
    assert strict(json_text(content)) == want
    assert json_text(content, indent=None).count("\n") == 1


def test_files_of_figures_are_json_and_tables_say_inf(tmp_path):
    row = {"set": "a", "clip": "one", "seed": 0, "prompt": "", "frames": 2, "background_psnr": math.inf}
    write_metrics(tmp_path, {"a/background_psnr": math.inf, "a/mask_iou": 0.5}, [row])
    assert strict((tmp_path / "metrics.json").read_text()) == {"a/background_psnr": None, "a/mask_iou": 0.5}
    assert (tmp_path / "metrics_per_clip.csv").read_text().splitlines()[1].endswith(",inf")


def test_all_json_is_written_by_one_function():
    writers = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.dump", "json.dumps")
    }
    assert writers == {
        "files.py",
        "data/cache.py",
        "json_reading.py",
        "model/adapter.py",
        "model/fingerprint.py",
    }  # these digest or check it, and write no file


def test_file_names_stay_apart():
    assert file_name("horse-01") == "horse-01"
    assert "/" not in file_name("a/b")
    assert file_name("a/b") != file_name("a b")
    assert file_name("..") not in ("..", ".", "")
