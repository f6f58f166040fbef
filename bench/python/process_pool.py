"""Calls in processes: libcoop.ProcessPool beside ProcessPoolExecutor, by fork and by forkserver, and loky.

All have as many workers, and each contestant has a process of its own to be called from: what one of them does there,
to malloc for instance, is not done for the others. A round of a contestant is batches of calls, each submitted at once,
that answer what they are given, bytes of one size; and calls one after the other, each submitted when the one before
has answered. The contestants take turns, in changing order, and round by round they are compared. Printed: calls per
second, median, least and greatest, what of the CPUs all processes of a contestant use for a call, which a busy machine
changes least, and the 50th percentile of one call after another, each with the ratio of libcoop's to each peer's in the
same round; arrays of NumPy that are only read; what an idle worker takes of memory that is its own (Pss); and how long
a program waits for the first result, from its first line that is not an import.

    .ci/setup bench && .ci/wheel && .venv/bin/python bench/python/process_pool.py [--rounds 7] [--only 0,64K]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import libcoop
import loky
import numpy
from rounds import in_turns, ratios, spread

MINE = "libcoop"


def echo(data: Any) -> Any:
    return data


def total(array: Any) -> float:
    return float(array[:8].sum())


def executor(name: str, workers: int) -> Executor:
    if name == MINE:
        return libcoop.ProcessPool(workers)
    if name == "loky":
        made: Executor = loky.ProcessPoolExecutor(workers)
        return made
    return ProcessPoolExecutor(workers, mp_context=get_context(name))


NAMES = (MINE, "fork", "forkserver", "loky")
SIZES = {"0": (0, 4000, 1, 1000), "64K": (64 << 10, 100, 10, 400), "16M": (16 << 20, 8, 1, 8)}
"""Of each size: bytes, calls in a batch, batches in a round, and calls one after the other."""


def batch(pool: Executor, call: Callable[[Any], Any], data: Any, size: str) -> float:
    """Calls per second."""
    _, count, batches, _ = SIZES[size]
    since = time.perf_counter()
    for _ in range(batches):
        for future in [pool.submit(call, data) for _ in range(count)]:
            future.result()
    return count * batches / (time.perf_counter() - since)


def each(pool: Executor, call: Callable[[Any], Any], data: Any, size: str) -> float:
    """The 50th percentile of microseconds."""
    times = []
    for _ in range(SIZES[size][-1]):
        since = time.perf_counter()
        pool.submit(call, data).result()
        times.append(time.perf_counter() - since)
    return statistics.median(times) * 1e6


@contextlib.contextmanager
def warm(name: str, workers: int) -> Iterator[Executor]:
    with executor(name, workers) as pool:
        futures = [pool.submit(time.sleep, 0.2) for _ in range(workers)]
        for future in futures:
            future.result()
        for _ in range(200):
            pool.submit(echo, b"").result()
        yield pool


def kib(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


def memory(pool: Executor) -> tuple[float, float]:
    """Of an idle worker, KiB: Pss, and Private_Dirty."""
    pids = {pool.submit(os.getpid).result() for _ in range(50)}
    pss, dirty = zip(*[(kib(pid, "Pss:"), kib(pid, "Private_Dirty:")) for pid in pids], strict=True)
    return statistics.mean(pss), statistics.mean(dirty)


def used(pid: int) -> int:
    """Nanoseconds of CPU that a process and all below it have used; whoever has ended is not counted."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    below = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) + sum(map(used, below))


def contend(name: str, workers: int) -> None:
    """A contestant: does what it is told to by each line, and prints what it found."""
    data: dict[str, tuple[Any, Any]] = {}
    with warm(name, workers) as pool:
        for line in sys.stdin:
            what, *size = line.split()
            found: Any
            if what == "memory":
                found = memory(pool)
            else:
                if size[0] not in data:
                    sent = os.urandom(SIZES[size[0]][0])
                    data[size[0]] = sent, numpy.frombuffer(sent, dtype="u1").astype("u1")
                sent, array = data[size[0]]
                call, given = (total, array) if what == "read" else (echo, sent)
                if what == "each":
                    found = each(pool, call, given, size[0])
                else:
                    before = used(os.getpid())
                    rate = batch(pool, call, given, size[0])
                    _, count, batches, _ = SIZES[size[0]]
                    found = rate, (used(os.getpid()) - before) / 1e3 / count / batches
            print(json.dumps(found), flush=True)


