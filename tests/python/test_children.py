"""`EventLoop.child`: how a child process ends, and who reaps it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import EventLoop, ExitStatus


def child(source: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE)


def test_a_child_that_exits(running_loop: EventLoop) -> None:
    process = child("raise SystemExit(7)")
    status = running_loop.child(process).result(DEADLINE)
    assert status == ExitStatus(process.pid, 7, None, False)
    assert status.returncode == 7
    # The loop has reaped it, and told the Popen.
    assert (process.returncode, process.poll(), process.wait()) == (7, 7, 7)
    process.communicate()


def test_a_child_that_is_killed_by_number(running_loop: EventLoop) -> None:
    process = child("input()")
    future = running_loop.child(process.pid)
    assert not future.done()
    os.kill(process.pid, signal.SIGKILL)
    status = future.result(DEADLINE)
    assert (status.code, status.signal, status.returncode) == (None, signal.SIGKILL, -signal.SIGKILL)
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, 0)
    # Nobody told it: it finds that somebody else has reaped the child.
    process.communicate()


def test_awaited_in_asyncio_many_at_once(running_loop: EventLoop) -> None:
    async def main() -> list[int]:
        processes = [child(f"raise SystemExit({code})") for code in range(8)]
        statuses = await asyncio.gather(*(running_loop.child(process) for process in processes))
        for process in processes:
            process.communicate()
        return [status.returncode for status in statuses]

    assert asyncio.run(main()) == list(range(8))


def test_cancelled_it_leaves_the_child_to_the_caller(running_loop: EventLoop) -> None:
    process = child("input(); raise SystemExit(5)")
    assert running_loop.child(process).cancel()
    process.communicate(b"\n")
    assert process.wait(DEADLINE) == 5


def test_the_loops_end_leaves_it_too(loop: EventLoop) -> None:
    process = child("input(); raise SystemExit(5)")
    future = loop.child(process)
    loop.close()
    assert isinstance(future.exception(DEADLINE), libcoop.Closed)
    process.communicate(b"\n")
    assert process.wait(DEADLINE) == 5


def test_what_is_no_child_is_refused(loop: EventLoop) -> None:
    with pytest.raises(ValueError, match="0"):
        loop.child(0)
    with pytest.raises(TypeError, match="process must be a process id or have `pid`, not 'me'"):
        loop.child("me")  # type: ignore[arg-type]
    with pytest.raises(libcoop.Os) as refused:
        loop.child(os.getpid())
    assert refused.value.errno == errno.ECHILD
    process = child("")
    process.communicate()
    with pytest.raises(libcoop.Os) as gone:
        loop.child(process.pid)
    assert gone.value.errno in (errno.ESRCH, errno.ECHILD)


def test_outstanding_at_exit(program: Program) -> None:
    program(
        """
        import subprocess, sys
        import libcoop

        process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        loop = libcoop.EventLoop()
        loop.start()
        future = loop.child(process)
        import atexit
        atexit.register(process.communicate)
        """
    )
