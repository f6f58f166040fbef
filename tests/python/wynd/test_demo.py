"""The demo as `make demo` calls it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from libcoop.wynd import demo
from libcoop.wynd.config import Parallel


def test_demo_prints_a_column_for_each_mode() -> None:
    command = [sys.executable, "-m", "libcoop.wynd.demo", "--seconds", "1.2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"mode of both sides .*SINGLE .*THREAD .*PROCESS", ended.stdout)
    shown = {
        name: [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", figures)]
        for name, figures in re.findall(r"^│ (.+?) │(.*)│$", ended.stdout, re.MULTILINE)
    }
    rows = {" ".join(name.split()): numbers for name, numbers in shown.items()}
    for port in ("CONTROL", "UPLOAD", "DOWNLOAD"):
        assert len(rows[f"{port} p50 / p99, ms"]) == 6
    for name in ("packets/s", "Mbit/s", "CPU of the server, s", "CPU of the client, s"):
        assert len(rows[name]) == 3
        assert min(rows[name]) > 0


def test_a_mode_that_cannot_run_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "MODES", [Parallel.SINGLE])
    assert demo.main(["--seconds", "0"]) == 1
    assert "SINGLE: the client ended with status 2" in capsys.readouterr().err


def test_a_mode_that_moves_nothing_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "MODES", [Parallel.SINGLE, Parallel.THREAD])
    assert demo.main(["--seconds", "0.001"]) == 1  # over before a packet is allowed
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["SINGLE: nothing was moved", "THREAD: nothing was moved"]
