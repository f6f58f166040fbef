"""What CPython's own tests ask of an executor, asked of `libcoop.ProcessPool` in words of our own."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import weakref
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Future, ProcessPool
from processpoolkit import DEADLINE, Gate, Weighs, echo, eventually, is_gone, keywords, pid, shout, until


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(2) as pool:
        yield pool


# --- submit -----------------------------------------------------------------------------------------------------------


def test_a_call_is_made_in_another_process(pool: ProcessPool) -> None:
    assert pool.submit(pow, 2, 8).result(DEADLINE) == 256
    assert pool.submit(pid).result(DEADLINE) != os.getpid()


def test_keywords_are_the_calls_own(pool: ProcessPool) -> None:
    given = {"self": 1, "fn": 2, "args": 3, "kwargs": 4}
    assert pool.submit(keywords, 0, **given).result(DEADLINE) == ((0,), given)


def test_submit_takes_what_to_call_by_its_place_only(pool: ProcessPool) -> None:
    with pytest.raises(TypeError, match="first argument"):
        pool.submit()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="first argument"):
        pool.submit(fn=abs, arg=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="must be callable, not 17"):
        pool.submit(17)  # type: ignore[arg-type]


def test_a_future_is_both_kinds(pool: ProcessPool) -> None:
    future = pool.submit(abs, -1)
    assert isinstance(future, Future)
    assert isinstance(future, futures.Future)
    assert isinstance(pool, futures.Executor)


def test_an_exception_is_raised_with_the_traceback_it_had_there(pool: ProcessPool) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        pool.submit(divmod, 1, 0).result(DEADLINE)
    assert "ZeroDivisionError" in str(raised.value.__cause__)
    with pytest.raises(KeyError) as raised_by_us:
        pool.submit(shout, KeyError("it")).result(DEADLINE)
    assert "Traceback (most recent call last)" in str(raised_by_us.value.__cause__)
    assert "in shout" in str(raised_by_us.value.__cause__)


def test_what_is_no_exception_is_an_outcome_too(pool: ProcessPool) -> None:
    worker = pool.submit(pid).result(DEADLINE)
    for error in (SystemExit(3), KeyboardInterrupt(), GeneratorExit()):
        assert type(pool.submit(shout, error).exception(DEADLINE)) is type(error)
    with ProcessPool(1) as one:
        before = one.submit(pid).result(DEADLINE)
        one.submit(shout, SystemExit(3)).exception(DEADLINE)
        assert one.submit(pid).result(DEADLINE) == before
    assert worker


def test_what_a_call_was_given_is_let_go_of_at_once(pool: ProcessPool, tmp_path: Path) -> None:
    given = Weighs(tmp_path / "gone")
    gone = weakref.ref(given)
    future = pool.submit(echo, 1, given)
    del given
    gc.collect()
    assert gone() is None
    future.result(DEADLINE)
    del future
    worker = next(
        iter(eventually(lambda: [one for one in tmp_path.glob("gone.*") if not one.match(f"*.{os.getpid()}")]))
    )
    assert worker.exists()


def test_calls_of_many_threads(pool: ProcessPool) -> None:
    results: list[list[int]] = []

    def submit(base: int) -> None:
        mine = [pool.submit(echo, base + number) for number in range(200)]
        results.append([one.result(DEADLINE) - base for one in mine])

    threads = [threading.Thread(target=submit, args=(1000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert results == [list(range(200))] * 4


# --- cancel, running, done --------------------------------------------------------------------------------------------


def test_a_call_that_runs_is_running_and_not_cancelled(gate: Gate) -> None:
    with ProcessPool(1) as pool:
        future = pool.submit(until, gate.path, 7)
        gate.begun()
        assert future.running()
        assert not future.done()
        assert "state=running" in repr(future)
        assert not future.cancel()
        gate.open()
        assert future.result(DEADLINE) == 7
        assert not future.running()
        assert not future.cancel()


def test_a_call_that_waits_is_cancelled(gate: Gate) -> None:
    with ProcessPool(1) as pool:
        first = pool.submit(until, gate.path)
        gate.begun()
        queued = [pool.submit(echo, number) for number in range(5)]
        assert not any(one.running() or one.done() for one in queued)
        assert queued[1].cancel()
        assert queued[1].cancel()
        assert queued[1].cancelled()
        assert queued[1].done()
        with pytest.raises(futures.CancelledError):
            queued[1].result(DEADLINE)
        assert futures.wait([queued[1]], 0).done == {queued[1]}
        gate.open()
        assert [one.result(DEADLINE) for one in queued if one is not queued[1]] == [0, 2, 3, 4]
        first.result(DEADLINE)


def test_callbacks_are_called_once_with_the_future(pool: ProcessPool, gate: Gate) -> None:
    told: list[Any] = []
    future = pool.submit(until, gate.path, "it")
    future.add_done_callback(lambda one: told.append(("early", one.result())))
    future.add_done_callback(lambda one: told.append(("again", one.result())))
    gate.open()
    future.result(DEADLINE)
    eventually(lambda: len(told) == 2)
    future.add_done_callback(lambda one: told.append(("late", one.result())))
    assert told == [("early", "it"), ("again", "it"), ("late", "it")]


def test_a_callback_may_submit(pool: ProcessPool) -> None:
    found: Future[int] = Future()
    pool.submit(abs, -1).add_done_callback(
        lambda one: pool.submit(abs, -1 - one.result()).add_done_callback(lambda two: found.set_result(two.result()))
    )
    assert found.result(DEADLINE) == 2


# --- wait and as_completed --------------------------------------------------------------------------------------------


def test_wait_for_the_first(pool: ProcessPool, gate: Gate) -> None:
    slow, fast = pool.submit(until, gate.path), pool.submit(abs, -1)
    done, left = futures.wait([slow, fast], DEADLINE, futures.FIRST_COMPLETED)
    assert (done, left) == ({fast}, {slow})
    gate.open()
    assert futures.wait([slow, fast], DEADLINE).not_done == set()


def test_wait_for_the_first_exception(pool: ProcessPool, gate: Gate) -> None:
    slow, good, bad = pool.submit(until, gate.path), pool.submit(abs, -1), pool.submit(divmod, 1, 0)
    done, left = futures.wait([slow, good, bad], DEADLINE, futures.FIRST_EXCEPTION)
    assert bad in done
    assert slow in left


def test_as_completed_gives_each_once(pool: ProcessPool) -> None:
    submitted = [pool.submit(echo, number) for number in range(50)]
    assert sorted(one.result() for one in futures.as_completed(submitted, DEADLINE)) == list(range(50))


def test_waits_have_an_end(pool: ProcessPool, gate: Gate) -> None:
    slow = pool.submit(until, gate.path)
    with pytest.raises(TimeoutError):
        slow.result(0.01)
    with pytest.raises(TimeoutError):
        slow.exception(0)
    assert futures.wait([slow], 0.01).not_done == {slow}
    with pytest.raises(TimeoutError):
        next(futures.as_completed([slow], 0.01))


# --- map --------------------------------------------------------------------------------------------------------------


def test_map_keeps_the_order(pool: ProcessPool) -> None:
    assert list(pool.map(pow, range(100), [2] * 100)) == [number**2 for number in range(100)]
    assert list(pool.map(pow, range(5), [2] * 3)) == [0, 1, 4]
    assert list(pool.map(pow, [], [])) == []


@pytest.mark.parametrize("chunksize", [1, 3, 7, 40, 100])
def test_map_in_chunks(pool: ProcessPool, chunksize: int) -> None:
    numbers = range(40)
    assert list(pool.map(pow, numbers, numbers, chunksize=chunksize)) == [number**number for number in numbers]


@pytest.mark.parametrize("chunksize", [0, -1])
def test_map_refuses_chunks_of_nothing(pool: ProcessPool, chunksize: int) -> None:
    with pytest.raises(ValueError, match="chunksize"):
        pool.map(abs, [1], chunksize=chunksize)


def test_map_raises_where_the_call_did(pool: ProcessPool) -> None:
    results = pool.map(divmod, [1, 1, 1], [2, 0, 2])
    assert next(results) == (0, 1)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_that_takes_too_long_cancels_the_rest(gate: Gate) -> None:
    with ProcessPool(1) as pool:
        results = pool.map(until, [gate.path, gate.path.with_name("never")], timeout=0.01)
        with pytest.raises(TimeoutError):
            next(results)
        gate.open()


def test_map_with_a_buffer_asks_as_it_goes(pool: ProcessPool) -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(20):
            asked.append(number)
            yield number

    results = pool.map(echo, numbers(), buffersize=3)
    assert next(results) == 0
    assert len(asked) <= 5
    assert list(results) == list(range(1, 20))
    with pytest.raises(ValueError, match="buffersize"):
        pool.map(echo, [1], buffersize=0)
    with pytest.raises(TypeError, match="buffersize"):
        pool.map(echo, [1], buffersize="many")  # type: ignore[arg-type]


# --- what it is made of -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1, 1 << 80])
def test_a_wrong_number_of_workers(number: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        ProcessPool(number)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="max_workers"):
        ProcessPool("two")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ProcessPool(initializer="abs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_tasks_per_child"):
        ProcessPool(max_tasks_per_child=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_tasks_per_child"):
        ProcessPool(max_tasks_per_child=0)
    with pytest.raises(ValueError, match="preload"):
        ProcessPool(preload="numpy")
    with pytest.raises(ValueError, match="output"):
        ProcessPool(output="loud")


def test_as_many_workers_as_there_are_cpus() -> None:
    with ProcessPool() as pool:
        assert pool._max_workers == len(os.sched_getaffinity(0))


def test_workers_come_when_they_are_needed(gate: Gate, tmp_path: Path) -> None:
    with ProcessPool(3) as pool:
        assert pool.stats().workers == ()
        for _ in range(5):
            pool.submit(abs, -1).result(DEADLINE)
        held = [pool.submit(until, tmp_path / f"gate-{number}") for number in range(3)]
        workers = {Gate(tmp_path, f"gate-{number}").begun() for number in range(3)}
        assert len(workers) == 3
        for number in range(3):
            Gate(tmp_path, f"gate-{number}").open()
        futures.wait(held, DEADLINE)
        gate.open()
    eventually(lambda: all(is_gone(worker) for worker in workers))


def test_a_worker_is_replaced_after_so_many_calls() -> None:
    with ProcessPool(1, max_tasks_per_child=3) as pool:
        workers = [pool.submit(pid).result(DEADLINE) for _ in range(10)]
    assert [workers.count(worker) for worker in dict.fromkeys(workers)] == [3, 3, 3, 1]


def test_a_pool_says_what_it_is() -> None:
    pool = ProcessPool(2)
    assert repr(pool) == "<libcoop.ProcessPool of 2 workers, open>"
    pool.submit(abs, -1).result(DEADLINE)
    pool.shutdown()
    assert repr(pool) == "<libcoop.ProcessPool of 2 workers, shut down>"


# --- the end ----------------------------------------------------------------------------------------------------------


def test_no_calls_after_the_end() -> None:
    pool = ProcessPool(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(abs, -1)
    with pytest.raises(libcoop.Closed):
        pool.submit(abs, -1)
    pool.shutdown()


def test_what_was_accepted_is_run_before_the_end(gate: Gate) -> None:
    pool = ProcessPool(1)
    all_of_it = [pool.submit(until, gate.path, 0), *(pool.submit(echo, number) for number in range(1, 20))]
    pool.shutdown(wait=False)
    gate.open()
    assert [one.result(DEADLINE) for one in all_of_it] == list(range(20))
    pool.shutdown()


def test_the_end_may_cancel_what_waits(gate: Gate) -> None:
    pool = ProcessPool(1)
    first = pool.submit(until, gate.path, "ran")
    gate.begun()
    rest = [pool.submit(echo, number) for number in range(20)]
    pool.shutdown(wait=False, cancel_futures=True)
    gate.open()
    assert first.result(DEADLINE) == "ran"
    assert futures.wait(rest, DEADLINE).not_done == set()
    assert all(one.cancelled() for one in rest)
    pool.shutdown()


def test_the_end_of_a_block_waits(gate: Gate) -> None:

    def let_through() -> None:
        gate.begun()
        gate.open()

    opener = threading.Thread(target=let_through)
    opener.start()
    with ProcessPool(1) as pool:
        future = pool.submit(until, gate.path, 5)
    assert future.done()
    assert future.result() == 5
    opener.join(DEADLINE)


def test_workers_end_with_their_pool() -> None:
    pool = ProcessPool(1)
    worker = pool.submit(pid).result(DEADLINE)
    pool.shutdown()
    assert is_gone(worker)


def test_a_pool_that_is_let_go_of_ends_when_its_calls_have(gate: Gate) -> None:
    pool = ProcessPool(1)
    future = pool.submit(until, gate.path, 1)
    worker = gate.begun()
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    gate.open()
    assert future.result(DEADLINE) == 1
    eventually(lambda: gc.collect() is not None and gone() is None)
    eventually(lambda: is_gone(worker))


def test_a_pool_that_is_let_go_of_ends_although_results_of_it_are_kept() -> None:
    pool = ProcessPool(1)
    results = pool.map(echo, range(5))
    worker = pool.submit(pid).result(DEADLINE)
    del pool
    eventually(lambda: gc.collect() is not None and is_gone(worker))
    assert list(results) == list(range(5))


def test_the_end_of_one_that_never_called() -> None:
    with ProcessPool(2):
        pass
    pool = ProcessPool(2)
    del pool


def test_a_wait_for_the_end_from_a_callback_is_none(gate: Gate) -> None:
    pool = ProcessPool(1)
    told: list[bool] = []

    def end(_: object) -> None:
        pool.shutdown(wait=True)
        told.append(True)

    future = pool.submit(until, gate.path)
    future.add_done_callback(end)
    gate.open()
    future.result(DEADLINE)
    eventually(lambda: told)
    pool.shutdown()


def test_calls_and_the_end_at_the_same_time() -> None:
    for _ in range(5):
        pool = ProcessPool(2)
        ended = threading.Thread(target=pool.shutdown)
        accepted = [pool.submit(echo, number) for number in range(20)]
        ended.start()
        with contextlib.suppress(RuntimeError):
            for number in range(20, 10_000):
                accepted.append(pool.submit(echo, number))
        ended.join(DEADLINE)
        assert [one.result(DEADLINE) for one in accepted] == list(range(len(accepted)))
