"""Priorities, CPUs, asyncio, and what a pool tells of itself."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Ended, EventKind, Priority, ProcessPool, ServiceEvent, WorkerDied
from processpoolkit import DEADLINE, Gate, affinity, echo, eventually, is_gone, leave, log, note, pid, until


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


def test_the_higher_goes_first(pool: ProcessPool, gate: Gate, tmp_path: Path) -> None:
    held = pool.submit(until, gate.path)
    gate.begun()
    notes = tmp_path / "notes"
    for level in (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.LOW, Priority.HIGH, Priority.NORMAL):
        pool.at(priority=level).submit(note, notes, level.name)
    gate.open()
    held.result(DEADLINE)
    pool.shutdown()
    assert notes.read_text().split() == ["HIGH", "HIGH", "NORMAL", "NORMAL", "LOW", "LOW"]


def test_views_say_what_they_are(pool: ProcessPool) -> None:
    view = pool.at(priority=Priority.HIGH, deadline=62.5)
    assert repr(view) == f"<{pool!r} at priority HIGH, any CPU, deadline 62.5 s>"
    assert repr(view.at(deadline=None)) == f"<{pool!r} at priority HIGH, any CPU>"
    assert isinstance(view, futures.Executor)
    assert list(view.map(abs, [-1, -2])) == [1, 2]
    assert view.stats().max_workers == 1
    with pytest.raises(libcoop.Invalid, match="priority must be one of"):
        pool.at(priority=7)


def test_pinned_workers_are_each_on_a_cpu_of_their_own() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with ProcessPool(len(cpus), pin=True) as pool:
        for cpu in cpus:
            assert pool.at(cpus=[cpu]).submit(affinity).result(DEADLINE) == [cpu]
            assert pool.at(cpus={cpu}).at(priority=Priority.HIGH).submit(affinity).result(DEADLINE) == [cpu]
        with pytest.raises(libcoop.Affinity, match="1023") as raised:
            pool.at(cpus=[1023]).submit(abs, -1)
        assert str(raised.value).endswith(f"they are on {{{', '.join(map(str, cpus))}}}")


def test_cpus_need_pinned_workers(pool: ProcessPool) -> None:
    with pytest.raises(libcoop.Affinity, match="pin"):
        pool.at(cpus=[0]).submit(abs, -1)
    with pytest.raises(TypeError, match="cpus"):
        pool.at(cpus=0)  # type: ignore[arg-type]


# --- asyncio ----------------------------------------------------------------------------------------------------------


def test_calls_are_awaited(pool: ProcessPool) -> None:
    async def main() -> list[int]:
        assert await pool.run(abs, -1) == 1
        assert await pool.at(priority=Priority.HIGH).run(echo, 2) == 2
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0)
        return list(await asyncio.gather(*(pool.run(echo, number) for number in range(100))))

    assert asyncio.run(main()) == list(range(100))


def test_a_loop_of_asyncio_runs_in_it(pool: ProcessPool) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, abs, -5)

    assert asyncio.run(main()) == 5


def test_a_task_that_is_cancelled_cancels_a_call_that_waits(pool: ProcessPool, gate: Gate, tmp_path: Path) -> None:
    async def main() -> None:
        held = asyncio.ensure_future(pool.run(until, gate.path, 3))
        while not gate.path.with_name("gate.begun").exists():
            await asyncio.sleep(0.001)
        queued = asyncio.ensure_future(pool.run(Path.touch, tmp_path / "made"))
        await asyncio.sleep(0)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        gate.open()
        assert await held == 3

    asyncio.run(main())
    pool.submit(abs, -1).result(DEADLINE)
    assert not (tmp_path / "made").exists()


def test_a_deadline_is_a_timeout_of_asyncio(pool: ProcessPool, gate: Gate) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await pool.at(deadline=0.05).run(until, gate.path)

    asyncio.run(main())


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_what_it_counts(pool: ProcessPool, gate: Gate) -> None:
    worker = pool.submit(pid).result(DEADLINE)
    pool.submit(divmod, 1, 0).exception(DEADLINE)
    held = pool.submit(until, gate.path)
    gate.begun()
    queued = pool.submit(abs, -1)
    stats = pool.stats()
    assert (stats.submitted, stats.queued, stats.workers) == (4, 1, (worker,))
    gate.open()
    held.result(DEADLINE)
    queued.result(DEADLINE)
    eventually(lambda: pool.stats().finished == 4)
    assert pool.stats().queued == 0
    os.kill(worker, 9)
    eventually(lambda: is_gone(worker))
    assert pool.submit(pid).result(DEADLINE) != worker
    eventually(lambda: pool.stats().died == 1)


def test_what_becomes_of_its_processes_is_told(pool: ProcessPool) -> None:
    with pool.events(kinds=EventKind.ENDED) as events:
        error = pool.submit(leave, 7).exception(DEADLINE)
        ended = events.next(DEADLINE)
    assert isinstance(error, WorkerDied)
    assert isinstance(ended, ServiceEvent)
    assert isinstance(ended.how, Ended)
    assert (ended.kind, ended.how.code) == (EventKind.ENDED, 7)
    assert ended.path.startswith("process-pool/")


def test_log_records_of_calls_come_to_this_process(pool: ProcessPool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        pool.submit(log, "from over there").result(DEADLINE)
        eventually(lambda: "from over there" in caplog.text)
    assert caplog.records[-1].name == "of.a.call"


def test_nothing_heavy_is_imported_until_it_is_used(program: Any) -> None:
    program(
        """
        import sys
        import libcoop
        heavy = {"asyncio", "multiprocessing", "concurrent.futures", "pickle", "libcoop._process_pool"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        libcoop.ProcessPool
        assert not {"asyncio", "multiprocessing"} & set(sys.modules)
        """
    )
    assert sys.modules
