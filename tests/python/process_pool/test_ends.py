"""`terminate_workers` and `kill_workers`: a pool that is ended with what it runs."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest
from libcoop import Closed, Priority, ProcessPool, WorkerDied
from processpoolkit import DEADLINE, Gate, eventually, is_gone, pid, until


def assert_is_shut_down(pool: ProcessPool) -> None:
    with pytest.raises(Closed, match="after shutdown"):
        pool.submit(pid)
    assert "shut down" in repr(pool)
    # Again, and with less haste.
    pool.shutdown(cancel_futures=True)
    pool.kill_workers()
    pool.terminate_workers()
    assert pool.stats().workers == ()


def test_kill_workers_ends_what_runs(gate: Gate) -> None:
    pool = ProcessPool(2)
    running = pool.submit(until, gate.path)
    worker = gate.begun()
    other = pool.submit(pid).result(DEADLINE)
    held = [pool.submit(until, gate.path) for _ in range(2)]
    eventually(lambda: held[0].running())
    pool.kill_workers()
    for call in (running, held[0]):
        with pytest.raises(WorkerDied, match=r"was ended by kill_workers\(\)") as raised:
            call.result(DEADLINE)
        assert isinstance(raised.value, BrokenProcessPool)
        assert raised.value.signal is None
        assert raised.value.tail == ()
    with pytest.raises(CancelledError):
        held[1].result(DEADLINE)
    eventually(lambda: is_gone(worker) and is_gone(other))
    assert_is_shut_down(pool)


def test_a_call_that_was_cancelled_stays_so(gate: Gate) -> None:
    with ProcessPool(1) as pool:
        running = pool.submit(until, gate.path)
        gate.begun()
        queued = pool.submit(pid)
        assert queued.cancel()
        pool.kill(running)
        with pytest.raises(CancelledError):
            running.result(DEADLINE)
        pool.kill_workers()
        assert queued.cancelled()
        assert running.cancelled()


def test_terminate_workers_lets_what_ends_in_time_end(gate: Gate) -> None:
    pool = ProcessPool(1)
    running = pool.submit(until, gate.path, "done")
    worker = gate.begun()
    queued = pool.submit(pid)
    pool.at(priority=Priority.LOW).terminate_workers()
    with pytest.raises(CancelledError):
        queued.result(DEADLINE)
    gate.open()
    assert running.result(DEADLINE) == "done"
    eventually(lambda: is_gone(worker))
    assert_is_shut_down(pool)


def test_terminate_workers_ends_what_goes_on(gate: Gate) -> None:
    pool = ProcessPool(1)
    running = pool.submit(until, gate.path)
    worker = gate.begun()
    pool.terminate_workers()
    with pytest.raises(WorkerDied) as raised:
        running.result(DEADLINE)
    assert (raised.value.pid, raised.value.signal) == (worker, signal.SIGKILL)
    assert is_gone(worker)
    assert_is_shut_down(pool)


def test_what_is_terminated_can_be_killed(gate: Gate) -> None:
    pool = ProcessPool(1)
    running = pool.submit(until, gate.path)
    gate.begun()
    pool.terminate_workers()
    pool.at().kill_workers()
    with pytest.raises(WorkerDied, match=r"kill_workers\(\)"):
        running.result(DEADLINE)
    assert_is_shut_down(pool)


@pytest.mark.parametrize("how", ["terminate_workers", "kill_workers"])
def test_a_pool_without_calls_and_by_a_callback(how: str) -> None:
    pool = ProcessPool(1)
    getattr(pool, how)()
    assert_is_shut_down(pool)
    pool = ProcessPool(1)
    ended = threading.Event()

    def end(_: Future[Any]) -> None:
        getattr(pool, how)()
        ended.set()

    pool.submit(pid).add_done_callback(end)
    assert ended.wait(DEADLINE)
    assert_is_shut_down(pool)
