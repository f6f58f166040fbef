"""A worker's run of its service: what it hears and tells, and how each kind of end explains itself."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workerkit
import zygotekit
from zygotekit import Worker, Zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with zygotekit.zygote() as made:
        yield made


def ends(worker: Worker) -> tuple[int, list[str]]:
    """How it ended, and what it said."""
    status = worker.wait()
    return status, worker.said()


@pytest.mark.parametrize("entry", [workerkit.wait, workerkit.Waits])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_service_is_asked_by_a_signal(zygote: Zygote, entry: Any, number: int) -> None:
    worker = zygote.start(entry, stop_signal=signal.SIGUSR2)
    assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=waits"]
    os.kill(worker.pid, number)
    assert ends(worker) == (0, ["STOPPING=1", "STATUS=was asked"])
    assert worker.reported() == ""


def test_a_coroutine_that_does_not_look_out_is_cancelled(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.is_cancelled)
    assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=waits"]
    os.kill(worker.pid, signal.SIGTERM)
    assert ends(worker) == (0, ["STOPPING=1", "STATUS=was cancelled"])


def test_a_coroutine_that_never_yields_is_killed_as_any(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.never_yields)
    assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=busy"]
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.heard() == "STOPPING=1"
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL


def test_ctrl_c_is_no_exception_in_a_worker(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.interrupt)
    assert ends(worker) == (0, ["READY=1", "STOPPING=1", "STATUS=was asked"])


def test_one_that_notifies_is_not_ready_before_it_says_so(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.wait, run={"ready": 1_000_000})
    assert worker.heard() == "STATUS=waits"
    worker = zygote.start(workerkit.beats, run={"watchdog": 10_000_000})
    heard = [worker.heard() for _ in range(3)]
    assert heard == ["READY=1", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=2500000"]


def test_that_it_runs_is_told_whatever_it_does(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.never_yields, run={"liveness": 20_000})
    while worker.heard() != "STATUS=busy":
        pass
    assert [worker.heard(), worker.heard()] == ["X_COOP_ALIVE=1"] * 2


@pytest.mark.parametrize(
    ("how", "text", "trace"),
    [
        ("name", "KeyError: 'name'", "raise KeyError(how)\nKeyError: 'name'"),
        ("lines", "ValueError: first READY=1 third", "ValueError: first\nREADY=1\nthird"),
        ("unspeakable", "Unspeakable: <its text cannot be made: ValueError>", "raise Unspeakable"),
        ("deep", "RecursionError: maximum recursion depth exceeded", "[Previous line repeated "),
    ],
)
def test_an_exception_is_told_with_its_traceback(zygote: Zygote, how: str, text: str, trace: str) -> None:
    worker = zygote.start(workerkit.fail, how)
    assert ends(worker) == (1, ["READY=1", f"X_COOP_FAILED={text}"])
    report = worker.reported()
    assert report.startswith('Traceback (most recent call last):\n  File "'), report
    assert trace in report
    # It begins in the service.
    assert report.splitlines()[1].endswith(", in fail")


def test_a_long_exception_is_cut(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.fail, "long")
    status, said = ends(worker)
    assert status == 1
    assert said[1].startswith("X_COOP_FAILED=ValueError: xxxx")
    assert len(said[1].encode()) < 8192
    report = worker.reported()
    assert len(report) < 65536
    assert "raise ValueError" in report


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (workerkit.Broken, "LookupError: not here"),
        ("workerkit_missing:Web", "ModuleNotFoundError: No module named 'workerkit_missing'"),
        ("entrykit:Missing", "AttributeError: module 'entrykit' has no 'Missing'"),
        ("zygotekit:Zygote.wait", "AttributeError: module 'zygotekit' has no 'Zygote.wait'"),
    ],
)
def test_an_entry_that_cannot_be_made_is_never_ready(zygote: Zygote, entry: Any, text: str) -> None:
    # What the parent would refuse itself, if it had the module, or nothing were called before it is imported.
    given = {"worker_init": "os:getpid"}
    hidden: dict[str, Any] = {name: sys.modules.pop(name) for name in ("entrykit", "zygotekit") if name in sys.modules}
    try:
        worker = zygote.start(entry, given=given)
    finally:
        sys.modules.update(hidden)
    assert ends(worker) == (1, [f"X_COOP_FAILED={text}"])
    assert worker.reported().rstrip().endswith(text)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [(None, 0, []), (0, 0, []), (3, 3, []), ("reason", 1, ["X_COOP_FAILED=SystemExit: reason"])],
)
def test_system_exit_is_an_exit(zygote: Zygote, code: Any, status: int, said: list[str]) -> None:
    assert ends(zygote.start(workerkit.leave, code)) == (status, ["READY=1", *said])


def test_an_exit_in_a_thread(zygote: Zygote) -> None:
    # Of the thread alone, as everywhere in Python; of the process.
    assert ends(zygote.start(workerkit.leave_in_a_thread)) == (0, ["READY=1", "STATUS=goes on"])
    assert ends(zygote.start(workerkit.end_in_a_thread)) == (7, ["READY=1"])


def test_a_daemon_thread_holds_up_no_end(zygote: Zygote) -> None:
    assert ends(zygote.start(workerkit.spawn_daemon)) == (0, ["READY=1"])


def test_what_start_child_adds_comes_last(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.fail, run={"args": ["name"]})
    assert ends(worker) == (1, ["READY=1", "X_COOP_FAILED=KeyError: 'name'"])


def test_a_fault_leaves_the_stacks(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.segfault)
    assert ends(worker) == (-signal.SIGSEGV, ["READY=1"])
    report = worker.reported()
    assert report.startswith("Fatal Python error: Segmentation fault\n")
    assert "in segfault" in report


def test_an_abort_leaves_the_stacks(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.hang)
    assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=hangs"]
    os.kill(worker.pid, signal.SIGABRT)
    assert worker.wait() == -signal.SIGABRT
    assert "in hang" in worker.reported()


def test_memory_that_is_used_up_is_told(zygote: Zygote) -> None:
    limit = 1 << 30
    worker = zygote.start(workerkit.use_up_memory, limits=[[resource.RLIMIT_AS, limit, limit]])
    assert ends(worker) == (1, ["READY=1", "X_COOP_FAILED=MemoryError"])
    assert "in use_up_memory" in worker.reported()


def test_exit_handlers_run_and_output_comes(zygote: Zygote, tmp_path: Path) -> None:
    read, write = os.pipe()
    with open(read) as output:
        worker = zygote.start(workerkit.at_exit, str(tmp_path / "ran"), fds={1: write})
        os.close(write)
        assert worker.wait() == 0
        assert output.read() == "printed\n"
    assert (tmp_path / "ran").read_text() == "ran"


def test_what_is_printed_comes_at_once(zygote: Zygote) -> None:
    read, write = os.pipe()
    with open(read) as output:
        worker = zygote.start("workerkit:speak", fds={1: write})
        os.close(write)
        assert output.readline() == "a line\n"
        assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=waits"]


def test_a_service_may_fork(zygote: Zygote, tmp_path: Path) -> None:
    read, write = os.pipe()
    with open(read) as output:
        worker = zygote.start(workerkit.fork, str(tmp_path / "pid"), fds={2: write})
        os.close(write)
        # The child is no worker: it tells the host nothing, and ends as a program does.
        assert ends(worker) == (0, ["READY=1", "STATUS=child 1"])
        assert output.read().endswith("KeyError: 'of the child'\n")
    assert worker.reported() == ""
    assert int((tmp_path / "pid").read_text()) != worker.pid


def test_what_runs_first_in_each_worker(zygote: Zygote) -> None:
    worker = zygote.start(workerkit.is_initialised, given={"worker_init": "workerkit:initialise"})
    assert [worker.heard(), worker.heard()] == ["READY=1", 'STATUS={"initialised": "yes"}']
    worker = zygote.start(workerkit.is_initialised, given={"worker_init": "workerkit:fail"})
    assert worker.heard().startswith("X_COOP_FAILED=TypeError: fail() missing 2 required positional arguments")


SCRIPT = """
import os, sys
import zygotekit
from libcoop import _main

