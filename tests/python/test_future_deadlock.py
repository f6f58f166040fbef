"""A future of a loop's is not waited for on the thread that would end it; elsewhere, and when it is done, it is."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import pytest
from libcoop import EventLoop, Future, Pool, Redis, WouldDeadlock
from rediskit import running

DEADLINE = 60.0


@pytest.fixture
def other_loop() -> Iterator[EventLoop]:
    with EventLoop() as loop:
        loop.start()
        yield loop


def inside(loop: EventLoop, call: Callable[[], Any]) -> Any:
    """What a callback of the loop has of it."""
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def callback() -> None:
        try:
            told.put(call())
        except BaseException as error:
            told.put(error)

    loop.post(callback)
    return told.get(timeout=DEADLINE)


@pytest.mark.parametrize("ask", ["result", "exception"])
@pytest.mark.parametrize("what", ["sleep", "readable", "resolve", "connect", "accept", "read"])
def test_on_its_loops_thread_a_wait_without_an_end_is_refused(running_loop: EventLoop, what: str, ask: str) -> None:
    left, right = socket.socketpair()
    with left, right, socket.socket() as quiet, running_loop.listen("127.0.0.1", 0) as listener:
        quiet.bind(("127.0.0.1", 0))
        quiet.listen()
        made: dict[str, Callable[[], Future[Any]]] = {
            "sleep": lambda: running_loop.sleep(DEADLINE),
            "readable": lambda: running_loop.readable(left),
            "resolve": lambda: running_loop.resolve("localhost", 80),
            "connect": lambda: running_loop.connect("127.0.0.1", quiet.getsockname()[1]),
            "accept": listener.accept,
            "read": running_loop.adopt(right.detach()).read,
        }
        futures: list[Future[Any]] = []

        def wait() -> Any:
            futures.append(made[what]())
            return getattr(futures[0], ask)()

        error = inside(running_loop, wait)
        assert isinstance(error, WouldDeadlock), error
        assert "await it, or use add_done_callback" in str(error)
        futures[0].cancel()


def test_one_that_is_done_answers(running_loop: EventLoop) -> None:
    future = running_loop.sleep(0)
    assert future.result(DEADLINE) is None
    assert inside(running_loop, future.result) is None
    assert inside(running_loop, future.exception) is None
    # In its own callback it is.
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    running_loop.sleep(0.001).add_done_callback(lambda done: told.put(done.result()))
    assert told.get(timeout=DEADLINE) is None


def test_a_wait_with_an_end_has_its_end(running_loop: EventLoop) -> None:
    future = running_loop.sleep(DEADLINE)
    assert isinstance(inside(running_loop, lambda: future.result(0)), NotYet)
    assert isinstance(inside(running_loop, lambda: future.result(0.001)), NotYet)
    future.cancel()


def test_what_others_end_is_waited_for(running_loop: EventLoop, other_loop: EventLoop) -> None:
    assert inside(running_loop, lambda: other_loop.sleep(0.001).result()) is None
    with Pool(1) as pool:
        assert inside(running_loop, lambda: pool.submit(sum, [1, 2]).result()) == 3
    future: Future[int] = Future()
    other_loop.call_later(0.001, future.set_result, 7)
    assert inside(running_loop, future.result) == 7
    assert running_loop.sleep(0.001).result() is None


def test_a_call_of_redis(running_loop: EventLoop) -> None:
    with running() as server, Redis(server.url, loop=running_loop) as client:
        assert isinstance(inside(running_loop, lambda: client.submit("BLPOP", "none", 0).result()), WouldDeadlock)
    with running() as server, Redis(server.url) as client:
        # Its loop is its own.
        assert inside(running_loop, lambda: client.submit("PING").result()) is True
