"""`libcoop.Pool` beyond an executor: views, context variables, awaiting, capacity, fairness, Ctrl-C, fork, types."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Pool, Priority

DEADLINE = 30.0

# What type checkers are given: users' programs.
USERS_PROGRAMS = [Path(__file__).with_name(name) for name in ("user_types.py", "user_types_process_pool.py")]


@pytest.fixture
def one() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


class Busy:
    """A call that keeps a worker until it is let go."""

    def __init__(self, pool: Pool) -> None:
        self.go = threading.Event()
        began = threading.Event()
        self.future = pool.submit(self._call, began)
        assert began.wait(DEADLINE)

    def _call(self, began: threading.Event) -> bool:
        began.set()
        return self.go.wait(DEADLINE)


# --- views ------------------------------------------------------------------------------------------------------------


def test_a_view_is_an_executor_of_the_same_workers(one: Pool) -> None:
    view = one.at(priority=Priority.HIGH)
    assert isinstance(view, futures.Executor)
    assert view.submit(threading.get_ident).result(DEADLINE) == one.submit(threading.get_ident).result(DEADLINE)
    assert list(view.map(abs, [-1, -2], timeout=DEADLINE)) == [1, 2]
    assert view.stats().workers[0].executed == 4
    assert repr(view) == f"<{one!r} at priority HIGH, CPUs any>"


def test_a_view_of_a_view_keeps_what_is_not_given(one: Pool) -> None:
    view = one.at(priority=Priority.LOW, timeout=3).at(cpus=None)
    assert repr(view) == f"<{one!r} at priority LOW, CPUs any>"
    assert repr(view.at(priority=Priority.HIGH)) == f"<{one!r} at priority HIGH, CPUs any>"


def test_the_end_of_a_view_is_that_of_the_pool() -> None:
    pool = Pool(1)
    with pool.at(priority=Priority.LOW) as view:
        future = view.submit(abs, -1)
    assert future.result(0) == 1
    for executor in (pool, view):
        with pytest.raises(libcoop.Closed, match="cannot schedule new futures after shutdown"):
            executor.submit(abs, -1)


def test_asyncio_runs_calls_in_a_view(one: Pool) -> None:
    async def main() -> tuple[int, int, int]:
        view = one.at(priority=Priority.HIGH)
        in_executor = await asyncio.get_running_loop().run_in_executor(view, abs, -1)
        return in_executor, await view.run(abs, -2), await one.run(pow, 3, exp=1)

    assert asyncio.run(main()) == (1, 2, 3)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"priority": 2}, libcoop.Invalid, r"priority must be one of \[-1, 0, 1\]"),
        ({"priority": None}, libcoop.Invalid, "priority must be one of"),
        ({"cpus": 3}, TypeError, "cpus must be an iterable of CPU numbers or None, not 3"),
        ({"cpus": ["0"]}, TypeError, "a CPU must be an int, not '0'"),
        ({"cpus": [99999]}, ValueError, "CPU 99999 is out of range"),
        ({"cpus": [2**70]}, ValueError, f"CPU {2**70} is out of range: CPUs are 0 to 1023"),
        ({"cpus": [-(2**70)]}, ValueError, f"CPU -{2**70} is out of range: CPUs are 0 to 1023"),
        ({"timeout": 10**400}, ValueError, "timeout must be a number of seconds that a float can hold, or None"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds or None, not True"),
        ({"timeout": -1}, ValueError, "timeout must be at least 0 seconds, not -1"),
        ({"timeout": float("nan")}, ValueError, "timeout must be at least 0 seconds, not "),
        ({"timeout": "soon"}, TypeError, "timeout must be a number of seconds or None, not 'soon'"),
        ({"patience": 1}, TypeError, "patience"),
    ],
)
def test_a_wrong_view_is_refused_in_words(
    one: Pool, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        one.at(**options)


# --- capacity ---------------------------------------------------------------------------------------------------------


def test_waiting_for_room_in_a_full_pool() -> None:
    with Pool(1, capacity=1) as pool:
        busy = Busy(pool)
        queued = pool.submit(abs, -1)
        with pytest.raises(libcoop.QueueFull):
            pool.at(timeout=0).submit(abs, -2)
        with pytest.raises(libcoop.Timeout, match="no room came in time"):
            pool.at(timeout=0.01).submit(abs, -3)
        threading.Timer(0.02, busy.go.set).start()
        assert pool.at(timeout=None).submit(abs, -4).result(DEADLINE) == 4
        assert queued.result(DEADLINE) == 1


def test_a_call_of_a_full_pool_does_not_wait_for_room_in_it() -> None:
    with Pool(1, capacity=1) as pool:
        begun, full = threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            full.wait(DEADLINE)
            pool.at(timeout=None).submit(abs, -2)

        future = pool.submit(call)
        begun.wait(DEADLINE)
        pool.submit(abs, -1)
        full.set()
        assert isinstance(future.exception(DEADLINE), libcoop.WouldDeadlock)


# --- context, awaiting ------------------------------------------------------------------------------------------------


def test_calls_see_the_context_variables_that_submit_saw(one: Pool) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("submitted")
    seen = one.submit(variable.get)
    variable.set("later")
    changed = one.submit(variable.set, "in the worker")
    assert (seen.result(DEADLINE), changed.result(DEADLINE).old_value) == ("submitted", "later")
    assert variable.get() == "later"
    assert list(one.map(lambda _: variable.get(), [1])) == ["later"]


def test_cancelling_a_task_cancels_its_call(one: Pool) -> None:
    busy = Busy(one)
    ran: list[int] = []

    async def main() -> None:
        task = asyncio.ensure_future(one.run(ran.append, 1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    busy.go.set()
    one.submit(int).result(DEADLINE)
    assert ran == []


def test_gather_of_many_awaited_futures(one: Pool) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(one.run(abs, -number) for number in range(500)))

    assert asyncio.run(main()) == list(range(500))


# --- fairness ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def short_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("short_switches")
def test_many_small_calls_leave_other_threads_their_turn() -> None:
    """None of these calls gives way by itself, for none is in Python: the worker does between them."""
    turns, stop = 0, False

    def take_turns() -> None:
        nonlocal turns
        while not stop:
            # Gives the interpreter away, and goes on when it has it again.
            time.sleep(0)
            turns += 1

    with Pool(1) as pool:
        busy = Busy(pool)
        for _ in range(100_000):
            last = pool.submit(abs, -1)
        beside = threading.Thread(target=take_turns)
        beside.start()
        before = turns
        busy.go.set()
        # Each turn is a wait for a CPU where others want that, too.
        last.result(4 * DEADLINE)
        taken = turns - before
        stop = True
        beside.join(DEADLINE)
    # The calls take many switch intervals; without a turn in between there would be one or two.
    assert taken > 5


def test_a_pool_gets_on_beside_a_thread_that_computes() -> None:
    """That one never gives the interpreter away by itself."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=compute)
    with Pool(2) as pool:
        thread.start()
        try:
            done = futures.wait([pool.submit(abs, -1) for _ in range(10_000)], DEADLINE)
        finally:
            stop.set()
            thread.join(DEADLINE)
    assert not done.not_done


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wait",
    [
        "future.result()",
        "future.exception(30)",
        "concurrent.futures.wait([future])",
        "list(concurrent.futures.as_completed([future]))",
        "list(pool.map(go.wait, [30]))",
        "pool.shutdown()",
        "pool.at(timeout=None).submit(int)",
    ],
)
def test_ctrl_c_ends_every_wait(program: Any, wait: str) -> None:
    ran = program(
        f"""
        import concurrent.futures, os, signal, threading, libcoop
        pool = libcoop.Pool(1, capacity=2)
        go, began = threading.Event(), threading.Event()
        pool.submit(lambda: (began.set(), go.wait(30)))
        began.wait()
        future = pool.submit(int)
        if "at(" in {wait!r}:
            pool.submit(int)
        try:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            {wait}
        except KeyboardInterrupt:
            print("interrupted")
        go.set()
        """
    )
    assert ran.stdout == "interrupted\n"


