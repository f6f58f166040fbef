"""Futures of an event loop: settled, waited for with and without asyncio, cancelled, and ended with their loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import READ, WRITE, EventLoop, RunMode

Pair = tuple[socket.socket, socket.socket]
Make = Callable[[EventLoop, Pair], "libcoop.Future[Any]"]


def sleep(loop: EventLoop, _: Pair) -> libcoop.Future[Any]:
    return loop.sleep(60)


def readable(loop: EventLoop, pair: Pair) -> libcoop.Future[Any]:
    return loop.readable(pair[0])


WAITING = pytest.mark.parametrize("make", [sleep, readable])


def test_without_asyncio_a_thread_waits(running_loop: EventLoop, pair: Pair) -> None:
    left, right = pair
    assert running_loop.sleep(0.001).result(DEADLINE) is None
    assert running_loop.writable(left).result(DEADLINE) == WRITE
    readable = running_loop.readable(left.fileno())
    assert not readable.done()
    right.send(b"x")
    assert readable.result(DEADLINE) == READ
    # Again at once: the watch has ended before the future.
    assert running_loop.readable(left).result(DEADLINE) == READ
    right.close()
    assert running_loop.readable(left).result(DEADLINE) & libcoop.HANG_UP


def test_in_asyncio_a_coroutine_awaits(running_loop: EventLoop, pair: Pair) -> None:
    left, right = pair

    async def main() -> list[object]:
        readable = running_loop.readable(left)
        running_loop.call_later(0.001, right.send, b"x")
        return list(await asyncio.gather(running_loop.sleep(0.002), readable, running_loop.writable(right)))

    assert asyncio.run(main()) == [None, READ, WRITE]


def test_a_cancelled_task_cancels_what_it_awaits(running_loop: EventLoop, pair: Pair) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(running_loop.readable(pair[0]), 0.01)
        # The watch is gone with it.
        running_loop.watch(pair[0], READ, print).cancel()

    asyncio.run(main())


def test_the_functions_of_concurrent_futures_take_them(running_loop: EventLoop, pair: Pair) -> None:
    never: concurrent.futures.Future[Any] = running_loop.readable(pair[0])
    soon: list[concurrent.futures.Future[Any]] = [running_loop.sleep(0.001 * n) for n in range(3)]
    done, left = concurrent.futures.wait([never, *soon], return_when=concurrent.futures.FIRST_COMPLETED)
    assert never in left
    assert done <= set(soon)
    assert list(concurrent.futures.as_completed(soon, DEADLINE))
    threading.Timer(0.001, never.cancel).start()
    assert concurrent.futures.wait([never], DEADLINE).done == {never}


@WAITING
def test_cancel_ends_it(running_loop: EventLoop, pair: Pair, make: Make) -> None:
    told: list[concurrent.futures.Future[object]] = []
    future = make(running_loop, pair)
    future.add_done_callback(told.append)
    assert future.cancel()
    assert future.cancel()
    assert told == [future]
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(0)
    # Nothing is left that would keep the loop.
    make(running_loop, pair).cancel()
    running_loop.stop()
    running_loop.join(DEADLINE)


def test_one_that_is_done_is_not_cancelled(running_loop: EventLoop) -> None:
    future = running_loop.sleep(0)
    future.result(DEADLINE)
    assert not future.cancel()


@WAITING
@pytest.mark.parametrize("end", ["stop", "close"])
@pytest.mark.parametrize("start", [True, False])
def test_the_loops_end_ends_it_with_closed(make: Make, pair: Pair, end: str, start: bool) -> None:
    loop = EventLoop()
    future = make(loop, pair)
    if start:
        loop.start()
    getattr(loop, end)()
    if start:
        loop.join(DEADLINE)
    else:
        loop.close()
    with pytest.raises(libcoop.Closed, match="the event loop is closed"):
        future.result(DEADLINE)
    with pytest.raises(libcoop.Closed):
        make(loop, pair)


def test_it_waits_for_the_loop_to_run(loop: EventLoop) -> None:
    future = loop.sleep(0)
    with pytest.raises(TimeoutError):
        future.result(0.01)
    loop.run(RunMode.UNTIL_IDLE)
    assert future.result(0) is None


def test_a_loop_until_idle_waits_for_it(loop: EventLoop, pair: Pair) -> None:
    left, right = pair
    read = loop.readable(left)
    read.add_done_callback(lambda _: right.close())
    loop.sleep(0.001).add_done_callback(lambda _: right.send(b"x"))
    loop.run(RunMode.UNTIL_IDLE)
    assert read.result(0) == READ
    assert right.fileno() == -1


def test_what_is_wrong_is_raised_at_once(loop: EventLoop, pair: Pair) -> None:
    with pytest.raises(ValueError, match="delay must be at least 0 seconds, not -1"):
        loop.sleep(-1)
    with pytest.raises(TypeError, match="fd must be a file descriptor or an object with fileno"):
        loop.readable("0")  # type: ignore[arg-type]
    first = loop.readable(pair[0])
    with pytest.raises(libcoop.Exists, match="has a watch already"):
        loop.writable(pair[0])
    assert not first.done()


@WAITING
@pytest.mark.parametrize("how", ["end", "cancel", "close"])
def test_nothing_is_left_of_it(make: Make, pair: Pair, how: str) -> None:
    with EventLoop() as loop:
        loop.start()
        future = loop.sleep(0) if how == "end" else make(loop, pair)
        gone = weakref.ref(future)
        if how == "end":
            future.result(DEADLINE)
        elif how == "cancel":
            future.cancel()
        else:
            loop.close()
            future.exception(DEADLINE)
        del future
        deadline = time.monotonic() + DEADLINE
        # The thread that settled it may be about to let go of it.
        while gone() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
            gc.collect()
        assert gone() is None


def test_many_at_once_from_many_threads(running_loop: EventLoop) -> None:
    futures: list[libcoop.Future[None]] = []

    def make() -> None:
        for n in range(500):
            future = running_loop.sleep(n % 7 / 1000)
            if n % 5 == 0:
                future.cancel()
            futures.append(future)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = concurrent.futures.wait(futures, DEADLINE).done
    assert len(done) == 2000
    assert all(future.cancelled() or future.result() is None for future in done)


def test_ctrl_c_ends_a_wait(running_loop: EventLoop) -> None:
    future = running_loop.sleep(60)

    def interrupted() -> None:
        running_loop.call_later(0.02, os.kill, os.getpid(), signal.SIGINT)
        future.result(DEADLINE)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert future.cancel()


def test_asyncio_is_imported_only_to_await(program: Program) -> None:
    program(
        """
        import sys
        import libcoop

        with libcoop.EventLoop() as loop:
            loop.start()
            loop.sleep(0).result(20)
            assert "asyncio" not in sys.modules

            async def main():
                await loop.sleep(0)

            import asyncio
            asyncio.run(main())
        """
    )


@pytest.mark.parametrize("start", ["loop.start()", "pass"])
@pytest.mark.parametrize("keep", ["loop", "None"])
def test_outstanding_futures_do_not_hinder_the_exit(program: Program, start: str, keep: str) -> None:
    program(
        f"""
        import socket
        import libcoop

        left, right = socket.socketpair()
        loop = libcoop.EventLoop()
        futures = [loop.sleep(60), loop.readable(left), loop.sleep(0)]
        futures[0].add_done_callback(lambda future: print(type(future.exception()).__name__))
        {start}
        loop = {keep}
        """
    )


def test_in_a_forked_child_it_is_refused(program: Program) -> None:
    program(
        """
        import os
        import libcoop

        loop = libcoop.EventLoop()
        loop.start()
        future = loop.sleep(60)
        pid = os.fork()
        if pid == 0:
            try:
                loop.sleep(0)
            except libcoop.Forked:
                future.cancel()
                with libcoop.EventLoop() as own:
                    own.start()
                    own.sleep(0).result(20)
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert not future.done()
        loop.close()
        assert isinstance(future.exception(20), libcoop.Closed)
        """
    )
