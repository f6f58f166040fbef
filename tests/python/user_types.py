"""A user's program, for type checkers: what they infer is held against what is written here."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import assert_type

import libcoop
from libcoop import Dag, DagOutcome, DagRun, Future, Pool, Priority


def half(number: int, *, rounded: bool = False) -> float:
    return round(number / 2) if rounded else number / 2


def takes_any_executor(executor: concurrent.futures.Executor) -> int:
    return executor.submit(len, "four").result()


def main() -> None:
    with Pool(2, "user", capacity=10) as pool:
        assert_type(pool, Pool)
        future = pool.submit(half, 3, rounded=True)
        assert_type(future, Future[float])
        assert_type(future.result(), float)
        base: concurrent.futures.Future[float] = future
        assert_type(base.result(timeout=1.0), float)
        urgent = pool.at(priority=Priority.HIGH, timeout=None)
        assert_type(urgent, libcoop.PoolView)
        assert_type(urgent.submit(str, 3).result(), str)
        for result in pool.map(half, [1, 2]):
            assert_type(result, float)
        thread_pool: concurrent.futures.ThreadPoolExecutor = pool
        assert takes_any_executor(thread_pool) == takes_any_executor(urgent) == 4
        done, not_done = concurrent.futures.wait([pool.submit(half, 1)], timeout=5)
        assert len(done) == 1
        assert not not_done
        assert_type(pool.stats(), libcoop.PoolStats)

        dag = Dag()
        dag.input("number")
        added = dag.node(half, name="half", reads=["number"], retry=1, priority=Priority.HIGH)
        assert_type(added(3, rounded=True), float)

        @dag.node(backoff=0.0, keep=True)
        def doubled(half: float) -> float:
            return half * 2

        @dag.node
        def told(doubled: float) -> str:
            return str(doubled)

        assert_type(doubled(3.0), float)
        assert_type(told(3.0), str)
        assert_type(dag.run(pool, {"number": 3}), DagRun)
        assert_type(dag.run(pool, {"number": 3}).result(5), DagOutcome)

        async def run() -> float:
            assert_type(await dag.run(pool, {"number": 3}), DagOutcome)
            assert_type(await urgent.run(half, 4), float)
            assert_type(await pool.submit(half, 4), float)
            return await pool.run(half, 8, rounded=True)

        assert asyncio.run(run()) == 4


if __name__ == "__main__":
    main()