class Web:
    def __init__(self, number):
        self.number = number
    def run(self, ctx):
        ctx.status(f"{__name__} {self.number}")

def start():
    _main.refuse_unguarded("Host()")
    with zygotekit.zygote() as zygote:
        worker = zygote.start(Web, 5)
        print(*[worker.heard() for _ in range(1 if "unguarded" in sys.argv else 2)], worker.wait(), sep="\\n")
        print(worker.reported())

if __name__ == "__main__" or "unguarded" in sys.argv:
    start()
"""


def test_a_script_serves_its_own_classes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(*args: str) -> list[str]:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        words = [sys.executable, str(script), *args]
        ran = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, timeout=zygotekit.DEADLINE, check=True)
        return ran.stdout.splitlines()

    assert run() == ["READY=1", "STATUS=__coop_main__ 5", "0", ""]
    said = run("unguarded")
    assert said[0].startswith(f"X_COOP_FAILED=Failed: Host() in {script}, which is being run as __coop_main__ ")
    assert said[0].endswith('put what starts services below `if __name__ == "__main__":`')
    assert said[1] == "1"


def test_coverage_sees_what_workers_run(zygote: Zygote, tmp_path: Path) -> None:
    settings = tmp_path / "coveragerc"
    settings.write_text(f"[run]\nparallel = true\ndata_file = {tmp_path}/data\ninclude = */workerkit.py\n")
    env = {"COVERAGE_PROCESS_START": str(settings)}
    given = {"worker_init": "coverage:process_startup"}
    for number, status in [(1, "one at most"), (2, "more than one")]:
        worker = zygote.start(workerkit.covered, number, env=env, given=given)
        assert ends(worker) == (0, ["READY=1", f"STATUS={status}"])

    def coverage(*words: str) -> None:
        command = [sys.executable, "-m", "coverage", *words, f"--rcfile={settings}", "--quiet"]
        subprocess.run(command, check=True, timeout=zygotekit.DEADLINE, cwd=tmp_path)

    coverage("combine")
    coverage("json", "-o", str(tmp_path / "found.json"))
    (found,) = json.loads((tmp_path / "found.json").read_text())["files"].values()
    lines = Path(workerkit.__file__).read_text().splitlines()
    executed = {lines[number - 1].strip() for number in found["executed_lines"]}
    assert {'ctx.status("one at most")', 'ctx.status("more than one")'} <= executed
    assert 'ctx.status("hangs")' not in executed
