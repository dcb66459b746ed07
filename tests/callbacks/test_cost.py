"""What a training costs is its own."""

import subprocess
import sys

MEASURE = "from maskvid.callbacks.cost import peak_memory_mb; print(peak_memory_mb())"
START = (
    f"held = bytearray(2**31); import subprocess, sys; subprocess.run([sys.executable, '-c', {MEASURE!r}], check=True)"
)


def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    found = subprocess.run([sys.executable, "-c", START], check=True, capture_output=True, text=True)
    assert 50 < float(found.stdout) < 2000
