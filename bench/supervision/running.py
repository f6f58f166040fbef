"""A supervisor that runs: its reports, its processes, what they use, and its end.

Whatever else happens, none of its processes is left when `close` returns: this process is their subreaper.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from contestants import Contestant, Setting

PR_SET_CHILD_SUBREAPER = 36
DEADLINE = 60.0


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def adopt_orphans() -> None:
    """Supervised processes whose supervisor has ended become children of this one, which ends them."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def parents() -> dict[int, int]:
    """Of every process that there is: its parent."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(of: int) -> set[int]:
    tree = parents()
    found, grown = {of}, True
    while grown:
        more = {pid for pid, parent in tree.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found - {of}


@dataclass(frozen=True)
class Used:
    """By all threads of the supervisor's processes since they began."""

    wakeups: int
    cpu_ns: int


class Running:
    """One contestant with its services, all of which have reported."""

    def __init__(self, contestant: Contestant, built: Path, count: int) -> None:
        self.name = contestant.name
        self.services: set[int] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="coop-bench-")
        folder = Path(self._folder.name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "report"))
        environment = {**os.environ, "COOP_BENCH_REPORT": str(folder / "report")}
        self._log = (folder / "log").open("wb+")
        self._process = subprocess.Popen(
            contestant.command(Setting(folder, built, count)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            for _ in range(count):
                self.report()
        except BaseException:
            self.close()
            raise

    def report(self) -> tuple[int, int]:
        """The next service that begins: when, by CLOCK_MONOTONIC in ns, and its pid."""
        if not select.select([self._socket], [], [], DEADLINE)[0]:
            self._log.seek(0)
            raise TimeoutError(
                f"{self.name} has started no service within {DEADLINE} s: {self._log.read().decode()[-2000:]}"
            )
        began, pid = struct.unpack("=qq", self._socket.recv(16))
        self.services.add(pid)
        return began, pid

    def killed_to_running(self) -> int:
        """Ends a service by SIGKILL; ns until the next one begins."""
        (victim,) = self.services
        killed = now()
        os.kill(victim, signal.SIGKILL)
        self.services.clear()
        began, _ = self.report()
        return began - killed

    def supervisors(self) -> list[int]:
        """The processes that are not services."""
        root = self._process.pid
        return sorted({root, *descendants(root)} - self.services)

    def used(self) -> Used:
        wakeups = cpu = 0
        for pid in self.supervisors():
            for task in Path(f"/proc/{pid}/task").iterdir():
                for line in (task / "status").read_text().splitlines():
                    if line.startswith(("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")):
                        wakeups += int(line.split()[1])
                cpu += int((task / "schedstat").read_text().split()[0])
        return Used(wakeups, cpu)

    def memory(self) -> tuple[int, int]:
        """PSS and RSS of the supervisor's processes, in KiB."""
        pss = rss = 0
        for pid in self.supervisors():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
                elif line.startswith("Rss:"):
                    rss += int(line.split()[1])
        return pss, rss

    def close(self) -> None:
        """SIGTERM first, so that it may end its services; what is left of them after that is killed."""
        ours = {self._process.pid, *descendants(self._process.pid)}
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        left = parents()
        for pid in ours:
            # One of ours, or that became a child of ours: not one that took its number since.
            if left.get(pid) in {os.getpid(), *ours}:
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in ours - {self._process.pid}:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._socket.close()
        self._log.close()
        self._folder.cleanup()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