def test_a_forked_child_is_told_and_its_exit_is_clean(program: Any) -> None:
    ran = program(
        """
        import concurrent.futures, os, threading, libcoop
        pool = libcoop.Pool(2)
        view = pool.at(priority=1)
        go = threading.Event()
        running = [pool.submit(go.wait, 30) for _ in range(2)]
        queued, done = pool.submit(abs, -1), libcoop.Future()
        done.set_result(5)
        child = os.fork()
        if child == 0:
            for call in (
                lambda: pool.submit(abs, -1),
                lambda: view.submit(abs, -1),
                lambda: list(pool.map(abs, [-1])),
                lambda: running[0].result(),
                lambda: queued.exception(1),
                lambda: concurrent.futures.wait(running),
                lambda: queued.add_done_callback(print),
                lambda: pool.at(priority=1),
                pool.stats,
                pool.shutdown,
            ):
                try:
                    call()
                except libcoop.Forked as error:
                    assert "was made before fork()" in str(error), error
                else:
                    raise AssertionError(call)
            assert done.result() == 5
            with libcoop.Pool(1) as own:
                assert own.submit(abs, -3).result() == 3
            raise SystemExit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        go.set()
        assert [future.result() for future in running] == [True, True]
        assert queued.result() == 1
        """
    )
    assert ran.stdout == ""


def test_what_was_submitted_runs_before_the_program_ends(program: Any) -> None:
    ran = program(
        """
        import atexit, time, libcoop
        pool = libcoop.Pool(1)

        @atexit.register
        def late():
            try:
                pool.submit(abs, -1)
            except RuntimeError as error:
                print(error)

        pool.submit(time.sleep, 0.05)
        pool.submit(print, "ran", flush=True)
        """
    )
    assert ran.stdout == "ran\ncannot schedule new futures after interpreter shutdown\n"


def test_asyncio_comes_with_its_use_only(program: Any) -> None:
    program(
        """
        import sys, libcoop
        with libcoop.Pool(2) as pool:
            assert pool.at(priority=1).submit(abs, -1).result() == 1
            assert list(pool.map(abs, [-1])) == [1]
        assert "asyncio" not in sys.modules
        """
    )


def test_a_users_program_passes_mypy_strict(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), *map(str, USERS_PROGRAMS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_users_program_passes_pyright() -> None:
    # The one in the wheel, with the wheel's node: nothing is downloaded.
    settings = {"PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *map(str, USERS_PROGRAMS)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 errors" in checked.stdout


@pytest.mark.parametrize("program", USERS_PROGRAMS, ids=lambda program: program.stem)
def test_the_users_program_runs(program: Path) -> None:
    subprocess.run([sys.executable, str(program)], check=True, timeout=2 * DEADLINE)
