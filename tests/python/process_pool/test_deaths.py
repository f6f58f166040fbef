"""Workers that die, wherever in a call, and the calls of others, which go on."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import libcoop
import pytest
from libcoop import ProcessPool, WorkerDied
from processpoolkit import (
    DEADLINE,
    Gate,
    broken_initializer,
    echo,
    eventually,
    initialize,
    is_gone,
    kill_self,
    leave,
    once,
    ones,
    pid,
    say_and_leave,
    state,
    until,
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


def test_a_killed_worker_fails_the_call_that_it_ran_alone(pool: ProcessPool) -> None:
    before = [pool.submit(echo, number) for number in range(10)]
    killed = pool.submit(kill_self)
    after = [pool.submit(echo, number) for number in range(10)]
    with pytest.raises(WorkerDied, match="SIGKILL") as died:
        killed.result(DEADLINE)
    assert died.value.signal == signal.SIGKILL
    assert died.value.exitcode == -signal.SIGKILL
    assert [one.result(DEADLINE) for one in before + after] == [*range(10), *range(10)]


def test_it_is_what_a_broken_executor_raises(pool: ProcessPool) -> None:
    with pytest.raises(BrokenProcessPool):
        pool.submit(leave, 3).result(DEADLINE)
    with pytest.raises(futures.BrokenExecutor):
        pool.submit(leave, 3).result(DEADLINE)
    with pytest.raises(libcoop.Error):
        pool.submit(leave, 3).result(DEADLINE)


def test_it_says_how_the_worker_ended_and_what_it_wrote_last(pool: ProcessPool) -> None:
    with pytest.raises(WorkerDied, match="exited with status 3") as died:
        pool.submit(say_and_leave, "first\nlast words", 3).result(DEADLINE)
    assert (died.value.exitcode, died.value.signal) == (3, None)
    assert died.value.tail[-2:] == ("first", "last words")
    assert "last words" in str(died.value)
    assert died.value.pid != os.getpid()


def test_a_fault_tells_the_stack(pool: ProcessPool) -> None:
    with pytest.raises(WorkerDied, match="SIGSEGV") as died:
        pool.submit(kill_self, signal.SIGSEGV).result(DEADLINE)
    assert died.value.details is not None
    assert "in kill_self" in died.value.details


def test_it_goes_to_other_processes_as_it_is(pool: ProcessPool) -> None:
    error = pool.submit(say_and_leave, "why", 4).exception(DEADLINE)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, WorkerDied)
    assert str(again) == str(error)
    assert (again.exitcode, again.tail, again.pid) == (error.exitcode, error.tail, error.pid)  # type: ignore[union-attr]


def test_an_idle_worker_that_is_killed_is_replaced(pool: ProcessPool) -> None:
    worker = pool.submit(pid).result(DEADLINE)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: is_gone(worker))
    assert pool.submit(pid).result(DEADLINE) != worker


def test_a_worker_that_is_asked_to_end_in_a_call_answers_that_first(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held, queued = pool.submit(until, gate.path, 3), pool.submit(echo, 5)
    worker = gate.begun()
    os.kill(worker, signal.SIGTERM)
    gate.open()
    assert held.result(DEADLINE) == 3
    assert queued.result(DEADLINE) == 5
    eventually(lambda: is_gone(worker))
    assert pool.submit(pid).result(DEADLINE) != worker


def test_a_worker_that_is_killed_from_outside_in_a_call(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held, queued = pool.submit(until, gate.path), pool.submit(echo, 5)
    os.kill(gate.begun(), signal.SIGKILL)
    with pytest.raises(WorkerDied, match="SIGKILL"):
        held.result(DEADLINE)
    assert queued.result(DEADLINE) == 5


def test_no_call_is_lost_or_made_twice_while_workers_are_killed(tmp_path: Path) -> None:
    with ProcessPool(2) as pool:
        ran = tmp_path / "ran"
        ran.mkdir()
        calls = [pool.submit(once, ran, number) for number in range(300)]
        kills = 0
        for one in futures.as_completed(calls, DEADLINE):
            if one.exception() is None and kills < 10 and (worker := one.result()):
                kills += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        died = [number for number, one in enumerate(calls) if one.exception() is not None]
        assert all(isinstance(calls[number].exception(), WorkerDied) for number in died)
        assert len(died) <= kills
        assert {int(one.name) for one in ran.iterdir()} | set(died) == set(range(300))


def test_a_worker_that_leaves_a_call_has_died_whatever_its_status(pool: ProcessPool) -> None:
    before = pool.stats().died
    assert isinstance(pool.submit(leave, 0).exception(DEADLINE), WorkerDied)
    assert pool.stats().died == before + 1


def test_workers_that_die_often_are_replaced_soon(pool: ProcessPool) -> None:
    calls = [pool.submit(leave, 1) for _ in range(30)]
    assert futures.wait(calls, DEADLINE).not_done == set()
    assert all(isinstance(one.exception(), WorkerDied) for one in calls)


def test_what_a_dead_worker_has_given_stays_readable(pool: ProcessPool) -> None:
    numpy = pytest.importorskip("numpy")
    array = pool.submit(ones, 1_000_000).result(DEADLINE)
    worker = pool.submit(pid).result(DEADLINE)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: is_gone(worker))
    assert array.sum() == 1_000_000
    assert pool.submit(numpy.sum, array).result(DEADLINE) == 1_000_000


def test_a_worker_that_dies_with_a_large_call_frees_its_memory(pool: ProcessPool) -> None:
    data = bytes(8 << 20)
    for _ in range(5):
        assert isinstance(pool.submit(leave, 0, data).exception(DEADLINE), WorkerDied)
    assert pool.submit(len, data).result(DEADLINE) == len(data)


# --- deadlines, and ends on request -----------------------------------------------------------------------------------


def test_a_deadline_ends_a_call_that_runs(pool: ProcessPool, tmp_path: Path) -> None:
    pool.submit(abs, -1).result(DEADLINE)
    for deadline in (0.5, 5, 30):
        gate = Gate(tmp_path, f"gate-{deadline}")
        late, queued = pool.at(deadline=deadline).submit(until, gate.path), pool.submit(echo, 1)
        with pytest.raises(libcoop.Timeout, match=f"its deadline of {deadline} s"):
            late.result(DEADLINE)
        assert queued.result(DEADLINE) == 1
        if (worker := gate.who()) is not None:
            assert is_gone(worker)
            return
    raise AssertionError("it has never begun in time")


def test_a_deadline_ends_a_call_while_a_callback_takes_its_time(pool: ProcessPool, tmp_path: Path) -> None:
    pool.submit(abs, -1).result(DEADLINE)
    for deadline in (0.5, 5, 30):
        gate, called, go_on = Gate(tmp_path, f"gate-{deadline}"), threading.Event(), threading.Event()

        def wait(_: object, called: threading.Event = called, go_on: threading.Event = go_on) -> None:
            called.set()
            go_on.wait(2 * DEADLINE)

        try:
            pool.submit(abs, -1).add_done_callback(wait)
            assert called.wait(DEADLINE)
            before = pool.stats().finished
            late = pool.at(deadline=deadline).submit(until, gate.path)
            eventually(lambda before=before: pool.stats().finished > before)
            worker = gate.who()
            assert worker is None or is_gone(worker)
            assert not late.done(), "whoever hears of it is still in the callback"
        finally:
            go_on.set()
        with pytest.raises(libcoop.Timeout):
            late.result(DEADLINE)
        if worker is not None:
            return
    raise AssertionError("it has never begun in time")


def test_a_deadline_ends_a_call_that_waits(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    first = pool.submit(until, gate.path, "it")
    gate.begun()
    late = pool.at(deadline=0.05).submit(Path.touch, tmp_path / "made")
    with pytest.raises(TimeoutError):
        late.result(DEADLINE)
    gate.open()
    assert first.result(DEADLINE) == "it"
    pool.submit(abs, -1).result(DEADLINE)
    assert not (tmp_path / "made").exists()


def test_a_call_that_is_in_time_hears_nothing_of_its_deadline(pool: ProcessPool) -> None:
    worker = pool.submit(pid).result(DEADLINE)
    assert [pool.at(deadline=DEADLINE).submit(echo, number).result() for number in range(5)] == list(range(5))
    assert pool.at(deadline=1e300).submit(pid).result(DEADLINE) == worker


@pytest.mark.parametrize("deadline", [-1, float("nan"), "soon", True])
def test_a_wrong_deadline(pool: ProcessPool, deadline: object) -> None:
    with pytest.raises((ValueError, TypeError), match="deadline"):
        pool.at(deadline=deadline)  # type: ignore[arg-type]


def test_a_call_that_runs_is_ended_on_request(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held, queued = pool.submit(until, gate.path), pool.submit(pid)
    worker = gate.begun()
    assert pool.kill(held)
    with pytest.raises(futures.CancelledError):
        held.result(DEADLINE)
    assert held.cancelled()
    assert queued.result(DEADLINE) != worker
    assert is_gone(worker)
    assert not pool.kill(queued)
    with pytest.raises(ValueError, match="not a call of this pool"):
        pool.kill(libcoop.Future())


def test_a_call_that_waits_is_cancelled_on_request_too(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held, queued = pool.submit(until, gate.path, 3), pool.submit(echo, 1)
    gate.begun()
    assert pool.kill(queued)
    assert queued.cancelled()
    gate.open()
    assert held.result(DEADLINE) == 3


# --- initializers -----------------------------------------------------------------------------------------------------


def test_each_worker_is_initialized_before_its_first_call() -> None:
    with ProcessPool(1, initialize, (1, "two")) as pool:
        assert pool.submit(state).result(DEADLINE) == [1, "two"]
        assert isinstance(pool.submit(leave, 0).exception(DEADLINE), WorkerDied)
        assert pool.submit(state).result(DEADLINE) == [1, "two"]


def test_an_initializer_that_raises_breaks_the_pool() -> None:
    with ProcessPool(2, broken_initializer) as pool:
        calls = [pool.submit(abs, -1) for _ in range(3)]
        for one in calls:
            with pytest.raises(BrokenProcessPool, match="LookupError: not today"):
                one.result(DEADLINE)
        eventually(lambda: "broken" in repr(pool))
        with pytest.raises(BrokenProcessPool, match="not today"):
            pool.submit(abs, -1)


def test_an_initializer_that_cannot_be_given_to_a_process_is_refused_at_once() -> None:
    import threading

    with pytest.raises(libcoop.Invalid, match="initializer"):
        ProcessPool(1, initialize, (threading.Lock(),))
