"""What the tests share: loops that end with their test, and programs run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import libcoop
import pytest

DEADLINE = 30.0
"""Seconds after which what was waited for will not come. No test is about how fast something is."""


@pytest.fixture
def loop() -> Iterator[libcoop.EventLoop]:
    """A loop that nobody runs yet."""
    with libcoop.EventLoop() as event_loop:
        yield event_loop


@pytest.fixture
def running_loop(loop: libcoop.EventLoop) -> libcoop.EventLoop:
    """A loop on a thread of its own."""
    loop.start()
    return loop


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs a program to its end, in another process, and holds its status and what it wrote to stderr against these."""

    def run(source: str, *args: str, status: int = 0, stderr: str | None = "") -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(source))
        ran = subprocess.run(
            [sys.executable, "-X", "faulthandler", str(path), *args],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        told = f"exit {ran.returncode}\n--- stdout\n{ran.stdout}\n--- stderr\n{ran.stderr}"
        assert ran.returncode == status, told
        if stderr is not None:
            assert ran.stderr == stderr, told
        return ran

    return run
