"""`EventLoop.signal`, beside Python's `signal` module; and `libcoop.Event`."""

from __future__ import annotations

import os
import queue
import select
import signal
import threading

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import Event, EventLoop

Told = queue.SimpleQueue[tuple[int, int]]


def test_a_signal_is_told_with_how_often(running_loop: EventLoop) -> None:
    told: Told = queue.SimpleQueue()
    watcher = running_loop.signal(signal.SIGUSR1, lambda signum, times: told.put((signum, times)))
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert told.get(timeout=DEADLINE) == (signal.SIGUSR1, 1)
    assert repr(watcher) == f"<libcoop.Signal {watcher.id:#x} of signal {signal.SIGUSR1:d}>"
    watcher.cancel()
    with pytest.raises(libcoop.Stale):
        watcher.cancel()


@pytest.mark.parametrize("end", ["cancel", "stop", "close", "let go of"])
def test_pythons_own_handler_is_back_afterwards(end: str) -> None:
    own: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda signum, _: own.append(signum))
    try:
        loops = [EventLoop(), EventLoop()]
        told: Told = queue.SimpleQueue()
        watchers = []
        for loop in loops:
            loop.start()
            watchers.append(loop.signal(signal.SIGUSR2, lambda *got: told.put(got)))
        os.kill(os.getpid(), signal.SIGUSR2)
        assert [told.get(timeout=DEADLINE)[0] for _ in range(2)] == [signal.SIGUSR2] * 2
        assert own == []
        if end == "cancel":
            for loop, watcher in zip(loops, watchers, strict=True):
                watcher.cancel()
                # Its callback, which has told, has returned too.
                loop.post_and_wait(bool)
        elif end == "let go of":
            del loop
            loops.clear()
        else:
            for loop in loops:
                getattr(loop, end)()
                loop.join(DEADLINE)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert own == [signal.SIGUSR2]
        assert told.empty()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_while_sigint_is_watched_ctrl_c_is_only_that(loop: EventLoop) -> None:
    told: list[tuple[int, int]] = []

    def ctrl_c(*got: int) -> None:
        told.append((got[0], got[1]))
        loop.stop()

    loop.signal(signal.SIGINT, ctrl_c)
    loop.post(os.kill, os.getpid(), signal.SIGINT)
    loop.run()
    assert told == [(signal.SIGINT, 1)]
    loop.close()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("signum", [0, -1, 65, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_what_cannot_be_watched_is_refused(loop: EventLoop, signum: int) -> None:
    with pytest.raises(ValueError, match=str(int(signum))):
        loop.signal(signum, print)


def test_a_callback_is_checked(loop: EventLoop) -> None:
    with pytest.raises(TypeError, match="callback must be callable, not 7"):
        loop.signal(signal.SIGUSR1, 7)  # type: ignore[arg-type]
    loop.stop()
    with pytest.raises(libcoop.Closed):
        loop.signal(signal.SIGUSR1, print)


def test_a_forked_child_does_what_it_did_before(program: Program) -> None:
    program(
        """
        import os, signal
        import libcoop

        own = []
        signal.signal(signal.SIGUSR1, lambda *_: own.append(1))
        loop = libcoop.EventLoop()
        loop.start()
        loop.signal(signal.SIGUSR1, print)
        pid = os.fork()
        if pid == 0:
            signal.raise_signal(signal.SIGUSR1)
            os._exit(7 if own else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        """
    )


# --- events -----------------------------------------------------------------------------------------------------------


def test_an_event_lets_one_through_for_each_signal(running_loop: EventLoop) -> None:
    with Event() as event:
        waits = [event.wait(running_loop) for _ in range(3)]
        running_loop.post_and_wait(bool)
        for _ in range(3):
            event.signal()
        assert [wait.result(DEADLINE) for wait in waits] == [None] * 3
        assert not event.is_signaled()
        event.signal()
        assert select.select([event], [], [], 0)[0] == [event]
        assert repr(event) == "<libcoop.Event signalled>"
        assert event.wait(running_loop).result(DEADLINE) is None
        event.signal()
        event.reset()
        assert not event.is_signaled()


def test_a_manual_event_lets_all_through(running_loop: EventLoop) -> None:
    with Event(manual_reset=True) as event:
        waits = [event.wait(running_loop) for _ in range(3)]
        event.signal()
        assert [wait.result(DEADLINE) for wait in waits] == [None] * 3
        assert event.is_signaled()
        event.reset()
        last = event.wait(running_loop)
        assert last.cancel()


def test_an_event_is_watched(running_loop: EventLoop) -> None:
    ran = threading.Semaphore(0)
    with Event() as event:
        watch = event.watch(running_loop, ran.release)
        for _ in range(3):
            event.signal()
            assert ran.acquire(timeout=DEADLINE)
        watch.cancel()
        with pytest.raises(TypeError, match="callback must be callable"):
            event.watch(running_loop, None)  # type: ignore[arg-type]
    for call in (event.signal, event.reset, event.is_signaled, event.fileno, lambda: event.wait(running_loop)):
        with pytest.raises(libcoop.Closed, match="the event is closed"):
            call()
    assert repr(event) == "<libcoop.Event closed>"
