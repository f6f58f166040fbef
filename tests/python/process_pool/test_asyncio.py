"""Calls that are awaited: cancelled, given up, by several loops and threads at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import libcoop
import pytest
from libcoop import Priority, ProcessPool, WorkerDied
from processpoolkit import (
    DEADLINE,
    Gate,
    echo,
    eventually,
    is_gone,
    kill_self,
    pid,
    raise_cancelled,
    raise_opaque,
    until,
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


async def begun(gate: Gate) -> int:
    return await asyncio.to_thread(gate.begun)


def test_all_ways_to_await_a_call(pool: ProcessPool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await pool.submit(abs, -1) == 1
        assert await pool.run(divmod, 7, 2) == (3, 1)
        assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)
        assert await loop.run_in_executor(pool.at(priority=Priority.HIGH), abs, -3) == 3
        assert await asyncio.wrap_future(pool.submit(abs, -4)) == 4
        done, _ = await asyncio.wait([asyncio.ensure_future(pool.run(abs, -number)) for number in range(5)])
        assert {one.result() for one in done} == {0, 1, 2, 3, 4}
        assert sorted([await one for one in asyncio.as_completed([pool.run(echo, 5), pool.run(echo, 6)])]) == [5, 6]

    asyncio.run(main())


def test_what_a_call_raises_is_raised_where_it_is_awaited(pool: ProcessPool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError) as raised:
            await loop.run_in_executor(pool, divmod, 1, 0)
        assert "ZeroDivisionError" in str(raised.value.__cause__)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            await pool.run(kill_self)
        with pytest.raises(libcoop.Failed, match="of glass"):
            await pool.submit(raise_opaque)
        with pytest.raises(TypeError, match="must be callable"):
            await pool.run(None)  # type: ignore[arg-type]
        assert await pool.run(abs, -1) == 1

    asyncio.run(main())


def test_a_stop_iteration_ends_who_awaits_it(pool: ProcessPool) -> None:
    async def main() -> None:
        for way in (pool.run, pool.submit, pool.at(priority=Priority.HIGH).run):
            with pytest.raises(RuntimeError, match="raised StopIteration") as raised:
                await asyncio.wait_for(way(next, iter(())), DEADLINE)
            cause: BaseException | None = raised.value
            while cause is not None and not isinstance(cause, StopIteration):
                cause = cause.__cause__
            assert cause is not None, "what was raised is not told"
        # Where it is not awaited, it is what it is.
        assert isinstance(pool.submit(next, iter(())).exception(DEADLINE), StopIteration)
        assert await pool.run(abs, -1) == 1

    asyncio.run(main())


def test_a_cancelled_error_of_the_call_is_asyncios(pool: ProcessPool) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await pool.run(raise_cancelled)
        assert await pool.run(abs, -1) == 1

    asyncio.run(main())


def test_who_gives_up_waiting_for_a_call_that_runs_lets_it_run(pool: ProcessPool, gate: Gate) -> None:
    async def main() -> None:
        held = asyncio.ensure_future(pool.run(until, gate.path))
        worker = await begun(gate)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(held, 0.01)
        assert held.cancelled()
        gate.open()
        # The call has gone on, and its worker with it.
        assert await pool.run(pid) == worker

    asyncio.run(main())


@pytest.mark.parametrize("way", ["run", "submit", "run_in_executor"])
def test_who_gives_up_waiting_for_a_call_that_waits_cancels_it(
    pool: ProcessPool, gate: Gate, way: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"

    async def main() -> None:
        held = pool.submit(until, gate.path)
        await begun(gate)
        if way == "run":
            queued: asyncio.Future[None] = asyncio.ensure_future(pool.run(Path.touch, made))
        elif way == "submit":
            queued = asyncio.wrap_future(pool.submit(Path.touch, made))
        else:
            queued = asyncio.get_running_loop().run_in_executor(pool, Path.touch, made)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queued, 0.01)
        gate.open()
        await held
        assert await pool.run(abs, -1) == 1

    asyncio.run(main())
    assert not made.exists()


def test_a_call_that_runs_is_ended_while_it_is_awaited(pool: ProcessPool, gate: Gate) -> None:
    async def main() -> None:
        running = pool.submit(until, gate.path)
        worker = await begun(gate)
        assert pool.kill(running)
        with pytest.raises((futures.CancelledError, asyncio.CancelledError)):
            await running
        assert is_gone(worker)

    asyncio.run(main())


def test_a_task_group_that_fails_cancels_what_waits(pool: ProcessPool, gate: Gate, tmp_path: Path) -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(pool.run(until, gate.path))
            await begun(gate)
            group.create_task(pool.run(Path.touch, tmp_path / "made"))
            await asyncio.sleep(0)
            raise LookupError("enough")

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            await fail()
        assert raised.group_contains(LookupError, match="enough")
        gate.open()
        assert await pool.run(abs, -1) == 1

    asyncio.run(main())
    assert not (tmp_path / "made").exists()


def test_one_pool_of_many_loops_and_threads(pool: ProcessPool) -> None:
    results: list[list[int]] = []

    async def calls(base: int) -> list[int]:
        return list(await asyncio.gather(*(pool.run(echo, base + number) for number in range(50))))

    def of_a_loop(base: int) -> None:
        results.append([one - base for one in asyncio.run(calls(base))])

    def of_none(base: int) -> None:
        results.append([one - base for one in pool.map(echo, range(base, base + 50))])

    threads = [threading.Thread(target=of_a_loop, args=(100 * number,)) for number in range(3)]
    threads += [threading.Thread(target=of_none, args=(100 * number,)) for number in range(3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert results == [list(range(50))] * 6


def test_a_future_that_is_awaited_by_several_loops(pool: ProcessPool, gate: Gate) -> None:
    future = pool.submit(until, gate.path, "it")
    told: list[str] = []

    async def wait() -> None:
        told.append(await future)

    threads = [threading.Thread(target=lambda: asyncio.run(wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.begun()
    gate.open()
    for thread in threads:
        thread.join(DEADLINE)
    assert told == ["it"] * 3


def test_a_loop_that_is_closed_before_its_call_is_over(
    pool: ProcessPool, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        asyncio.ensure_future(pool.run(until, gate.path)).add_done_callback(lambda _: None)
        await begun(gate)

    # Its tasks are cancelled as it ends.
    asyncio.run(main())
    gate.open()
    assert pool.submit(abs, -1).result(DEADLINE) == 1
    assert "closed" not in caplog.text


def test_a_pool_ends_while_a_loop_awaits_its_calls(gate: Gate) -> None:
    pool = ProcessPool(1)

    async def main() -> None:
        held, queued = asyncio.ensure_future(pool.run(until, gate.path, 3)), asyncio.ensure_future(pool.run(abs, -1))
        await begun(gate)
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await queued
        gate.open()
        assert await held == 3
        await asyncio.to_thread(pool.shutdown)
        with pytest.raises(RuntimeError, match="after shutdown"):
            await pool.run(abs, -1)

    asyncio.run(main())
    eventually(lambda: not pool.stats().workers)
