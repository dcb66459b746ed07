"""Threads that wait spin but a moment, unless somebody says otherwise."""

import os
import subprocess
import sys

import pytest

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [({}, "None 1000"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "PASSIVE None"), ({"GOMP_SPINCOUNT": "7"}, "None 7")],
)
def test_openmp_is_told_before_pytorch_is_loaded(said, wanted):
    known = {name: value for name, value in os.environ.items() if name not in NAMES}
    code = f"import sys, os, maskvid; print(*map(os.environ.get, {NAMES}), 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], env=known | said, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == f"{wanted} False"
