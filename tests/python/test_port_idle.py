"""What a set of processes costs while nothing comes: nothing, but for the beats of its liveness watchdogs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

LONG = 60.0

PROGRAM = """
import sys
from libcoop import Handler, Mode, Port, PortSet

class Nothing(Handler):
    pass

if __name__ == "__main__":
    ports = [Port("A", Nothing), Port("B", Nothing), Port("C", Nothing, listen=("127.0.0.1", 0))]
    with PortSet(ports, mode=Mode.PROCESS, liveness=float(sys.argv[1]) if sys.argv[1:] else None):
        print("started", flush=True)
        sys.stdin.read()
"""


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = [
        word for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    return [pid, *(each for child in children for each in family(int(child)))]


def wakeups(pids: list[int]) -> int:
    """How often their threads went to sleep."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    pattern = r"^voluntary_ctxt_switches:\s*(\d+)"
    return sum(int(re.findall(pattern, (task / "status").read_text(), re.MULTILINE)[0]) for task in tasks)


def state(pid: int) -> tuple[list[int], int] | None:
    """Who is there, and how often they went to sleep; nothing if one of them has just ended."""
    try:
        pids = family(pid)
        return pids, wakeups(pids)
    except (FileNotFoundError, ProcessLookupError):
        return None


@pytest.mark.parametrize("liveness", [[], ["3600"]], ids=["no liveness", "liveness of an hour"])
def test_an_idle_set_sleeps(tmp_path: Path, liveness: list[str]) -> None:
    """The set's process, the zygote and the workers: there is a second in which none of their threads wakes up."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    command = [sys.executable, str(path), *liveness]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as set_:
        assert set_.stdout is not None
        assert set_.stdin is not None
        assert set_.stdout.readline() == "started\n"
        deadline, before, after = time.monotonic() + LONG, None, state(set_.pid)
        # What the start has left to do comes first: a worker that waits to be the next one is made.
        while after is None or after != before:
            assert time.monotonic() < deadline, f"within a second from {before} to {after}"
            before = after
            time.sleep(1.0)
            after = state(set_.pid)
        assert len(after[0]) > 3
        set_.stdin.close()
        assert set_.wait(LONG) == 0
