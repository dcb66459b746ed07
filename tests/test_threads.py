"""Threads that wait give their core away, unless somebody says otherwise."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("said", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_openmp_is_told_before_pytorch_is_loaded(said, wanted):
    known = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told = known | ({} if said is None else {"OMP_WAIT_POLICY": said})
    code = "import sys, os, maskvid; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    assert out.stdout.split() == [wanted, "False"]
