"""The demo as `make demo` calls it."""

from __future__ import annotations

import os
import re
import subprocess
import sys


def test_demo_prints_a_row_for_each_mode() -> None:
    command = [sys.executable, "-m", "libcoop.wynd.demo", "--seconds", "0.5"]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"}, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for mode in ("SINGLE", "THREAD"):
        (row,) = [line for line in ended.stdout.splitlines() if mode in line]
        numbers = [float(number.replace(",", "")) for number in re.findall(r"[\d,]+(?:\.\d+)?", row)]
        assert len(numbers) == 12
        assert numbers[6] > 100  # packets per second


def test_a_mode_that_cannot_run_fails_the_demo() -> None:
    command = [sys.executable, "-m", "libcoop.wynd.demo", "--seconds", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "SINGLE: the client ended with status 2" in ended.stderr
    assert "Traceback" not in ended.stderr
