"""Workers that die at each point of a call's life, and whatever else of a pool can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from libcoop import ProcessPool, WorkerDied
from processpoolkit import (
    DEADLINE,
    DiesWhen,
    Gate,
    abort,
    die_once,
    dies_at_exit,
    echo,
    eventually,
    hold_in_a_pool,
    is_gone,
    kill_self,
    pid,
    raise_one_that_dies,
    until,
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


def children_of(process: int) -> list[int]:
    """The processes whose parent it is: of all its threads, without those that have ended."""
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (thread / "children").read_text().split())
    return [one for one in found if not is_gone(one)]


def is_zygote(process: int) -> bool:
    try:
        return b"libcoop._zygote" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


Submit = Callable[[ProcessPool], Any]

POINTS: dict[str, Submit] = {
    "while it is unpickled": lambda pool: pool.submit(echo, DiesWhen("unpickled", os.getpid())),
    "while it runs": lambda pool: pool.submit(kill_self),
    "while its result is pickled": lambda pool: pool.submit(DiesWhen, "pickled", os.getpid()),
    "while its exception is pickled": lambda pool: pool.submit(raise_one_that_dies, os.getpid()),
    "while what it was given is let go of": lambda pool: pool.submit(id, DiesWhen("dropped", os.getpid())),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_call_whose_worker_dies(pool: ProcessPool, point: str, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held = pool.submit(until, gate.path, "before")
    gate.begun()
    # All of them wait for the same worker.
    dies, after = POINTS[point](pool), [pool.submit(echo, number) for number in range(3)]
    gate.open()
    assert held.result(DEADLINE) == "before"
    with pytest.raises(WorkerDied, match="SIGKILL"):
        dies.result(DEADLINE)
    assert [one.result(DEADLINE) for one in after] == [0, 1, 2]


def test_a_worker_that_dies_between_calls_fails_none() -> None:
    with ProcessPool(1, max_tasks_per_child=1) as pool:
        # After its answer, on its way out.
        assert [pool.submit(dies_at_exit, number).result(DEADLINE) for number in range(4)] == [0, 1, 2, 3]


def test_a_worker_that_dies_in_its_initializer_is_tried_again(tmp_path: Path) -> None:
    with ProcessPool(1, die_once, (tmp_path / "died",)) as pool:
        assert pool.submit(abs, -1).result(DEADLINE) == 1
    assert (tmp_path / "died").exists()


def test_workers_that_always_die_in_their_initializer_break_the_pool() -> None:
    with ProcessPool(1, kill_self) as pool, pytest.raises(BrokenProcessPool, match=r"no worker gets ready.*SIGKILL"):
        pool.submit(abs, -1).result(DEADLINE)


def test_the_kernel_is_suspected_of_what_is_killed(pool: ProcessPool) -> None:
    with pytest.raises(WorkerDied, match="SIGKILL, which the kernel sends, too, when memory has run out"):
        pool.submit(kill_self).result(DEADLINE)
    with pytest.raises(WorkerDied) as other:
        pool.submit(kill_self, signal.SIGALRM).result(DEADLINE)
    assert "memory" not in str(other.value)


def test_a_worker_that_aborts(pool: ProcessPool) -> None:
    with pytest.raises(WorkerDied, match="SIGABRT") as died:
        pool.submit(abort, "the heap is damaged").result(DEADLINE)
    assert died.value.signal == signal.SIGABRT
    assert "the heap is damaged" in died.value.tail
    assert "in abort" in (died.value.details or "")


def test_the_process_that_workers_are_forked_from_is_killed(pool: ProcessPool, tmp_path: Path) -> None:
    worker = pool.submit(pid).result(DEADLINE)
    # The worker has its command line, too, and so has the one to be, which ends with it.
    zygotes = [one for one in children_of(os.getpid()) if one != worker and is_zygote(one)]
    gate = Gate(tmp_path)
    held = pool.submit(until, gate.path, 3)
    gate.begun()
    assert zygotes
    for zygote in zygotes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(zygote, signal.SIGKILL)
    eventually(lambda: all(is_gone(one) for one in zygotes))
    # The worker goes on, and is replaced by one of another zygote.
    gate.open()
    assert held.result(DEADLINE) == 3
    assert pool.submit(pid).result(DEADLINE) == worker
    assert isinstance(pool.submit(kill_self).exception(DEADLINE), WorkerDied)
    assert pool.submit(pid).result(DEADLINE) != worker


def test_the_workers_of_a_worker_end_with_it(pool: ProcessPool, tmp_path: Path) -> None:
    held = pool.submit(hold_in_a_pool, tmp_path / "gate")
    inner = Gate(tmp_path).begun()
    (outer,) = pool.stats().workers
    assert inner != outer
    family = [inner, *children_of(outer)]
    os.kill(outer, signal.SIGKILL)
    assert isinstance(held.exception(DEADLINE), WorkerDied)
    eventually(lambda: all(is_gone(one) for one in family))
    assert pool.submit(abs, -1).result(DEADLINE) == 1


def test_what_is_killed_by_its_user_or_by_the_kernel_is_told_by_its_number(pool: ProcessPool) -> None:
    error = pool.submit(kill_self, signal.SIGRTMIN + 3).exception(DEADLINE)
    assert isinstance(error, WorkerDied)
    assert (error.signal, error.exitcode) == (signal.SIGRTMIN + 3, -(signal.SIGRTMIN + 3))
