"""`libcoop.EventLoop`: posts, timers, watches, and how a loop is run and ended."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import READ, WRITE, EventLoop, RunMode

DEADLINE = 30.0


class Thing:
    """Something that callbacks hold."""

    def ignore(self, *_: object) -> None:
        pass


# --- posts ------------------------------------------------------------------------------------------------------------


def test_posts_run_in_order_with_their_arguments(loop: EventLoop) -> None:
    ran: list[int] = []
    for number in range(1000):
        loop.post(ran.append, number)
    assert ran == []
    loop.post(loop.stop)
    loop.run()
    assert ran == list(range(1000))


def test_posts_of_many_threads_all_run_each_threads_in_order(running_loop: EventLoop) -> None:
    ran: list[tuple[int, int]] = []

    def post(thread: int) -> None:
        for number in range(500):
            running_loop.post(ran.append, (thread, number))

    threads = [threading.Thread(target=post, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running_loop.stop()
    running_loop.join(DEADLINE)
    for number in range(4):
        assert [n for thread, n in ran if thread == number] == list(range(500))


def test_a_started_loop_has_one_thread_of_its_own(running_loop: EventLoop) -> None:
    idents: queue.SimpleQueue[int] = queue.SimpleQueue()
    for _ in range(2):
        running_loop.post(lambda: idents.put(threading.get_ident()))
    first, second = idents.get(timeout=DEADLINE), idents.get(timeout=DEADLINE)
    assert first == second != threading.get_ident()


def test_run_runs_here(loop: EventLoop) -> None:
    idents: list[int] = []
    loop.post(lambda: idents.append(threading.get_ident()))
    loop.run(RunMode.ONCE)
    assert idents == [threading.get_ident()]


def test_thread_locals_of_a_loops_thread_last(running_loop: EventLoop) -> None:
    local = threading.local()
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    running_loop.post(setattr, local, "value", "kept")
    running_loop.post(lambda: answers.put(getattr(local, "value", "lost")))
    assert answers.get(timeout=DEADLINE) == "kept"


@pytest.mark.parametrize("call", ["post", "call_later", "watch"])
def test_what_cannot_be_called_is_refused(loop: EventLoop, call: str) -> None:
    calls: dict[str, Callable[[Any], object]] = {
        "post": loop.post,
        "call_later": lambda callback: loop.call_later(0, callback),
        "watch": lambda callback: loop.watch(0, READ, callback),
    }
    with pytest.raises(TypeError, match="callback must be callable, not 7"):
        calls[call](7)


# --- timers -----------------------------------------------------------------------------------------------------------


def test_once_waits_for_one_turn_and_nowait_does_not(loop: EventLoop) -> None:
    ran: list[int] = []
    loop.run(RunMode.NOWAIT)
    late = loop.call_later(60, ran.append, 0)
    loop.run(RunMode.NOWAIT)
    assert ran == []
    late.cancel()
    loop.call_later(0.05, ran.append, 1)
    loop.run(RunMode.ONCE)
    assert ran == [1]


def test_until_idle_ends_when_nothing_is_left(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    ran: list[str] = []

    def readable(_: int) -> None:
        ran.append("watch")
        watch.cancel()

    watch = loop.watch(left, READ, readable)
    loop.post(loop.post, ran.append, "post of a post")
    loop.call_later(0.005, lambda: right.send(b"x"))
    loop.run(RunMode.UNTIL_IDLE)
    assert ran == ["post of a post", "watch"]
    assert not loop.stopped
    loop.run(RunMode.UNTIL_IDLE)


def test_an_unknown_mode_is_refused(loop: EventLoop) -> None:
    with pytest.raises(libcoop.Invalid, match="run mode 9 is out of range: DEFAULT is 0"):
        loop.run(9)  # type: ignore[arg-type]


def test_stop_runs_what_was_accepted_and_takes_no_more(loop: EventLoop) -> None:
    ran: list[int] = []
    refused: list[BaseException] = []

    def stop() -> None:
        loop.stop()
        try:
            loop.post(ran.append, 99)
        except libcoop.Closed as error:
            refused.append(error)

    loop.post(stop)
    loop.post(ran.append, 1)
    loop.call_later(60, ran.append, 2)
    loop.run()
    assert ran == [1]
    assert [str(error) for error in refused] == ["the event loop is closed"]


def test_everything_is_closed_after_stop(loop: EventLoop) -> None:
    loop.stop()
    loop.stop()
    for call in (
        lambda: loop.post(print),
        lambda: loop.call_later(0, print),
        lambda: loop.watch(0, READ, print),
        loop.run,
        loop.start,
    ):
        with pytest.raises(libcoop.Closed, match="the event loop is closed"):
            call()
    loop.join()
    loop.close()
    loop.close()


def test_close_discards_what_is_queued(loop: EventLoop) -> None:
    ran: list[int] = []
    loop.post(ran.append, 1)
    loop.close()
    assert ran == []
    with pytest.raises(libcoop.Closed):
        loop.run()


@pytest.mark.parametrize("end", ["stop", "close"])
@pytest.mark.parametrize("source", ["post", "timer", "watch"])
def test_a_loop_is_ended_by_its_own_callbacks(end: str, source: str, pair: tuple[socket.socket, socket.socket]) -> None:
    loop = EventLoop()
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def finish(*_: object) -> None:
        getattr(loop, end)()
        ended.put(end)

    if source == "post":
        loop.post(finish)
    elif source == "timer":
        loop.call_later(0, finish)
    else:
        loop.watch(pair[0], WRITE, finish)
    loop.start()
    assert ended.get(timeout=DEADLINE) == end
    loop.join(DEADLINE)
    assert (loop.stopped, loop.running) == (True, False)


def test_joining_oneself_is_refused(running_loop: EventLoop) -> None:
    answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def attempt(call: Callable[[], object]) -> None:
        try:
            call()
            answers.put(None)
        except RuntimeError as error:
            answers.put(error)

    for call in (running_loop.join, running_loop.run, running_loop.start):
        running_loop.post(attempt, call)
        assert type(answers.get(timeout=DEADLINE)) is libcoop.WouldDeadlock


def test_a_loop_runs_once_at_a_time(running_loop: EventLoop) -> None:
    with pytest.raises(libcoop.Exists, match="running on another thread"):
        running_loop.run()
    with pytest.raises(libcoop.Exists, match="running on another thread"):
        running_loop.start()


def test_join_times_out_and_may_be_called_again(running_loop: EventLoop) -> None:
    for timeout in (0, -1, 0.01):
        with pytest.raises(libcoop.Timeout, match="still running"):
            running_loop.join(timeout)
    with pytest.raises(ValueError, match="timeout must be a number of seconds or None, not nan"):
        running_loop.join(float("nan"))
    running_loop.stop()
    running_loop.join(float("inf"))


def test_stop_from_another_thread_ends_a_run(loop: EventLoop) -> None:
    began = threading.Event()
    loop.post(began.set)

    def stop() -> None:
        began.wait(DEADLINE)
        loop.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    loop.run()
    thread.join()
    assert loop.stopped


def test_states_are_shown(loop: EventLoop) -> None:
    shown: list[str] = []
    assert repr(loop) == "<libcoop.EventLoop not running>"
    loop.post(lambda: shown.append(repr(loop)))
    loop.post(loop.stop)
    loop.post(lambda: shown.append(repr(loop)))
    loop.run()
    assert shown == ["<libcoop.EventLoop running>", "<libcoop.EventLoop stopping>"]
    assert repr(loop) == "<libcoop.EventLoop stopped>"


def test_timers_and_watches_are_shown(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    timer, watch = loop.call_later(1, print), loop.watch(pair[0], READ, print)
    assert repr(timer) == f"<libcoop.Timer {timer.id:#x}>"
    assert repr(watch) == f"<libcoop.Watch {watch.id:#x} of fd {pair[0].fileno()}>"


def test_a_with_block_closes_the_loop() -> None:
    with EventLoop(name="named") as loop:
        loop.start()
    assert (loop.stopped, loop.running) == (True, False)
    with pytest.raises(ValueError, match="NUL"):
        EventLoop(name="a\0b")


def threads_named(name: str) -> int:
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return names.count(name)


def test_a_loop_that_is_let_go_of_ends() -> None:
    loop = EventLoop(name="let-go-of")
    loop.start()
    # The thread takes its name itself.
    while threads_named("let-go-of") == 0:
        os.sched_yield()
    del loop
    # Joined; the system may show it a moment longer.
    while threads_named("let-go-of") > 0:
        os.sched_yield()


# --- exceptions -------------------------------------------------------------------------------------------------------


def failing(*_: object) -> None:
    raise LookupError("a callback's own")


@pytest.mark.parametrize("source", ["post", "timer", "repeating timer", "watch"])
def test_an_exception_is_logged_once_and_the_loop_goes_on(
    loop: EventLoop, source: str, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    if source == "post":
        loop.post(failing)
    elif source == "watch":
        watch = loop.watch(pair[0], WRITE, failing)
        loop.post(watch.cancel)
    else:
        loop.call_later(0, failing, repeat=60 if source == "repeating timer" else None)
    ran: list[int] = []
    loop.call_later(0.01, ran.append, 1)
    loop.call_later(0.01, loop.stop)
    loop.run()
    assert ran == [1]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("libcoop", logging.ERROR)
    assert "callback failing of " in record.getMessage()
    assert record.exc_info is not None
    kind, error, traceback = record.exc_info
    assert kind is LookupError
    assert str(error) == "a callback's own"
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == "failing"


@pytest.mark.parametrize("raised", [SystemExit(7), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_leaves_run(
    loop: EventLoop, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def leave() -> None:
        raise raised

    ran: list[int] = []
    loop.post(leave)
    loop.post(ran.append, 1)
    with pytest.raises(type(raised)) as caught:
        loop.run()
    assert caught.value is raised
    assert ran == []
    assert not caplog.records
    loop.run(RunMode.ONCE)
    assert ran == [1], "the loop stays open"


def test_on_a_loops_own_thread_it_is_logged(running_loop: EventLoop, caplog: pytest.LogCaptureFixture) -> None:
    ran = threading.Event()
    running_loop.post(sys.exit, 7)
    running_loop.post(ran.set)
    assert ran.wait(DEADLINE)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [SystemExit]


def test_the_inner_of_two_loops_is_left(loop: EventLoop) -> None:
    caught: list[BaseException] = []

    def outer() -> None:
        with EventLoop() as inner:
            inner.post(sys.exit, 3)
            try:
                inner.run()
            except SystemExit as error:
                caught.append(error)

    loop.post(outer)
    loop.run(RunMode.ONCE)
    assert [type(error) for error in caught] == [SystemExit]


# --- references -------------------------------------------------------------------------------------------------------


def release_by_running(loop: EventLoop, thing: Thing) -> None:
    loop.post(thing.ignore)
    loop.call_later(0, thing.ignore)
    loop.run(RunMode.UNTIL_IDLE)


def release_by_closing(loop: EventLoop, thing: Thing) -> None:
    loop.post(thing.ignore)
    loop.call_later(60, thing.ignore)
    loop.call_later(60, thing.ignore, repeat=60)
    left, right = socket.socketpair()
    with left, right:
        loop.watch(left, READ, thing.ignore)
        loop.close()


def release_by_cancelling(loop: EventLoop, thing: Thing) -> None:
    loop.call_later(60, thing.ignore, thing, repeat=1).cancel()
    left, right = socket.socketpair()
    with left, right:
        loop.watch(left, READ, thing.ignore).cancel()


def release_by_refusal(loop: EventLoop, thing: Thing) -> None:
    with pytest.raises(ValueError, match="negative"):
        loop.watch(-1, READ, thing.ignore)
    loop.stop()
    with pytest.raises(libcoop.Closed):
        loop.post(thing.ignore, thing)
    with pytest.raises(libcoop.Closed):
        loop.call_later(0, thing.ignore, thing)


def release_by_failing(loop: EventLoop, thing: Thing) -> None:
    def fail(thing: Thing) -> None:
        raise ValueError(thing)

    logging.disable(logging.CRITICAL)
    try:
        loop.post(fail, thing)
        loop.run(RunMode.ONCE)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "release",
    [release_by_running, release_by_closing, release_by_cancelling, release_by_refusal, release_by_failing],
)
def test_callbacks_are_let_go_of(loop: EventLoop, release: Callable[[EventLoop, Thing], None]) -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    release(loop, thing)
    del thing
    assert gone() is None


@pytest.mark.parametrize("how", ["post", "timer", "cancel from a callback", "watch"])
def test_a_loops_thread_lets_go_at_once(
    running_loop: EventLoop, how: str, pair: tuple[socket.socket, socket.socket]
) -> None:
    """And not when some thread happens to call the library again, which this one does not."""
    released = threading.Event()
    thing = Thing()
    weakref.finalize(thing, released.set)
    if how == "post":
        running_loop.post(thing.ignore, thing)
    elif how == "timer":
        running_loop.call_later(0.001, thing.ignore, thing)
    elif how == "watch":
        watch = running_loop.watch(pair[0], READ, thing.ignore)
        running_loop.call_later(0.001, watch.cancel)
    else:
        timer = running_loop.call_later(60, thing.ignore, thing)
        running_loop.post(timer.cancel)
    del thing
    assert released.wait(DEADLINE)


def test_a_callback_may_drop_the_loop_it_runs_on() -> None:
    dropped = threading.Event()
    loops = [EventLoop()]
    weakref.finalize(loops[0], dropped.set)
    loops[0].post(loops.clear)
    loops[0].start()
    assert dropped.wait(DEADLINE)


def test_dropping_from_many_threads_while_others_want_the_interpreter() -> None:
    """Each loop's end waits for its thread, whose callback waits for the interpreter."""

    def make_and_drop() -> None:
        for _ in range(50):
            loop = EventLoop()
            loop.call_later(0, sum, range(1000), repeat=0.0001)
            for _ in range(10):
                loop.post(sum, range(1000))
            loop.start()
            del loop

    threads = [threading.Thread(target=make_and_drop, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a deadlock"
    gc.collect()