class Contestant:
    def __init__(self, name: str, workers: int) -> None:
        command = [sys.executable, __file__, "--contend", name, "--workers", str(workers)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def __call__(self, order: str) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        print(order, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def compare(title: str, results: dict[str, list[float]], form: str) -> None:
    print(f"\n{title}")
    for name, figures in results.items():
        versus = "" if name == MINE else f"   libcoop is {ratios(results[MINE], figures)} x"
        print(f"  {name:<12} {spread(figures, form):>32}{versus}", flush=True)


def throughput(contestants: dict[str, Contestant], only: list[str], rounds: int) -> None:
    def results(order: str) -> dict[str, Any]:
        return in_turns({name: partial(one, order) for name, one in contestants.items()}, rounds)

    def batches(title: str, order: str) -> None:
        both = results(order)
        compare(f"{title}, calls per second", {name: [each[0] for each in one] for name, one in both.items()}, ",.0f")
        title += ", us of CPU per call, of all processes"
        compare(title, {name: [each[1] for each in one] for name, one in both.items()}, ",.1f")

    for size in only:
        batches(f"{size} there and back", f"batch {size}")
        compare(f"{size} there and back, one after the other, p50 in us", results(f"each {size}"), ",.1f")
        if SIZES[size][0]:
            batches(f"an array of {size} that is only read", f"read {size}")


def memories(contestants: dict[str, Contestant]) -> None:
    print("\nan idle worker, KiB: Pss, and what is its own alone (Private_Dirty)")
    for name, contestant in contestants.items():
        pss, dirty = contestant("memory")
        print(f"  {name:<12} {pss:>10,.0f} {dirty:>10,.0f}")


COLD = """
import sys, time
{imports}
if __name__ == "__main__":
    since = time.perf_counter()
    pool = {make}
    pool.submit(abs, -1).result()
    print(time.perf_counter() - since, flush=True)
    pool.shutdown()
"""
MAKE = {
    MINE: ("from libcoop import ProcessPool", "ProcessPool({workers})"),
    "fork": (
        "from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import get_context",
        "ProcessPoolExecutor({workers}, mp_context=get_context('fork'))",
    ),
    "forkserver": (
        "from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import get_context",
        "ProcessPoolExecutor({workers}, mp_context=get_context('forkserver'))",
    ),
    "loky": ("import loky", "loky.ProcessPoolExecutor({workers})"),
}


def cold(folder: str, rounds: int, workers: int) -> None:
    def first(name: str) -> float:
        imports, make = MAKE[name]
        path = Path(folder) / f"cold_{name}.py"
        path.write_text(COLD.format(imports=imports, make=make.format(workers=workers)))
        ran = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, timeout=60)
        return float(ran.stdout) * 1e3

    contestants = {name: partial(first, name) for name in NAMES}
    compare("the first result of a new pool, ms", in_turns(contestants, rounds), ".1f")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default=",".join(SIZES))
    parser.add_argument("--without", default="", help="peers to leave out")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contend:
        contend(given.contend, given.workers)
        return
    names = [name for name in NAMES if name not in given.without.split(",")]
    print(f"{given.workers} workers, {len(os.sched_getaffinity(0))} CPUs, load {os.getloadavg()[0]:.2f}")
    with contextlib.ExitStack() as stack:
        contestants = {name: stack.enter_context(Contestant(name, given.workers)) for name in names}
        # Before anything is kept of large calls.
        memories(contestants)
        throughput(contestants, given.only.split(","), given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        cold(folder, given.rounds, given.workers)
    print(f"\nload {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
