"""A user's program with a pool of processes, for type checkers."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterator
from typing import assert_type

import libcoop
from libcoop import Future, Priority, ProcessPool, ProcessPoolView, WorkerDied


def half(number: int, *, rounded: bool = False) -> float:
    return round(number / 2) if rounded else number / 2


def takes_any_executor(executor: concurrent.futures.Executor) -> int:
    return executor.submit(len, "four").result()


async def awaits(pool: ProcessPool) -> None:
    assert_type(await pool.run(half, 3, rounded=True), float)
    assert_type(await pool.at(deadline=1.5).run(half, 3), float)
    assert_type(await pool.submit(half, 3), float)
    assert_type(await asyncio.get_running_loop().run_in_executor(pool, half, 3), float)


def main() -> None:
    with ProcessPool(2, print, ("a worker begins",), max_tasks_per_child=100, preload=["json"], pin=False) as pool:
        assert_type(pool, ProcessPool)
        future = pool.submit(half, 3, rounded=True)
        assert_type(future, Future[float])
        assert_type(future.result(timeout=60), float)
        base: concurrent.futures.Future[float] = future
        assert base.done()
        assert_type(pool.map(half, [1, 2], chunksize=2, timeout=60.0, buffersize=3), Iterator[float])
        urgent = pool.at(priority=Priority.HIGH, deadline=60.0)
        assert_type(urgent, ProcessPoolView)
        assert_type(urgent.submit(str, 3), Future[str])
        assert takes_any_executor(pool) == takes_any_executor(urgent) == 4
        for one in concurrent.futures.as_completed([pool.submit(half, 1)]):
            assert_type(one.result(), float)
        assert_type(pool.kill(future), bool)
        assert_type(pool.stats(), libcoop.ProcessPoolStats)
        assert_type(pool.stats().workers, tuple[int, ...])
        asyncio.run(awaits(pool))
        died = WorkerDied("has ended")
        assert_type(died.exitcode, int | None)
        assert_type(died.tail, tuple[str, ...])

        # Whatever is written wrongly here is found: an ignore that is not needed is an error, too.
        assert pool.submit(half, "3").exception()  # type: ignore[arg-type]
        assert pool.submit(half, 3, round=True).exception()  # type: ignore[call-arg]
        assert pool.submit(half).exception()  # type: ignore[call-arg]


if __name__ == "__main__":
    main()
