"""A node of libcoop.Dag beside a plain call and concurrent.futures on this Python: rounds that take turns.

    python bench/python/dag.py [ROUNDS]

Everything has two workers. What is measured is the time for each of 10,000 empty functions, in nanoseconds:

- wide: all at once, then one that waits for them. deep: one after the other.
- coroutines: empty coroutine functions all at once, on libcoop's loop and on asyncio's.
- of the peers: the calls in a loop; submit and then result() of all, and of one after the other.

Building a graph is not measured: that is done once. Ratios are to the plain call and to ThreadPoolExecutor.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import libcoop

WORKERS = 2
NODES = 10_000


def empty() -> None:
    pass


def after(before: None) -> None:
    pass


async def empty_coroutine() -> None:
    pass


def wide(function: Callable[[], object]) -> libcoop.Dag:
    dag = libcoop.Dag()
    for number in range(NODES):
        dag.node(function, name=f"node/{number}")
    dag.node(empty, name="end", after=[f"node/{number}" for number in range(NODES)])
    return dag.build()


def deep() -> libcoop.Dag:
    dag = libcoop.Dag()
    dag.node(empty, name="node/0")
    for number in range(1, NODES):
        dag.node(after, name=f"node/{number}", reads=[f"node/{number - 1}"])
    return dag.build()


def submitted(pool: Executor) -> None:
    for future in [pool.submit(empty) for _ in range(NODES)]:
        future.result()


def submitted_in_turn(pool: Executor) -> None:
    for _ in range(NODES):
        pool.submit(empty).result()


def called() -> None:
    for _ in range(NODES):
        empty()


def timed(work: Callable[[], object]) -> float:
    """Nanoseconds for each."""
    gc.collect()
    begun = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun) / NODES


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    runtime, peer = libcoop.Runtime(WORKERS), ThreadPoolExecutor(WORKERS)
    runtime.start()
    wide_graph, deep_graph, waiting_graph = wide(empty), deep(), wide(empty_coroutine)

    async def awaited() -> None:
        await waiting_graph.run(runtime)

    contenders: dict[str, Callable[[], object]] = {
        "plain calls": called,
        "Dag, wide": lambda: wide_graph.run(runtime).result(),
        "Dag, deep": lambda: deep_graph.run(runtime).result(),
        "libcoop.Pool, all at once": lambda: submitted(runtime.pool),
        "ThreadPoolExecutor, all at once": lambda: submitted(peer),
        "ThreadPoolExecutor, in turn": lambda: submitted_in_turn(peer),
        "Dag, coroutines on libcoop's loop": lambda: waiting_graph.run(runtime).result(),
        "Dag, coroutines in asyncio": lambda: asyncio.run(awaited()),
    }
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            found[name].append(timed(contenders[name]))
    print(f"Python {sys.version.split()[0]}, {rounds} rounds, {WORKERS} workers, {NODES} functions; ns for each")
    print(f"{'':36} {'median':>9} {'middle half':>20} {'to a call':>10} {'to the peer':>12}")
    plain, futures = (statistics.median(found[name]) for name in ("plain calls", "ThreadPoolExecutor, all at once"))
    for name, times in found.items():
        low, middle, high = statistics.quantiles(times, n=4)
        half = f"({low:.0f} to {high:.0f})"
        print(f"{name:36} {middle:9.0f} {half:>20} {middle / plain:8.1f} x {middle / futures:10.3f} x")
    runtime.stop()
    peer.shutdown()


if __name__ == "__main__":
    main()
