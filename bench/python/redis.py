"""GETs under asyncio: libcoop.Redis beside redis-py with hiredis' parser, each on asyncio's own loop and on uvloop's,
on one redis-server.

A round keeps so many GETs in flight, by as many tasks that each await one after another; apart from those, with as many
in each of the pipelines that one task sends one after another. The clients take turns, in changing order, and round by
round their rates are compared. Printed: medians of GETs per second and of a call's, or a pipeline's, 99th percentile,
and median, least and greatest of the rounds' ratios to redis-py on uvloop, of tasks to tasks and of pipelines to
pipelines; the load of the machine; and of one call after another, how long each thread runs for it.

    .ci/setup bench && .ci/wheel && .venv/bin/python bench/python/redis.py [--rounds 9] [--seconds 0.5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

# This file has the name of the package that it compares with.
sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

import libcoop  # noqa: E402
import redis.asyncio  # noqa: E402
import uvloop  # noqa: E402

DEADLINE = 60.0
Make = Callable[[str, int], AbstractAsyncContextManager[Any]]


@contextlib.contextmanager
def server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        given = ["redis-server", "--port", "0", "--save", "", "--unixsocket", path]
        process = subprocess.Popen(given, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + DEADLINE
            while not Path(path).exists():
                if time.monotonic() > until:
                    raise TimeoutError("redis-server did not start")
                time.sleep(0.01)
            yield path
        finally:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def coop(path: str, _in_flight: int) -> AsyncIterator[Any]:
    async with libcoop.Redis(f"unix://{path}") as client:
        yield client


@contextlib.asynccontextmanager
async def redis_py(path: str, in_flight: int) -> AsyncIterator[Any]:
    # What it is fastest with: a connection for each of a hundred calls; of more calls a hundred take turns.
    pool = redis.asyncio.BlockingConnectionPool if in_flight > 100 else redis.asyncio.ConnectionPool
    connections = pool.from_url(f"unix://{path}", max_connections=100, **({"timeout": None} if in_flight > 100 else {}))
    async with redis.asyncio.Redis.from_pool(connections) as client:
        yield client


NewLoop = Callable[[], asyncio.AbstractEventLoop]
CLIENTS: dict[str, tuple[Make, NewLoop]] = {
    "libcoop": (coop, asyncio.new_event_loop),
    "libcoop, uvloop": (coop, uvloop.new_event_loop),
    "redis-py": (redis_py, asyncio.new_event_loop),
    "redis-py, uvloop": (redis_py, uvloop.new_event_loop),
}
PEER = "redis-py, uvloop"
Body = Callable[[Any, int, float, list[float]], Coroutine[Any, Any, int]]


async def tasks(client: Any, in_flight: int, until: float, took: list[float]) -> int:
    """Awaits one after another in each of as many tasks; how many GETs, and how long each took."""

    async def calls() -> None:
        while (began := time.perf_counter()) < until:
            await client.get("key")
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(calls() for _ in range(in_flight)))
    return len(took)


async def pipelines(client: Any, in_flight: int, until: float, took: list[float]) -> int:
    """Sends one pipeline after another; how many GETs, and how long each pipeline took."""
    while (began := time.perf_counter()) < until:
        pipe = client.pipeline(transaction=False)
        for _ in range(in_flight):
            pipe.get("key")
        await pipe.execute()
        took.append(time.perf_counter() - began)
    return len(took) * in_flight


async def measure(make: Make, body: Body, path: str, in_flight: int, seconds: float) -> tuple[float, float]:
    """GETs per second, and the 99th percentile of how long one took."""
    async with make(path, in_flight) as client:
        await client.set("key", b"x" * 64)
        await body(client, in_flight, time.perf_counter() + min(seconds, 0.2), [])
        took: list[float] = []
        began = time.perf_counter()
        count = await body(client, in_flight, began + seconds, took)
        rate = count / (time.perf_counter() - began)
        return rate, statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]


def compare(path: str, body: Body, in_flight: int, rounds: int, seconds: float) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CLIENTS}
    for number in range(rounds):
        for name in CLIENTS if number % 2 else reversed(CLIENTS):
            make, new_loop = CLIENTS[name]
            with asyncio.Runner(loop_factory=new_loop) as runner:
                found[name].append(runner.run(measure(make, body, path, in_flight, seconds)))
    what = f"{in_flight} in flight" if body is tasks else f"in pipelines of {in_flight}"
    print(f"GET, {what}, {rounds} rounds of {seconds} s, load {os.getloadavg()[0]:.1f}:")
    peers = [rate for rate, _ in found[PEER]]
    for name, all_of_it in found.items():
        rates = [rate for rate, _ in all_of_it]
        ratios = [mine / theirs for mine, theirs in zip(rates, peers, strict=True)]
        print(
            f"  {name:16} {statistics.median(rates) / 1e3:7.1f} k/s, "
            f"p99 {statistics.median(late for _, late in all_of_it) * 1e3:7.2f} ms, "
            f"{statistics.median(ratios):5.2f} x {PEER} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def cpu(process: str) -> dict[str, int]:
    """Nanoseconds that the threads of a process have run, by their names."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return {
        (thread / "comm").read_text().strip(): int((thread / "schedstat").read_text().split()[0]) for thread in threads
    }


async def one_by_one(make: Make, path: str, calls: int = 2000) -> dict[str, float]:
    """Microseconds that each thread runs for a GET after another: the rest of a call is the way between them."""
    async with make(path, 1) as client:
        server = (await client.info("server"))["process_id"]
        await client.set("key", b"x" * 64)
        for _ in range(calls // 10):
            await client.get("key")
        began, before = time.perf_counter(), cpu("self") | cpu(server)
        for _ in range(calls):
            await client.get("key")
        took, after = time.perf_counter() - began, cpu("self") | cpu(server)
        ran = {name: (after[name] - before.get(name, 0)) / calls / 1e3 for name in after}
        return {"a call": took / calls * 1e6} | {name: each for name, each in ran.items() if each > 1}


def profile(path: str, rounds: int) -> None:
    for name in ("libcoop, uvloop", "redis-py, uvloop"):
        make, new_loop = CLIENTS[name]
        found = []
        for _ in range(rounds):
            with asyncio.Runner(loop_factory=new_loop) as runner:
                found.append(runner.run(one_by_one(make, path)))
        best = min(found, key=lambda each: each["a call"])
        print(f"  {name:16} us, the quickest round: " + ", ".join(f"{what} {took:.0f}" for what, took in best.items()))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--in-flight", type=int, nargs="*", default=[1, 100, 1000])
    given = options.parse_args()
    with server() as path:
        for in_flight in given.in_flight:
            for body in (tasks, pipelines) if in_flight > 1 else (tasks,):
                compare(path, body, in_flight, given.rounds, given.seconds)
            if in_flight == 1:
                profile(path, given.rounds)


if __name__ == "__main__":
    main()
