"""What CPython's own tests ask of an executor, asked of `libcoop.Pool` in words of our own."""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.thread import BrokenThreadPool
from functools import partial
from typing import Any

import pytest
from libcoop import Future, Pool
from streamkit import wait_until

DEADLINE = 30.0


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(4) as pool:
        yield pool


class Gate:
    """Calls that wait until they are let through."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, value: Any = None) -> Any:
        assert self._open.wait(DEADLINE)
        return value

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


# --- wait and as_completed --------------------------------------------------------------------------------------------


def test_wait_for_the_first(pool: Pool, gate: Gate) -> None:
    slow, fast = pool.submit(gate), pool.submit(abs, -1)
    done, left = futures.wait([slow, fast], DEADLINE, futures.FIRST_COMPLETED)
    assert (done, left) == ({fast}, {slow})
    gate.open()
    assert futures.wait([slow, fast], DEADLINE).not_done == set()


def test_wait_for_the_first_exception(pool: Pool, gate: Gate) -> None:
    slow, good, bad = pool.submit(gate), pool.submit(abs, -1), pool.submit(divmod, 1, 0)
    done, left = futures.wait([slow, good, bad], DEADLINE, futures.FIRST_EXCEPTION)
    assert bad in done
    assert slow in left


def test_wait_hears_of_those_that_are_cancelled(gate: Gate) -> None:
    with Pool(1) as pool:
        slow, queued = pool.submit(gate), pool.submit(abs, -1)
        waited: list[futures.wait] = []  # type: ignore[valid-type]
        waiter = threading.Thread(target=lambda: waited.append(futures.wait([slow, queued], DEADLINE)))
        waiter.start()
        while not queued._waiters:
            time.sleep(0.001)
        assert queued.cancel()
        gate.open()
        waiter.join(DEADLINE)
    assert waited[0].not_done == set()  # type: ignore[attr-defined]


def test_wait_gives_up_and_leaves_nothing_behind(pool: Pool, gate: Gate) -> None:
    slow, fast = pool.submit(gate), pool.submit(abs, -1)
    fast.result(DEADLINE)
    assert futures.wait([slow, fast], 0.01) == ({fast}, {slow})
    assert slow._waiters == []


def test_one_who_waits_twice_for_the_same_hears_of_it_once(pool: Pool) -> None:
    future = pool.submit(abs, -1)
    assert list(futures.as_completed([future] * 5, DEADLINE)) == [future]


def test_as_completed_gives_up_in_words(pool: Pool, gate: Gate) -> None:
    slow, fast = pool.submit(gate), pool.submit(abs, -1)
    fast.result(DEADLINE)
    with pytest.raises(TimeoutError, match=r"1 \(of 2\) futures unfinished"):
        list(futures.as_completed([slow, fast], 0.01))


def test_as_completed_lets_go_of_what_it_has_given() -> None:
    given: list[Future[object]] = [Future() for _ in range(3)]
    for future in given:
        future.set_result(None)
    gone = 0
    del future
    for each in futures.as_completed([given.pop() for _ in range(3)]):
        seen = weakref.ref(each)
        del each
        gc.collect()
        gone += seen() is None
    assert gone == 3


def test_all_of_many_that_end_while_they_are_waited_for(pool: Pool) -> None:
    for _ in range(200):
        jobs = [pool.submit(abs, -number) for number in range(20)]
        assert not futures.wait(jobs, DEADLINE).not_done


def test_futures_of_two_kinds_in_one_wait(pool: Pool) -> None:
    with futures.ThreadPoolExecutor(1) as other:
        jobs = [executor.submit(abs, -number) for executor in (pool, other) for number in range(50)]
        assert sorted(future.result() for future in futures.as_completed(jobs, DEADLINE)) == sorted([*range(50)] * 2)


# --- map --------------------------------------------------------------------------------------------------------------


def test_map_submits_before_it_is_iterated(pool: Pool) -> None:
    ran = threading.Event()
    pool.map(lambda _: ran.set(), [1])
    assert ran.wait(DEADLINE)


def test_map_takes_several_iterables_and_a_chunksize(pool: Pool) -> None:
    assert list(pool.map(pow, range(10), range(10), chunksize=3)) == [number**number for number in range(10)]
    assert list(pool.map(str, [])) == []


def test_map_raises_where_the_call_did(pool: Pool) -> None:
    results = pool.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
    assert [next(results), next(results)] == [(0, 1), (0, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_map_that_gives_up_cancels_what_has_not_begun(gate: Gate) -> None:
    with Pool(1) as pool:
        ran: list[int] = []
        busy = pool.submit(gate)
        with pytest.raises(TimeoutError):
            list(pool.map(ran.append, range(10), timeout=0.01))
        gate.open()
        busy.result(DEADLINE)
    assert ran == []


def test_map_takes_a_buffersize_where_pythons_own_does(pool: Pool) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    bounded: Callable[..., Iterator[int]] = pool.map
    if "buffersize" not in inspect.signature(futures.Executor.map).parameters:
        with pytest.raises(TypeError):
            bounded(abs, numbers(), buffersize=5)
        return
    results = bounded(abs, numbers(), buffersize=5)
    assert next(results) == 0
    assert len(taken) <= 6
    assert list(results) == list(range(1, 100))


# --- futures ----------------------------------------------------------------------------------------------------------


def test_a_future_says_how_far_it_is(gate: Gate) -> None:
    with Pool(1) as pool:
        running, queued = pool.submit(gate, 3), pool.submit(abs, -1)
        while not running.running():
            time.sleep(0.001)
        assert (running.done(), queued.running(), queued.done()) == (False, False, False)
        assert repr(running) == f"<Future at {id(running):#x} state=running>"
        assert repr(queued) == f"<Future at {id(queued):#x} state=pending>"
        assert queued.cancel()
        assert (queued.cancelled(), queued.done(), repr(queued)[-17:]) == (True, True, " state=cancelled>")
        gate.open()
        assert running.result(DEADLINE) == 3
        assert repr(running).endswith(" state=finished returned int>")
        failed = pool.submit(divmod, 1, 0)
        assert isinstance(failed.exception(DEADLINE), ZeroDivisionError)
        assert repr(failed).endswith(" state=finished raised ZeroDivisionError>")


def test_callbacks_run_in_order_and_at_once_when_it_is_done(pool: Pool, gate: Gate) -> None:
    told: list[int] = []

    def tell(number: int, _: object) -> None:
        told.append(number)

    future = pool.submit(gate)
    for number in range(5):
        future.add_done_callback(partial(tell, number))
    gate.open()
    future.result(DEADLINE)
    while len(told) < 5:
        time.sleep(0.001)
    future.add_done_callback(partial(tell, 5))
    assert told == list(range(6))


@pytest.mark.parametrize(
    "end", [partial(Future.set_result, result=1), partial(Future.set_exception, exception=LookupError())]
)
def test_a_future_is_ended_once(end: Callable[[Future[int]], None]) -> None:
    future: Future[int] = Future()
    end(future)
    with pytest.raises(futures.InvalidStateError, match=r"FINISHED: <Future at .* state=finished "):
        future.set_result(2)
    with pytest.raises(futures.InvalidStateError):
        future.set_exception(LookupError())


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (partial(Future.set_exception, exception=LookupError()), LookupError),
        (Future.cancel, futures.CancelledError),
    ],
)
def test_who_waits_is_told_by_another_thread(end: Callable[..., object], expected: type[Exception]) -> None:
    future: Future[int] = Future()
    setter = threading.Timer(0.05, end, (future,))
    setter.start()
    with pytest.raises(expected):
        future.result(DEADLINE)
    setter.join()


def test_many_threads_wait_for_one_future() -> None:
    future: Future[int] = Future()
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(future.result(DEADLINE))) for _ in range(20)]
    for thread in threads:
        thread.start()
    future.set_result(7)
    for thread in threads:
        thread.join(DEADLINE)
    assert results == [7] * 20


@pytest.mark.parametrize(("timeout", "error"), [("soon", TypeError), (float("nan"), ValueError), ([], TypeError)])
def test_a_timeout_that_is_none_is_refused(timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Future().result(timeout)


def test_running_or_cancelled_is_for_pending_ones(caplog: pytest.LogCaptureFixture) -> None:
    future: Future[int] = Future()
    assert future.set_running_or_notify_cancel()
    with pytest.raises(RuntimeError, match="Future in unexpected state"):
        future.set_running_or_notify_cancel()
    assert [(record.name, record.levelno) for record in caplog.records] == [("concurrent.futures", logging.CRITICAL)]


def test_futures_in_a_cycle_are_collected() -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    future: Future[Any] = Future()
    future.add_done_callback(partial(id, thing))
    other: Future[Any] = Future()
    other.set_result([future, other, thing])
    future.add_done_callback(partial(id, other))
    del thing, future, other
    gc.collect()
    assert gone() is None


def test_a_raised_exception_keeps_nothing_alive(pool: Pool) -> None:
    class Thing:
        def fail(self) -> None:
            raise LookupError

    thing = Thing()
    gone = weakref.ref(thing)
    future = pool.submit(thing.fail)
    del thing
    with contextlib.suppress(LookupError):
        future.result(DEADLINE)
    del future
    # The worker that has ended the future may be about to let go of what its call has raised.
    wait_until(lambda: gc.collect() >= 0 and gone() is None)


@pytest.mark.parametrize("end", [Future.cancel, partial(Future.set_result, result=1)])
def test_a_call_that_does_not_run_is_let_go_of_though_its_future_is_kept(end: Callable[..., object]) -> None:
    class Thing:
        pass

    pool = Pool(1, "unrun")
    pool_gone = weakref.ref(pool)
    gate, thing = Gate(), Thing()
    gone = weakref.ref(thing)
    pool.submit(gate)
    future = pool.submit(id, thing)
    del thing
    end(future)
    gate.open()
    # The worker is past its place in the queue then.
    pool.submit(int).result(DEADLINE)
    assert gone() is None
    del pool
    deadline = time.monotonic() + DEADLINE
    while pool_gone() is not None:
        assert time.monotonic() < deadline, "the kept future keeps the pool"
        gc.collect()
    assert future.done()


# --- the pool ---------------------------------------------------------------------------------------------------------


def test_arguments_may_have_any_name(pool: Pool) -> None:
    def capture(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    future = pool.submit(capture, 1, self=2, fn=3)
    assert future.result(DEADLINE) == ((1,), {"self": 2, "fn": 3})
    with pytest.raises(TypeError):
        pool.submit(fn=capture, arg=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        pool.submit()  # type: ignore[call-arg]


def test_a_pool_that_nobody_holds_is_collected_and_its_threads_end() -> None:
    pool = Pool(2, "collected")
    pool.submit(int).result(DEADLINE)
    gone = weakref.ref(pool)
    del pool
    end = time.monotonic() + DEADLINE
    while gone() is not None or any(thread.name.startswith("collected") for thread in threading.enumerate()):
        assert time.monotonic() < end
        gc.collect()


def test_threads_have_names_in_python_while_they_live() -> None:
    barrier = threading.Barrier(2)

    def name() -> str:
        barrier.wait(DEADLINE)
        return threading.current_thread().name

    with Pool(2, "special") as pool:
        names = {future.result(DEADLINE) for future in [pool.submit(name) for _ in range(2)]}
        assert names == {"special_0", "special_1"}
        assert names <= {thread.name for thread in threading.enumerate()}
    assert not names & {thread.name for thread in threading.enumerate()}


def test_a_broken_pool_fails_what_is_queued_and_says_why(caplog: pytest.LogCaptureFixture, gate: Gate) -> None:
    def fail() -> None:
        gate()
        raise LookupError("mine")

    with Pool(1, initializer=fail) as pool:
        queued = [pool.submit(abs, -number) for number in range(10)]
        gate.open()
        for future in queued:
            assert isinstance(future.exception(DEADLINE), BrokenThreadPool)
        with pytest.raises(BrokenThreadPool, match="A thread initializer failed"):
            pool.submit(abs, -1)
        assert repr(pool) == "<libcoop.Pool of 1 workers, broken>"
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [(record.name, record.getMessage()) for record in critical] == [
        ("concurrent.futures", "Exception in initializer:")
    ]


def test_submit_and_shutdown_at_the_same_time_lose_nothing() -> None:
    for _ in range(50):
        pool = Pool(2)
        accepted: list[Future[int]] = []

        def submit(pool: Pool = pool, accepted: list[Future[int]] = accepted) -> None:
            with contextlib.suppress(RuntimeError):
                while True:
                    accepted.append(pool.submit(abs, -1))

        submitter = threading.Thread(target=submit)
        submitter.start()
        while not accepted:
            time.sleep(0)
        pool.shutdown()
        submitter.join(DEADLINE)
        assert {future.result(0) for future in accepted} == {1}


def test_what_shutdown_cancels_is_told_to_who_waits(gate: Gate) -> None:
    pool = Pool(1)
    pool.submit(gate)
    queued = [pool.submit(abs, -1) for _ in range(5)]
    waited: list[object] = []
    waiter = threading.Thread(target=lambda: waited.append(futures.wait(queued, DEADLINE).not_done))
    waiter.start()
    while not queued[0]._waiters:
        time.sleep(0.001)
    pool.shutdown(wait=False, cancel_futures=True)
    waiter.join(DEADLINE)
    assert waited == [set()]
    gate.open()
    pool.shutdown()
