"""Stop and free of an event loop, case by case: nothing hangs, nothing leaks, what was accepted runs or is dropped."""

from __future__ import annotations

import queue
import socket
import threading
import weakref
from collections.abc import Callable, Iterator

import libcoop
import pytest
from conftest import DEADLINE
from libcoop import READ, WRITE, EventLoop, Runtime


class Counted:
    """What callbacks hold; how many are alive is how many were not dropped."""

    alive = 0

    def __init__(self) -> None:
        Counted.alive += 1
        weakref.finalize(self, Counted._gone)

    @staticmethod
    def _gone() -> None:
        Counted.alive -= 1

    def run(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    assert Counted.alive == 0
    yield
    deadline = threading.Event()
    for _ in range(int(DEADLINE * 100)):
        if Counted.alive == 0:
            return
        # A loop's thread that just lets go.
        deadline.wait(0.01)
    assert Counted.alive == 0


def fill(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    """Something of each kind that waits."""
    thing = Counted()
    loop.post(thing.run, thing)
    loop.call_later(60, thing.run, thing)
    loop.call_later(60, thing.run, thing, repeat=60)
    loop.watch(pair[0], READ, thing.run)
    loop.sleep(60).add_done_callback(thing.run)


@pytest.fixture(params=["stop", "close"])
def end(request: pytest.FixtureRequest) -> str:
    end: str = request.param
    return end


def finish(loop: EventLoop, end: str) -> None:
    getattr(loop, end)()
    if end == "stop":
        loop.join(DEADLINE)
        loop.close()


Pair = tuple[socket.socket, socket.socket]


def test_from_any_thread_and_twice(end: str, pair: Pair) -> None:
    loop = EventLoop()
    loop.start()
    fill(loop, pair)
    threads = [threading.Thread(target=getattr(loop, end)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    finish(loop, end)
    finish(loop, end)
    with pytest.raises(libcoop.Closed):
        loop.post(print)


def test_before_start(end: str, pair: Pair) -> None:
    loop = EventLoop()
    fill(loop, pair)
    getattr(loop, end)()
    if end == "close":
        with pytest.raises(libcoop.Closed):
            loop.start()
    else:
        # What was accepted runs; then it is over.
        loop.start()
        loop.join(DEADLINE)
        with pytest.raises(libcoop.Closed):
            loop.start()
    loop.close()


def test_during_start(end: str, pair: Pair) -> None:
    for _ in range(30):
        loop = EventLoop()
        thread = threading.Thread(target=getattr(loop, end))
        thread.start()
        try:
            loop.start()
        except libcoop.Closed:
            assert loop.stopped
        thread.join(DEADLINE)
        assert not thread.is_alive()
        finish(loop, end)


@pytest.mark.parametrize("source", ["post", "timer", "watch", "future"])
def test_from_a_callback(end: str, source: str, pair: Pair) -> None:
    loop = EventLoop()
    ended = threading.Event()

    def callback(*_: object) -> None:
        getattr(loop, end)()
        getattr(loop, end)()
        ended.set()

    fill(loop, pair)
    if source == "post":
        loop.post(callback)
    elif source == "timer":
        loop.call_later(0, callback, repeat=0.001)
    elif source == "watch":
        loop.watch(pair[1], WRITE, callback)
    else:
        loop.sleep(0).add_done_callback(callback)
    loop.start()
    assert ended.wait(DEADLINE)
    loop.join(DEADLINE)
    loop.close()


def test_from_the_pool(end: str, pair: Pair) -> None:
    runtime = Runtime(2)
    runtime.start()
    fill(runtime.event_loop, pair)
    ended = threading.Event()

    def callback() -> None:
        getattr(runtime, end)()
        ended.set()

    runtime.event_loop.call_later(0, callback)
    assert ended.wait(DEADLINE)
    runtime.event_loop.join(DEADLINE)
    runtime.stop(DEADLINE)
    runtime.close()


def test_from_a_posted_callback_that_posts_again(end: str, pair: Pair) -> None:
    loop = EventLoop()
    fill(loop, pair)
    ran: queue.SimpleQueue[str] = queue.SimpleQueue()

    def again() -> None:
        ran.put("posted before")

    def callback() -> None:
        thing = Counted()
        loop.post(again)
        loop.post(thing.run, thing)
        getattr(loop, end)()
        with pytest.raises(libcoop.Closed):
            loop.post(thing.run, thing)
        ran.put("ended")

    loop.post(callback)
    loop.start()
    loop.join(DEADLINE)
    assert ran.get(timeout=DEADLINE) == "ended"
    if end == "stop":
        assert ran.get(timeout=DEADLINE) == "posted before"
    assert ran.empty()
    loop.close()


def test_posts_of_many_threads_during_it(end: str) -> None:
    for _ in range(10):
        loop = EventLoop()
        loop.start()
        ran: list[int] = []
        accepted: list[int] = []

        def post(loop: EventLoop = loop, ran: list[int] = ran, accepted: list[int] = accepted) -> None:
            count = 0
            try:
                while True:
                    loop.post(ran.append, 1)
                    count += 1
            except libcoop.Closed:
                accepted.append(count)

        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        finish(loop, end)
        for thread in threads:
            thread.join(DEADLINE)
        if end == "stop":
            assert len(ran) == sum(accepted), "every accepted one has run"
        else:
            assert len(ran) <= sum(accepted)


@pytest.mark.parametrize("kind", ["timer", "watch", "stream"])
def test_free_from_inside_the_sources_own_callback(kind: str, pair: Pair) -> None:
    """The object that names the source is let go of, and the source cancelled, by its own callback."""
    with EventLoop() as loop:
        thing = Counted()
        done = threading.Event()
        held: list[libcoop.Timer | libcoop.Watch | libcoop.Listener] = []

        def callback(*_: object, thing: Counted = thing) -> None:
            source = held.pop()
            source.close() if isinstance(source, libcoop.Listener) else source.cancel()
            done.set()

        if kind == "timer":
            held.append(loop.call_later(0, callback, repeat=0.001))
        elif kind == "watch":
            held.append(loop.watch(pair[0], WRITE, callback))
        else:
            listener = loop.listen("127.0.0.1", 0)
            held.append(listener)
            accept = listener.accept()
            accept.add_done_callback(callback)
            assert isinstance(listener.local_address, tuple)
            client = socket.create_connection(listener.local_address)
            client.close()
            del listener
        loop.start()
        assert done.wait(DEADLINE)
        del callback, thing
        if kind == "stream":
            accept.result(DEADLINE).close()
            del accept


def test_post_and_wait_and_the_end(end: str) -> None:
    loop = EventLoop()
    loop.start()
    assert loop.post_and_wait(sum, [1, 2, 3]) == 6
    with pytest.raises(LookupError, match="its own"):
        loop.post_and_wait(fail)
    inside = loop.post_and_wait(attempt, lambda: loop.post_and_wait(print))
    assert isinstance(inside, libcoop.WouldDeadlock)
    begun, go = threading.Event(), threading.Event()
    ran: list[int] = []

    def busy() -> None:
        begun.set()
        go.wait(DEADLINE)

    loop.post(busy)
    assert begun.wait(DEADLINE)
    with pytest.raises(libcoop.Timeout, match="has not come to the post"):
        loop.post_and_wait(ran.append, 1, timeout=0.01)
    waiting: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: waiting.put(attempt(lambda: loop.post_and_wait(ran.append, 2))))
    thread.start()
    ending = threading.Thread(target=getattr(loop, end))
    while thread.is_alive() and not begun.wait(0):
        pass
    ending.start()
    while not loop.stopped:
        pass
    go.set()
    told = waiting.get(timeout=DEADLINE)
    # Accepted before the end, it ran if the loop was stopped; else, or if it came too late, it is told so.
    assert told is None or isinstance(told, libcoop.Closed)
    assert ran == ([2] if told is None else [])
    ending.join(DEADLINE)
    thread.join(DEADLINE)
    loop.join(DEADLINE)
    loop.close()


def fail() -> None:
    raise LookupError("its own")


def attempt(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None
