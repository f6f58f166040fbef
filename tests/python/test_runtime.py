"""`libcoop.Runtime`: a loop and a pool as one."""

from __future__ import annotations

import queue
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import libcoop
import pytest
from libcoop import Runtime

DEADLINE = 30.0


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(2)
    yield runtime
    runtime.close()


def get(told: queue.SimpleQueue[Any]) -> Any:
    return told.get(timeout=DEADLINE)


def test_posts_run_on_the_loop_and_its_sources_in_the_pool(runtime: Runtime) -> None:
    runtime.start()
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def where(name: str, *_: object) -> None:
        told.put((name, threading.get_ident()))

    runtime.event_loop.post(where, "post")
    runtime.event_loop.post(where, "post")
    (_, on_loop), (_, again) = get(told), get(told)
    assert on_loop == again
    inside = {runtime.pool.submit(threading.get_ident).result(DEADLINE) for _ in range(100)}
    runtime.event_loop.call_later(0, where, "timer")
    name, thread = get(told)
    assert (name, thread != on_loop) == ("timer", True)
    left, right = socket.socketpair()

    def where_watched(_: int) -> None:
        left.recv(1)
        where("watch")

    with left, right:
        right.send(b"x")
        watch = runtime.event_loop.watch(left, libcoop.READ, where_watched)
        name, watched = get(told)
        watch.cancel()
    assert (name, watched != on_loop) == ("watch", True)
    assert on_loop not in inside
    assert threading.get_ident() not in {on_loop, thread, watched} | inside


def test_callbacks_of_a_source_do_not_overlap(runtime: Runtime) -> None:
    runtime.start()
    inside, overlaps, done = threading.Lock(), [], threading.Event()
    count = 0

    def tick() -> None:
        nonlocal count
        if not inside.acquire(blocking=False):
            overlaps.append(count)
            return
        count += 1
        if count == 50:
            done.set()
        sum(range(10000))
        inside.release()

    runtime.event_loop.call_later(0, tick, repeat=0.0005)
    assert done.wait(DEADLINE)
    assert overlaps == []


def test_start_with_wait_runs_here_until_it_is_stopped(runtime: Runtime) -> None:
    ran: list[int] = []
    runtime.event_loop.post(lambda: ran.append(threading.get_ident()))
    runtime.event_loop.call_later(0.001, runtime.stop)
    runtime.start(wait=True)
    assert ran == [threading.get_ident()]
    with pytest.raises(libcoop.Closed):
        runtime.start()


@pytest.mark.parametrize("end", ["stop", "close"])
def test_another_thread_ends_a_start_with_wait(runtime: Runtime, end: str) -> None:
    began = threading.Event()
    runtime.event_loop.post(began.set)

    def finish() -> None:
        assert began.wait(DEADLINE)
        getattr(runtime, end)()

    thread = threading.Thread(target=finish)
    thread.start()
    runtime.start(wait=True)
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_stop_runs_what_both_had_accepted(runtime: Runtime) -> None:
    ran: list[str] = []
    for _ in range(100):
        runtime.event_loop.post(ran.append, "loop")
        runtime.pool.submit(ran.append, "pool")
    runtime.start()
    runtime.stop(DEADLINE)
    runtime.stop()
    assert sorted(ran) == ["loop"] * 100 + ["pool"] * 100
    with pytest.raises(libcoop.Closed):
        runtime.event_loop.post(print)
    with pytest.raises(libcoop.Closed):
        runtime.pool.submit(print)


@pytest.mark.parametrize("where", ["loop", "pool"])
@pytest.mark.parametrize("end", ["stop", "close"])
def test_it_is_ended_by_its_own_callbacks(where: str, end: str) -> None:
    runtime = Runtime(1)
    told: queue.SimpleQueue[str] = queue.SimpleQueue()

    def finish() -> None:
        getattr(runtime, end)()
        told.put("returned")

    if where == "loop":
        runtime.event_loop.post(finish)
    else:
        runtime.pool.submit(finish)
    runtime.start()
    assert get(told) == "returned"
    runtime.event_loop.join(DEADLINE)
    runtime.stop(DEADLINE)


def test_a_stop_that_is_late_says_so_drops_what_is_queued_and_may_be_called_again() -> None:
    for where in ("loop", "pool"):
        runtime = Runtime(1)
        runtime.start()
        go, began = threading.Event(), threading.Event()

        def busy(began: threading.Event = began, go: threading.Event = go) -> None:
            began.set()
            go.wait(DEADLINE)

        if where == "loop":
            runtime.event_loop.post(busy)
            assert began.wait(DEADLINE)
            queued = None
        else:
            runtime.pool.submit(busy)
            assert began.wait(DEADLINE)
            queued = runtime.pool.submit(abs, -1)
        with pytest.raises(libcoop.Timeout):
            runtime.stop(0.01)
        with pytest.raises(libcoop.Closed):
            runtime.pool.submit(abs, -1)
        assert queued is None or queued.cancelled()
        go.set()
        runtime.stop(DEADLINE)


def test_close_may_be_called_again_and_stop_after_it() -> None:
    with Runtime(1) as runtime:
        runtime.start()
        pool = runtime.pool
        runtime.close()
        runtime.close()
        runtime.stop()
    for call in (runtime.start, lambda: pool.submit(print)):
        with pytest.raises(libcoop.Closed):
            call()
    pool.shutdown()
    runtime.event_loop.close()


def test_a_with_block_stops_it() -> None:
    ran: list[int] = []
    with Runtime(1) as runtime:
        runtime.start()
        runtime.pool.submit(ran.append, 1)
        runtime.event_loop.post(ran.append, 2)
    assert sorted(ran) == [1, 2]


def test_wrong_numbers_of_workers_are_refused_in_words() -> None:
    for workers in (0, 5000):
        with pytest.raises(libcoop.Invalid, match=rf"{workers} workers: allowed are 1\.\.=1024"):
            Runtime(workers)
    with pytest.raises(libcoop.Invalid, match="-1 workers"):
        Runtime(-1)
    with pytest.raises(TypeError):
        Runtime("four")  # type: ignore[arg-type]


def test_it_is_shown(runtime: Runtime) -> None:
    assert repr(runtime) == "<libcoop.Runtime of 2 workers and <libcoop.EventLoop not running>>"
    assert runtime.pool is runtime.pool
    assert runtime.event_loop is runtime.event_loop


def test_it_lets_go_of_its_callbacks_and_ends_with_its_last_reference() -> None:
    class Thing:
        def ignore(self, *_: object) -> None:
            pass

    thing, runtime = Thing(), Runtime(1)
    gone = threading.Event()
    weakref.finalize(thing, gone.set)
    runtime.event_loop.call_later(60, thing.ignore, repeat=1)
    runtime.start()
    del thing
    assert not gone.is_set()
    loop = runtime.event_loop
    del runtime
    assert gone.wait(DEADLINE)
    assert loop.stopped


def test_dropping_while_callbacks_in_the_pool_want_the_interpreter() -> None:
    def churn() -> None:
        for _ in range(20):
            runtime = Runtime(2)
            for _ in range(5):
                runtime.event_loop.call_later(0, sum, range(2000), repeat=0.0001)
            runtime.start()
            runtime.pool.submit(sum, range(2000)).result(DEADLINE)
            del runtime

    threads = [threading.Thread(target=churn, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a deadlock"
