"""libcoop.Pool beside concurrent.futures.ThreadPoolExecutor on this Python: ratios of rounds that take turns.

    python bench/python/pool.py [ROUNDS]

Both have two workers. What is measured, of an empty function unless it says otherwise:

- throughput: submit N, then take all results; the same by map.
- submit to result, one at a time: median and 99th percentile.
- the same with a thread beside that only computes, which wants the interpreter all the time.
- memory of one queued call: what `resource` says the process grew by, while 200,000 wait behind one that blocks.

Ratios are libcoop to the peer, the median of the rounds and their middle half.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import libcoop

WORKERS = 2
Make = Callable[[], Executor]


def empty() -> None:
    pass


def throughput(pool: Executor, calls: int = 20_000) -> float:
    """Calls per second."""
    begun = time.perf_counter()
    for future in [pool.submit(empty) for _ in range(calls)]:
        future.result()
    return calls / (time.perf_counter() - begun)


def mapped(pool: Executor, calls: int = 20_000) -> float:
    """Calls per second by map."""
    begun = time.perf_counter()
    for _ in pool.map(abs, range(calls)):
        pass
    return calls / (time.perf_counter() - begun)


def latencies(pool: Executor, calls: int) -> tuple[float, float]:
    """The median and the 99th percentile of submit to result, in microseconds."""
    took = []
    for _ in range(calls):
        begun = time.perf_counter_ns()
        pool.submit(empty).result()
        took.append(time.perf_counter_ns() - begun)
    took.sort()
    return took[calls // 2] / 1e3, took[calls * 99 // 100] / 1e3


@contextmanager
def busy_thread() -> Iterator[None]:
    """A Python thread that computes and never waits."""
    stop = False

    def compute() -> None:
        number = 0
        while not stop:
            number += 1

    thread = threading.Thread(target=compute)
    thread.start()
    yield
    stop = True
    thread.join()


MEMORY = """
import resource, threading, sys
from concurrent.futures import ThreadPoolExecutor
import libcoop
pool = {"libcoop": libcoop.Pool, "peer": ThreadPoolExecutor}[sys.argv[1]](1)
go = threading.Event()
pool.submit(go.wait)
calls, kept = 200_000, []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for number in range(calls):
    kept.append(pool.submit(abs, 1))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / calls)
go.set()
"""


def memory(which: str) -> float:
    """Bytes per queued call."""
    ran = subprocess.run([sys.executable, "-c", MEMORY, which], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def measure(make: Make) -> dict[str, float]:
    gc.collect()
    with make() as pool:
        pool.submit(empty).result()
        found = {"throughput, k/s": throughput(pool) / 1e3, "map, k/s": mapped(pool) / 1e3}
        found["p50, us"], found["p99, us"] = latencies(pool, 2000)
        with busy_thread():
            found["p50 beside a busy thread, us"], found["p99 beside a busy thread, us"] = latencies(pool, 100)
        return found


def show(name: str, ours: list[float], peers: list[float]) -> None:
    ratios = [a / b for a, b in zip(ours, peers, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    both = f"{statistics.median(ours):10.1f} {statistics.median(peers):10.1f}"
    print(f"{name:30} {both} {middle:8.2f} x  ({low:.2f} to {high:.2f})")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    contenders: list[tuple[str, Make]] = [
        ("libcoop", lambda: libcoop.Pool(WORKERS)),
        ("peer", lambda: ThreadPoolExecutor(WORKERS)),
    ]
    found: dict[str, list[dict[str, float]]] = {"libcoop": [], "peer": []}
    for number in range(rounds):
        for name, make in contenders[:: 1 if number % 2 else -1]:
            found[name].append(measure(make))
    print(f"Python {sys.version.split()[0]}, {rounds} rounds, {WORKERS} workers each")
    print(f"{'':30} {'libcoop':>10} {'peer':>10} {'ratio':>8}")
    for what in found["libcoop"][0]:
        show(what, *([each[what] for each in found[name]] for name in ("libcoop", "peer")))
    grown = {name: [memory(name) for _ in range(3)] for name in ("libcoop", "peer")}
    show("bytes per queued call", grown["libcoop"], grown["peer"])


if __name__ == "__main__":
    main()
