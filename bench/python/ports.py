"""Three UDP ports and a handler that computes: libcoop's three modes beside threads, multiprocessing and uvloop.

A datagram of 100 bytes costs its handler a fixed loop of Python of about 5 us, the same for all. In the first row
240,000 a second are offered; in the second 60,000, and a thread of Python computes all the time in the program that
serves. The sender is a program of its own (ports_send.c), each contestant too (ports_served.py). "threads" has a
blocking recvfrom on a thread for each port, "multiprocessing" in a process for each, "uvloop" a DatagramProtocol for
each on one loop; "bare loop" is that loop in one interpreter, with nothing to receive and nothing beside.

"received" is what was taken from the sockets, with what lay there when the sender ended; the rest is "lost".
"handled" counts only while the sender sends: what waits in a buffer then does not count. The contestants take turns.
Printed: medians, and median, least and greatest of the rounds' ratios of what was handled.

    .ci/setup bench && .ci/wheel && .venv/bin/python bench/python/ports.py [--rounds 15] [--seconds 2] [--rows busy]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ports_served import PORTS, SERVE, counts_of, work
from rounds import compiled, in_turns, ratios, spread

SERVED = Path(__file__).with_name("ports_served.py")
SENDER = Path(__file__).with_name("ports_send.c")
DEADLINE = 120.0
QUIET = 0.5
"""Seconds without a datagram taken, after which no more are expected."""
COST = 5e-6
ROWS = {"offered": (240_000, False), "busy": (60_000, True)}


class Run(NamedTuple):
    """Datagrams per second of the sending."""

    sent: float
    received: float
    handled: float

    @property
    def lost(self) -> float:
        return 1 - self.received / self.sent


class Given(NamedTuple):
    sender: Path
    folder: Path
    loops: int
    seconds: float


def loops_of(cost: float) -> int:
    """So many that `work` takes that long: the best of many tries, for other programs only make it longer."""
    tries = 2000

    def took() -> float:
        began = time.perf_counter()
        work(tries)
        return time.perf_counter() - began

    return max(1, round(tries * cost / min(took() for _ in range(2000))))


def command(given: Given, name: str, beside: float) -> list[str]:
    (given.folder / "counts").write_bytes(bytes(8 * PORTS))
    return [sys.executable, str(SERVED), name, str(given.folder / "counts"), str(given.loops), f"{beside:g}"]


def bare(given: Given) -> Run:
    words = command(given, "bare loop", given.seconds)
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=DEADLINE)
    rate = float(done.stdout)
    return Run(rate, rate, rate)


def measure(given: Given, name: str, rate: int, busy: bool) -> Run:
    words = command(given, name, busy)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdin is not None
        assert served.stdout is not None
        ports = json.loads(served.stdout.readline())
        counts = counts_of(str(given.folder / "counts"))
        send = [str(given.sender), str(rate), str(given.seconds), *map(str, ports)]
        sender = subprocess.run(send, check=True, stdout=subprocess.PIPE, text=True, timeout=DEADLINE)
        handled = sum(counts)
        received, before = 0, -1
        while received != before:
            time.sleep(QUIET)
            before = received
            print(file=served.stdin, flush=True)
            received = int(served.stdout.readline())
        served.stdin.close()
        served.wait(DEADLINE)
    return Run(*(figure / given.seconds for figure in (int(sender.stdout), received, handled)))


def table(row: str, results: dict[str, list[Run]]) -> str:
    rate, busy = ROWS[row]
    peers = [name for name in ("bare loop", "threads", "multiprocessing") if name in results]
    beside = ", a busy thread of Python beside" if busy else ""
    shown = "".join(f"  {'to ' + peer:22}" for peer in peers)
    lines = [
        f"3 ports, {rate:,} datagrams/s offered{beside}:",
        f"  {'':16}{'received/s':>11}{'handled/s':>11}  {'lost, %':20}{shown}",
    ]
    for name, runs in results.items():
        received, handled = (
            round(statistics.median(figures)) for figures in zip(*(run[1:] for run in runs), strict=True)
        )
        mine = [run.handled for run in runs]
        compared = "".join(f"  {ratios(mine, [run.handled for run in results[peer]]):22}" for peer in peers)
        lost = "" if name == "bare loop" else spread([100 * run.lost for run in runs])
        lines.append(f"  {name:16}{received:>11,}{handled:>11,}  {lost:20}{compared}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--only", nargs="*", choices=list(SERVE), default=list(SERVE))
    given = parser.parse_args()
    names = list(given.only)
    if "uvloop" in names and importlib.util.find_spec("uvloop") is None:
        print("without uvloop, which is not installed: .ci/setup bench")
        names.remove("uvloop")
    with tempfile.TemporaryDirectory(prefix="ports-bench-") as folder:
        run = Given(compiled(SENDER, folder), Path(folder), loops_of(COST), given.seconds)
        print(
            f"the loop: {run.loops} times; {given.rounds} rounds of {given.seconds:g} s; load {os.getloadavg()[0]:.1f}"
        )
        for row in given.rows:
            contestants: dict[str, Callable[[], Run]] = {}
            if row == "offered":
                contestants["bare loop"] = partial(bare, run)
            contestants |= {name: partial(measure, run, name, *ROWS[row]) for name in names}
            print(table(row, in_turns(contestants, given.rounds)), flush=True)
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
