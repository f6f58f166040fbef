"""What the tests share: loops that end with their test, and programs run in processes of their own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import EventLoop, Listener, Mode, Port, PortSet
from portkit import ROOT, Make, compiled
from processpoolkit import Gate
from streamkit import Ends, dial

# What a shell runs in the background is deaf to SIGINT, and so would be the programs that are sent one here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged goes from one process to another as UTF-8, and some of it is none."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


DEADLINE = 60.0
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


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed one; calls in processes that still wait at it when the test has ended go on."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


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
            timeout=2 * DEADLINE,
        )
        told = f"exit {ran.returncode}\n--- stdout\n{ran.stdout}\n--- stderr\n{ran.stderr}"
        assert ran.returncode == status, told
        if stderr is not None:
            assert ran.stderr == stderr, told
        return ran

    return run


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


@pytest.fixture(params=["tcp", "unix"])
def listener(running_loop: EventLoop, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    if request.param == "tcp":
        made = running_loop.listen("127.0.0.1", 0)
    else:
        made = running_loop.listen_unix(tmp_path / "socket")
    with made:
        yield made


@pytest.fixture
def ends(listener: Listener) -> Iterator[Ends]:
    """A stream, and the plain socket at its other end."""
    with dial(listener) as plain, listener.accept().result(DEADLINE) as stream:
        yield stream, plain


@pytest.fixture(params=list(Mode), ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    return mode


@pytest.fixture
def make(mode: Mode, running_loop: EventLoop) -> Iterator[Make]:
    """Makes a set in this mode, on a loop if it needs one; stops it at the end."""
    with contextlib.ExitStack() as stack:

        def make(*ports: Port, start: bool = True, **options: Any) -> PortSet:
            if mode == Mode.PROCESS:
                # On a busy machine a worker may have no CPU for two seconds.
                options.setdefault("liveness", None)
            made = PortSet(ports, mode=mode, loop=running_loop if mode == Mode.SINGLE else None, **options)
            if start:
                made.start()
            stack.callback(made.stop, DEADLINE)
            return made

        yield make


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example of examples-c: it sends back what comes, with its argument before it."""
    source = tmp_path_factory.mktemp("native") / "native_handler.c"
    source.write_text((ROOT / "examples-c" / source.name).read_text())
    return compiled(source)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(DEADLINE)
        yield peer
