"""`libcoop.Future`: waited for by threads, awaited by coroutines, cancelled with what it stands for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent import futures

import pytest
from libcoop import Future

DEADLINE = 30.0


class Operation(Future[int]):
    """One that counts how often it was told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    def _on_cancel(self) -> None:
        self.told += 1


def test_it_is_awaited_in_asyncio() -> None:
    async def main() -> int:
        future: Future[int] = Future()
        asyncio.get_running_loop().call_soon(future.set_result, 3)
        return await future

    assert asyncio.run(main()) == 3


def test_awaiting_gives_its_exception() -> None:
    async def main() -> int:
        future: Future[int] = Future()
        asyncio.get_running_loop().call_soon(future.set_exception, LookupError("mine"))
        return await future

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(main())


def test_cancelling_the_task_cancels_it() -> None:
    future = Operation()

    async def main() -> None:
        async def wait() -> int:
            return await future

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert future.cancelled()
    assert future.told == 1


def test_cancelling_tells_once_and_never_one_that_runs_or_is_done() -> None:
    pending, running, done = Operation(), Operation(), Operation()
    assert running.set_running_or_notify_cancel()
    done.set_result(1)
    assert [future.cancel() for future in (pending, pending, running, done)] == [True, True, False, False]
    assert [future.told for future in (pending, running, done)] == [1, 0, 0]


def test_the_functions_of_concurrent_futures_take_it() -> None:
    one: Future[int] = Future()
    other: Future[int] = Future()
    one.set_result(1)
    done, left = futures.wait([one, other], DEADLINE, futures.FIRST_COMPLETED)
    assert (done, left) == ({one}, {other})
    other.set_result(2)
    assert {future.result() for future in futures.as_completed([one, other], DEADLINE)} == {1, 2}


def test_asyncio_is_imported_only_to_await() -> None:
    program = """if True:
        import sys, libcoop
        future = libcoop.Future()
        future.set_result(1)
        assert future.result() == 1
        assert "asyncio" not in sys.modules"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
