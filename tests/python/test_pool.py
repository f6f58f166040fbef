"""`libcoop.Pool`: what users of `concurrent.futures` expect, and what it adds to that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

import libcoop
import pytest
from libcoop import Pool, Priority

DEADLINE = 30.0


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2) as pool:
        yield pool


class Busy:
    """A call that keeps a worker until it is let go."""

    def __init__(self, pool: Pool) -> None:
        self._go = threading.Event()
        began = threading.Event()
        self.future = pool.submit(self._call, began)
        assert began.wait(DEADLINE)

    def _call(self, began: threading.Event) -> str:
        began.set()
        assert self._go.wait(DEADLINE)
        return "let go"

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def one() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


# --- calls and futures ------------------------------------------------------------------------------------------------


def test_it_is_a_thread_pool_executor(pool: Pool) -> None:
    assert isinstance(pool, futures.ThreadPoolExecutor)
    future = pool.submit(lambda *args, **kwargs: (args, kwargs), 1, "two", three=3)
    assert isinstance(future, futures.Future)
    assert future.result(DEADLINE) == ((1, "two"), {"three": 3})
    assert repr(pool) == "<libcoop.Pool of 2 workers, open>"


def test_it_runs_on_its_own_threads_at_the_same_time(pool: Pool) -> None:
    meeting = threading.Barrier(2)

    def meet() -> int:
        meeting.wait(DEADLINE)
        return threading.get_ident()

    idents = {future.result(DEADLINE) for future in [pool.submit(meet), pool.submit(meet)]}
    assert len(idents) == 2
    assert threading.get_ident() not in idents


def test_map_wait_and_as_completed(pool: Pool) -> None:
    assert list(pool.map(pow, range(100), [2] * 100)) == [number**2 for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(pool.map(divmod, [1, 1], [1, 0]))
    jobs = [pool.submit(abs, -number) for number in range(10)]
    assert sorted(job.result() for job in futures.as_completed(jobs, DEADLINE)) == list(range(10))
    done, left = futures.wait(jobs, DEADLINE)
    assert (len(done), len(left)) == (10, 0)
    busy = Busy(pool)
    with pytest.raises(TimeoutError):
        busy.future.result(0.01)
    with pytest.raises(TimeoutError):
        list(pool.map(lambda _: busy.future.result(DEADLINE), [1], timeout=0.01))
    busy.let_go()


def test_one_worker_runs_in_the_order_of_submission(one: Pool) -> None:
    ran: list[int] = []
    for number in range(1000):
        one.submit(ran.append, number)
    one.submit(int).result(DEADLINE)
    assert ran == list(range(1000))


@pytest.mark.parametrize("error", [LookupError("mine"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_is_the_futures_with_its_traceback(pool: Pool, error: BaseException) -> None:
    def fail() -> None:
        raise error

    raised = pool.submit(fail).exception(DEADLINE)
    assert raised is error
    assert [frame.name for frame in traceback.extract_tb(raised.__traceback__)] == ["fail"]
    assert pool.submit(abs, -1).result(DEADLINE) == 1, "the worker goes on"


def test_done_callbacks_run_and_their_exceptions_are_logged(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    told: queue.SimpleQueue[futures.Future[int]] = queue.SimpleQueue()
    busy = Busy(pool)
    busy.future.add_done_callback(lambda _: 1 / 0)
    future: futures.Future[int] = pool.submit(abs, -1)
    future.add_done_callback(told.put)
    assert told.get(timeout=DEADLINE) is future
    busy.let_go()
    assert busy.future.result(DEADLINE) == "let go"
    pool.shutdown()
    assert [record.name for record in caplog.records] == ["concurrent.futures"]


def test_queued_calls_can_be_cancelled(one: Pool) -> None:
    busy = Busy(one)
    ran: list[int] = []
    queued = one.submit(ran.append, 1)
    assert queued.cancel()
    assert not busy.future.cancel()
    busy.let_go()
    one.submit(int).result(DEADLINE)
    assert (ran, queued.cancelled(), busy.future.result()) == ([], True, "let go")
    with pytest.raises(futures.CancelledError):
        queued.result(0)


def test_what_cannot_be_called_is_refused(pool: Pool) -> None:
    with pytest.raises(TypeError, match="fn must be callable, not 7"):
        pool.submit(7)  # type: ignore[arg-type]


def test_submit_from_a_worker(one: Pool) -> None:
    outer = one.submit(lambda: one.submit(abs, -3))
    assert outer.result(DEADLINE).result(DEADLINE) == 3


def test_threading_local_lasts_from_call_to_call(one: Pool) -> None:
    local = threading.local()

    def count() -> int:
        local.count = getattr(local, "count", 0) + 1
        return int(local.count)

    assert [one.submit(count).result(DEADLINE) for _ in range(3)] == [1, 2, 3]


def test_many_calls_from_many_threads(pool: Pool) -> None:
    totals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def submit() -> None:
        jobs = [pool.submit(abs, -number) for number in range(1000)]
        totals.put(sum(job.result(DEADLINE) for job in jobs))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [totals.get_nowait() for _ in threads] == [499500] * 4


# --- asyncio ----------------------------------------------------------------------------------------------------------


def test_asyncio_takes_it_as_its_default_executor() -> None:
    async def main() -> tuple[bool, int]:
        loop = asyncio.get_running_loop()
        pool = Pool(2)
        loop.set_default_executor(pool)
        inside = await loop.run_in_executor(None, threading.get_ident)
        number = await asyncio.wrap_future(pool.submit(abs, -5))
        to_thread = await asyncio.to_thread(abs, number)
        return inside != threading.get_ident(), to_thread

    assert asyncio.run(main()) == (True, 5)


# --- the end ----------------------------------------------------------------------------------------------------------


def test_shutdown_runs_what_is_queued_and_takes_no_more() -> None:
    pool = Pool(1)
    busy = Busy(pool)
    ran: list[int] = []
    for number in range(10):
        pool.submit(ran.append, number)
    pool.shutdown(wait=False)
    assert ran == []
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown") as raised:
        pool.submit(ran.append, 99)
    assert type(raised.value) is libcoop.Closed
    with pytest.raises(RuntimeError):
        pool.map(abs, [1])
    busy.let_go()
    pool.shutdown()
    pool.shutdown()
    assert ran == list(range(10))
    assert repr(pool) == "<libcoop.Pool of 1 workers, shut down>"


def test_cancel_futures_cancels_what_is_queued() -> None:
    pool = Pool(1)
    busy = Busy(pool)
    queued = [pool.submit(abs, -1) for _ in range(100)]
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    queued[0].add_done_callback(told.put)
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in queued)
    assert told.get(timeout=DEADLINE) is queued[0]
    busy.let_go()
    pool.shutdown()
    assert busy.future.result(0) == "let go"


def test_a_with_block_waits_for_what_is_queued() -> None:
    ran: list[int] = []
    with Pool(2) as pool:
        for number in range(100):
            pool.submit(ran.append, number)
    assert sorted(ran) == list(range(100))


def test_shutdown_by_one_of_the_pools_own_calls_returns_at_once() -> None:
    pool = Pool(1)
    busy = Busy(pool)
    queued = pool.submit(pool.shutdown, wait=True)
    last = pool.submit(abs, -1)
    busy.let_go()
    queued.result(DEADLINE)
    assert last.result(DEADLINE) == 1
    pool.shutdown()


def test_calls_of_a_pool_that_was_let_go_of_still_run() -> None:
    pool = Pool(1)
    busy = Busy(pool)
    queued = [pool.submit(abs, -1) for _ in range(10)]
    gone = threading.Event()
    weakref.finalize(pool, gone.set)
    del pool
    busy.let_go()
    assert [future.result(DEADLINE) for future in queued] == [1] * 10
    assert gone.wait(DEADLINE), "an idle pool is not kept"


def test_calls_let_go_of_what_they_had_before_the_future_is_done(one: Pool) -> None:
    class Thing:
        pass

    for keyword in (False, True):
        thing = Thing()
        gone = weakref.ref(thing)
        future = one.submit(lambda thing: None, thing=thing) if keyword else one.submit(lambda thing: None, thing)
        del thing
        future.result(DEADLINE)
        assert gone() is None


def test_threads_end_with_the_pool() -> None:
    names: list[str] = []
    pool = Pool(2, "ending")
    pool.submit(lambda: names.extend(task_names())).result(DEADLINE)
    assert {"ending-0", "ending-1"} <= set(names)
    pool.shutdown()
    # Joined; the system may show them a moment longer.
    while any(name.startswith("ending") for name in task_names()):
        os.sched_yield()


def task_names() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as comm:
            names.append(comm.read().strip())
    return names


# --- initializer ------------------------------------------------------------------------------------------------------


def test_an_initializer_runs_once_in_each_worker_before_its_first_call() -> None:
    ran: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    meeting = threading.Barrier(2)
    with Pool(2, initializer=lambda word: ran.put((threading.get_ident(), word)), initargs=("hello",)) as pool:
        for _ in range(3):
            both = [pool.submit(meeting.wait, DEADLINE) for _ in range(2)]
            futures.wait(both)
    calls = [ran.get_nowait() for _ in range(ran.qsize())]
    assert len({ident for ident, _ in calls}) == len(calls) == 2
    assert {word for _, word in calls} == {"hello"}


def test_a_failing_initializer_breaks_the_pool() -> None:
    error = LookupError("no")

    def fail() -> None:
        raise error

    with Pool(1, initializer=fail) as pool:
        future = pool.submit(abs, -1)
        raised = future.exception(DEADLINE)
        assert isinstance(raised, BrokenThreadPool)
        assert raised.__cause__ is error
        with pytest.raises(BrokenThreadPool):
            pool.submit(abs, -1)


# --- priorities and CPUs ----------------------------------------------------------------------------------------------


def test_the_higher_priority_runs_first(one: Pool) -> None:
    busy = Busy(one)
    ran: list[str] = []
    views = {level: one.at(priority=level) for level in Priority}
    for level in (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.LOW, Priority.HIGH):
        views[level].submit(ran.append, level.name)
    busy.let_go()
    one.shutdown()
    assert ran == ["HIGH", "HIGH", "NORMAL", "LOW", "LOW"]


@pytest.mark.parametrize("priority", [7, -2, "high"])
def test_an_unknown_priority_is_refused(pool: Pool, priority: Any) -> None:
    with pytest.raises(libcoop.Invalid, match=r"priority must be one of \[-1, 0, 1\] \(libcoop.Priority\), not "):
        pool.at(priority=priority)


def test_a_cpu_set_names_the_workers_that_may_run_a_call() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with Pool(len(cpus), pin=True) as pool:
        for cpu in cpus:
            view = pool.at(cpus={cpu})
            jobs = [view.submit(os.sched_getaffinity, 0) for _ in range(20)]
            assert {tuple(job.result(DEADLINE)) for job in jobs} == {(cpu,)}
        assert repr(pool.at(cpus=[cpus[0]])) == f"<{pool!r} at priority NORMAL, CPUs [{cpus[0]}]>"


def test_wrong_cpu_sets_are_refused_in_words() -> None:
    with Pool(1, pin=True) as pool:
        unused = max(os.sched_getaffinity(0)) + 1
        with pytest.raises(libcoop.Affinity, match=rf"cpu set \{{{unused}\}} names no worker; workers are on "):
            pool.at(cpus=[unused]).submit(abs, 1)
        with pytest.raises(ValueError, match="CPU 5000 is out of range: CPUs are 0 to 1023"):
            pool.at(cpus=[5000]).submit(abs, 1)
        with pytest.raises(ValueError, match="CPU -1 is out of range"):
            pool.at(cpus=[-1]).submit(abs, 1)
        with pytest.raises(libcoop.Invalid, match="is empty"):
            pool.at(cpus=[]).submit(abs, 1)
        with pytest.raises(TypeError):
            pool.at(cpus=["0"]).submit(abs, 1)  # type: ignore[list-item]
        assert pool.submit(abs, -1).result(DEADLINE) == 1
    with Pool(1) as unpinned, pytest.raises(libcoop.Affinity, match="workers are not pinned"):
        unpinned.at(cpus=[0]).submit(abs, 1)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Pool(0), ValueError, "max_workers must be greater than 0, not 0"),
        (lambda: Pool(-3), ValueError, "max_workers must be greater than 0, not -3"),
        (lambda: Pool("four"), TypeError, "max_workers must be an int or None, not 'four'"),  # type: ignore[arg-type]
        (lambda: Pool(True), TypeError, "max_workers must be an int or None, not True"),
        (lambda: Pool(5000), ValueError, r"5000 workers: allowed are 1\.\.=1024"),
        (lambda: Pool(1, "a\0b"), ValueError, "NUL"),
        (lambda: Pool(1, capacity=-1), ValueError, rf"capacity must be 0, which is no limit, to {sys.maxsize}, not -1"),
        (lambda: Pool(1, capacity=2**70), ValueError, f"capacity must be 0, .*, not {2**70}"),
        (lambda: Pool(2**70), ValueError, f"max_workers must be at most 1024, not {2**70}"),
        (lambda: Pool(1, capacity="4"), TypeError, "capacity must be an int, not '4'"),  # type: ignore[arg-type]
        (lambda: Pool(1, 7), TypeError, "thread_name_prefix must be a str, not 7"),  # type: ignore[arg-type]
        (lambda: Pool(1, initializer=7), TypeError, "initializer must be a callable, not 7"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused_in_words(make: Callable[[], Pool], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_the_default_is_the_cpus_and_at_least_four() -> None:
    with Pool() as pool:
        assert pool._max_workers >= 4


# --- capacity and statistics ------------------------------------------------------------------------------------------


def test_a_full_pool_refuses_and_the_refused_call_is_gone() -> None:
    with Pool(1, capacity=2) as pool:
        busy = Busy(pool)
        queued = [pool.submit(abs, -number) for number in (1, 2)]
        with pytest.raises(libcoop.QueueFull, match=r"the pool is full \(2 tasks\)"):
            pool.submit(abs, -3)
        assert pool.stats().capacity == 2
        busy.let_go()
        assert [future.result(DEADLINE) for future in queued] == [1, 2]
        assert pool.submit(abs, -4).result(DEADLINE) == 4


def test_stats_say_what_waits_and_what_each_worker_did() -> None:
    with Pool(1, pin=True) as pool:
        busy = Busy(pool)
        for priority, count in ((Priority.HIGH, 1), (Priority.NORMAL, 2), (Priority.LOW, 3)):
            for _ in range(count):
                pool.at(priority=priority).submit(abs, -1)
        stats = pool.stats()
        assert (stats.depth.high, stats.depth.normal, stats.depth.low) == (1, 2, 3)
        assert stats.capacity is None
        assert "depth=Depth(high=1, normal=2, low=3)" in repr(stats)
        busy.let_go()
    stats = pool.stats()
    assert stats.depth == (0, 0, 0)
    (worker,) = stats.workers
    assert worker.executed == 7
    assert worker.stolen == 0
    assert worker.cpu in os.sched_getaffinity(0)
    assert 0 <= stats.wait.p50 <= stats.wait.p99 <= stats.wait.max
    with pytest.raises(AttributeError):
        worker.executed = 8  # type: ignore[misc]


# --- threads and the interpreter --------------------------------------------------------------------------------------


def test_dropping_pools_from_many_threads_while_their_calls_want_the_interpreter() -> None:
    def make_and_drop() -> None:
        for _ in range(30):
            pool = Pool(2)
            jobs = [pool.submit(sum, range(1000)) for _ in range(10)]
            del pool
            jobs[-1].result(DEADLINE)

    threads = [threading.Thread(target=make_and_drop, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a deadlock"


def test_a_call_may_let_go_of_the_last_reference_to_its_pool() -> None:
    pools = [Pool(1)]
    gone = threading.Event()
    weakref.finalize(pools[0], gone.set)
    began, go = threading.Event(), threading.Event()

    def call() -> None:
        began.set()
        go.wait(DEADLINE)
        pools.clear()

    future = pools[0].submit(call)
    began.wait(DEADLINE)
    go.set()
    future.result(DEADLINE)
    assert gone.wait(DEADLINE)


def test_a_done_callback_that_fails_hard_is_logged_and_the_worker_goes_on(
    one: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(_: object) -> None:
        raise SystemExit(3)

    busy = Busy(one)
    busy.future.add_done_callback(leave)
    busy.let_go()
    assert one.submit(abs, -1).result(DEADLINE) == 1
    assert [(record.name, record.levelno) for record in caplog.records] == [("libcoop", logging.ERROR)]
