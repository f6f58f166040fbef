"""What concerns a whole process: its descriptors, its idleness, and what an import does to it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from processkit import PRELUDE

DEADLINE = 60.0


def test_no_descriptor_left_is_a_clear_error_and_it_recovers(program: Any) -> None:
    program(
        f"""{PRELUDE}
import errno, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
def use_up():
    files = []
    while True:
        try:
            files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return files
def count():
    return len(os.listdir("/proc/self/fd"))
def ports():
    made = PortSet([Port(name, Run) for name in "abcd"]); made.start(); made.stop()
def loop():
    with EventLoop() as loop:
        loop.run(RunMode.NOWAIT)
def runtime():
    with Runtime(1) as runtime:
        runtime.start()
for make in (loop, ports, runtime):
    before = count()
    files = use_up()
    # With none left, then one more each time, until it works.
    for left in range(40):
        try:
            make()
        except libcoop.Os as error:
            assert error.errno == errno.EMFILE, error
            assert "Too many open files" in str(error), error
            if make is ports and left == 0:
                assert "port a:" in str(error), error
        else:
            break
        os.close(files.pop())
    assert left > 0 and files, (make, left)
    for file in files:
        os.close(file)
    make()
    # The last descriptors of a port go with its thread, a moment after the set has ended.
    while count() != before:
        time.sleep(0.001)
"""
    )


def test_nothing_leaves_a_descriptor_behind(program: Any) -> None:
    program(
        f"""{PRELUDE}
def use():
    with EventLoop() as loop:
        loop.start()
        PortSet([Port("a", Run)], mode=Mode.SINGLE, loop=loop).start()
    with PortSet([Port("a", Run)]):
        pass
    with Runtime(1) as runtime:
        runtime.start()
    Pool(1).submit(int).result()
    try:
        PortSet([Port("a", Run), Port("b", int, (1, 2, 3, 4))]).start()
    except TypeError:
        pass
use()
before = len(os.listdir("/proc/self/fd"))
for _ in range(20):
    use()
# Those of the first round may have been closed only after the count.
while len(os.listdir("/proc/self/fd")) > before:
    time.sleep(0.001)
"""
    )


def switches(pid: int) -> dict[str, int]:
    """How often each thread of a process was switched to or from, by its choice or not."""
    counts = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        counts[f"{task.name} {lines['Name'].strip()}"] = int(lines["voluntary_ctxt_switches"]) + int(
            lines["nonvoluntary_ctxt_switches"]
        )
    return counts


def test_an_idle_process_sleeps(tmp_path: Path) -> None:
    source = f"""{PRELUDE}
loop = EventLoop(); loop.start(); loop.call_later(3600, int, repeat=3600)
pool = Pool(4); pool.submit(int).result()
runtime = Runtime(2); runtime.start(); runtime.pool.submit(int).result()
ports = PortSet([Port(name, Run) for name in "abc"]); ports.start()
single = PortSet([Port(name, Run) for name in "abc"], mode=Mode.SINGLE, loop=loop); single.start()
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        # There is a second in which nothing happens, when each thread has gone to sleep.
        deadline, before = time.monotonic() + DEADLINE, dict[str, int]()
        while before != (now := switches(process.pid)):
            assert time.monotonic() < deadline, (before, now)
            before = now
            signal.sigtimedwait([], 1.0)
        assert len(now) >= 1 + 1 + 4 + 3 + 6
        process.stdin.close()
        assert process.wait(DEADLINE) == 0


def test_import_is_light() -> None:
    source = "import sys, libcoop; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=DEADLINE, check=True)
    loaded = set(ran.stdout.split())
    assert "libcoop._libcoop" in loaded
    assert not loaded & {"asyncio", "rich", "libcoop.wynd", "multiprocessing", "socket", "ssl"}


def test_import_starts_no_thread_and_takes_no_signal() -> None:
    source = textwrap.dedent(
        """
        import os, signal, libcoop
        assert len(os.listdir("/proc/self/task")) == 1
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        """
    )
    subprocess.run([sys.executable, "-c", source], timeout=DEADLINE, check=True)
