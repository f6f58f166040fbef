"""Timers and watches of `libcoop.EventLoop`."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from pathlib import Path

import libcoop
import pytest
from libcoop import READ, WRITE, EventLoop, RunMode

DEADLINE = 30.0


def test_timers_fire_in_the_order_of_their_times_and_not_early(loop: EventLoop) -> None:
    fired: list[tuple[str, float]] = []
    started = time.monotonic()

    def fire(name: str, delay: float) -> None:
        fired.append((name, time.monotonic() - started - delay))

    for name, delay in [("third", 0.6), ("first", 0.0), ("second", 0.3)]:
        loop.call_later(delay, fire, name, delay)
    loop.run(RunMode.UNTIL_IDLE)
    assert [name for name, _ in fired] == ["first", "second", "third"]
    assert all(late >= 0 for _, late in fired)


def test_a_repeating_timer_goes_on_until_it_is_cancelled(loop: EventLoop) -> None:
    calls: list[str] = []

    def tick(argument: str) -> None:
        calls.append(argument)
        if len(calls) == 5:
            timer.cancel()

    timer = loop.call_later(0.001, tick, "x", repeat=0.001)
    loop.run(RunMode.UNTIL_IDLE)
    assert calls == ["x"] * 5
    with pytest.raises(libcoop.Stale):
        timer.cancel()


def test_a_cancelled_timer_does_not_fire_and_is_stale(loop: EventLoop) -> None:
    fired: list[str] = []
    timer = loop.call_later(0.001, fired.append, "cancelled")
    loop.call_later(0.005, fired.append, "kept")
    timer.cancel()
    loop.run(RunMode.UNTIL_IDLE)
    assert fired == ["kept"]
    with pytest.raises(libcoop.Stale, match="timer has ended or was cancelled"):
        timer.cancel()


def test_a_timer_that_has_fired_is_stale(loop: EventLoop) -> None:
    timer = loop.call_later(0, lambda: None)
    loop.run(RunMode.ONCE)
    with pytest.raises(libcoop.Stale):
        timer.cancel()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delay": -1}, "delay must be at least 0 seconds, not -1"),
        ({"delay": float("nan")}, "delay must be at least 0 seconds, not NaN"),
        ({"delay": 0, "repeat": -0.5}, "repeat must be at least 0 seconds, not -0.5"),
        ({"delay": 0, "repeat": 0}, "period must be longer than 0"),
    ],
)
def test_impossible_times_are_refused(loop: EventLoop, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loop.call_later(arguments["delay"], lambda: None, repeat=arguments.get("repeat"))
    with pytest.raises(TypeError):
        loop.call_later("soon", lambda: None)  # type: ignore[arg-type]


def test_a_timer_for_ever_is_fine(loop: EventLoop) -> None:
    loop.call_later(float("inf"), lambda: None).cancel()


# --- watches ----------------------------------------------------------------------------------------------------------


def test_a_level_triggered_watch_is_told_until_all_is_read(
    loop: EventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    read: list[bytes] = []

    def readable(events: int) -> None:
        assert events == READ
        read.append(left.recv(1))
        if len(read) == 3:
            loop.stop()

    loop.watch(left, READ, readable)
    right.send(b"abc")
    loop.run()
    assert read == [b"a", b"b", b"c"]


def test_an_edge_triggered_watch_is_told_once_for_each_change(
    loop: EventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    told: list[int] = []
    loop.watch(left.fileno(), READ, told.append, edge=True)
    right.send(b"abc")
    loop.run(RunMode.ONCE)
    for _ in range(5):
        loop.run(RunMode.NOWAIT)
    assert told == [READ]
    right.send(b"d")
    loop.run(RunMode.ONCE)
    assert told == [READ, READ]


def test_one_watch_covers_both_directions(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    told: list[int] = []
    watch = loop.watch(left, READ | WRITE, told.append)
    loop.run(RunMode.ONCE)
    right.send(b"x")
    loop.run(RunMode.ONCE)
    assert told == [WRITE, READ | WRITE]
    with pytest.raises(libcoop.Exists, match=f"fd {left.fileno()} has a watch already"):
        loop.watch(left, READ, told.append)
    watch.cancel()
    loop.watch(left, READ, told.append).cancel()


def test_a_hang_up_is_told(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    told: list[int] = []
    loop.watch(left, READ, told.append)
    right.close()
    loop.run(RunMode.ONCE)
    assert told[0] & libcoop.HANG_UP
    assert told[0] & READ
    assert left.recv(1) == b""


def test_an_error_is_told(loop: EventLoop) -> None:
    reader, writer = os.pipe()
    try:
        told: list[int] = []
        loop.watch(writer, WRITE, told.append)
        os.close(reader)
        loop.run(RunMode.ONCE)
        assert told[0] & libcoop.ERROR
    finally:
        os.close(writer)


def test_a_cancelled_watch_is_silent_and_stale(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    told: list[int] = []
    watch = loop.watch(left, READ, told.append)
    right.send(b"x")
    watch.cancel()
    loop.run(RunMode.NOWAIT)
    assert told == []
    with pytest.raises(libcoop.Stale, match="io_watch"):
        watch.cancel()


def test_a_watch_cancelled_by_its_own_callback(loop: EventLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    told: list[int] = []

    def once(events: int) -> None:
        told.append(events)
        watch.cancel()

    watch = loop.watch(left, READ, once)
    right.send(b"x")
    loop.run(RunMode.UNTIL_IDLE)
    assert told == [READ]


def test_a_descriptor_closed_under_its_watch_does_no_harm(loop: EventLoop) -> None:
    left, right = socket.socketpair()
    watch = loop.watch(left, READ, lambda _: None)
    left.close()
    right.close()
    ran: list[int] = []
    loop.post(ran.append, 1)
    loop.run(RunMode.ONCE)
    assert ran == [1]
    watch.cancel()


def test_what_cannot_be_watched_is_refused_in_words(loop: EventLoop, tmp_path: Path) -> None:
    def told(_: int) -> None:
        raise AssertionError("nothing is ready")

    left, right = socket.socketpair()
    number = left.fileno()
    left.close()
    right.close()
    with pytest.raises(libcoop.Os, match=f"watch fd {number}: Bad file descriptor") as raised:
        loop.watch(number, READ, told)
    assert raised.value.errno == 9
    with pytest.raises(ValueError, match="-1 is negative"):
        loop.watch(left, READ, told)
    with (tmp_path / "file").open("w") as file, pytest.raises(libcoop.Os, match="cannot be watched"):
        loop.watch(file, WRITE, told)
    with pytest.raises(TypeError, match="fd must be a file descriptor or an object with fileno"):
        loop.watch("0", READ, told)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"{2**40} is not a file descriptor"):
        loop.watch(2**40, READ, told)
    for events in (0, 4, -1, 2**40):
        with pytest.raises(ValueError, match=rf"events must be READ \(1\), WRITE \(2\) or both, not {events}"):
            loop.watch(0, events, told)


# --- running ----------------------------------------------------------------------------------------------------------


def test_a_loop_says_what_it_did(running_loop: EventLoop) -> None:
    before = running_loop.stats()
    running_loop.sleep(0).result(DEADLINE)
    timer = running_loop.call_later(60, print)
    running_loop.post_and_wait(time.sleep, 0.02)
    running_loop.post_and_wait(bool)
    after = running_loop.stats()
    assert after.iterations > before.iterations
    assert after.posts > before.posts
    assert after.timers_fired == before.timers_fired + 1
    assert (after.timers, after.watches) == (1, 0)
    assert after.longest_callback >= 0.02
    timer.cancel()


def test_slow_callbacks_are_reported(running_loop: EventLoop, caplog: pytest.LogCaptureFixture) -> None:
    told: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    running_loop.set_slow_hook(0.01, lambda *slow: told.put(slow))
    running_loop.post(time.sleep, 0.02)
    what, took = told.get(timeout=DEADLINE)
    assert what == "post"
    assert took >= 0.02
    running_loop.set_slow_hook(None)
    lags: queue.SimpleQueue[float] = queue.SimpleQueue()
    running_loop.set_lag_hook(0.01, lags.put)
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go.wait(DEADLINE)

    running_loop.post(hold)
    assert begun.wait(DEADLINE)
    # Both are due when its next turn begins.
    running_loop.call_later(0, time.sleep, 0.02)
    running_loop.call_later(0, bool)
    go.set()
    assert lags.get(timeout=DEADLINE) >= 0.01
    running_loop.set_lag_hook(None)
    with pytest.raises(ValueError, match="0"):
        running_loop.set_slow_hook(0, print)
    with pytest.raises(TypeError, match="callback must be callable"):
        running_loop.set_slow_hook(1, 7)  # type: ignore[arg-type]


def test_what_is_unref_keeps_no_loop(loop: EventLoop) -> None:
    timer = loop.call_later(60, print, unref=True)
    left, right = socket.socketpair()
    with left, right:
        watch = loop.watch(left, libcoop.READ, print, unref=True)
        loop.run(libcoop.RunMode.UNTIL_IDLE)
        timer.ref()
        watch.ref()
        timer.unref()
        watch.unref()
        loop.run(libcoop.RunMode.UNTIL_IDLE)
        watch.cancel()
        timer.cancel()
        for source in (timer, watch):
            with pytest.raises(libcoop.Stale):
                source.ref()


def test_callbacks_in_the_pool_at_a_priority(loop: EventLoop) -> None:
    with libcoop.Runtime(2) as runtime:
        runtime.start()
        names: queue.SimpleQueue[int] = queue.SimpleQueue()
        runtime.event_loop.call_later(0, lambda: names.put(threading.get_ident()), priority=libcoop.Priority.HIGH)
        assert names.get(timeout=DEADLINE) != runtime.event_loop.post_and_wait(threading.get_ident)
        with pytest.raises(libcoop.Invalid, match="priority"):
            runtime.event_loop.call_later(0, print, priority=9)
    with pytest.raises(libcoop.Invalid, match="has no pool"):
        loop.call_later(0, print, priority=1)


def test_signals_and_events_in_the_pool_at_a_priority(loop: EventLoop) -> None:
    with libcoop.Runtime(2) as runtime, libcoop.Event() as event:
        runtime.start()
        names: queue.SimpleQueue[int] = queue.SimpleQueue()
        on_loop = runtime.event_loop.post_and_wait(threading.get_ident)
        event.watch(runtime.event_loop, lambda: names.put(threading.get_ident()), priority=libcoop.Priority.HIGH)
        event.signal()
        assert names.get(timeout=DEADLINE) != on_loop
        told = runtime.event_loop.signal(
            signal.SIGUSR2, lambda *_: names.put(threading.get_ident()), priority=libcoop.Priority.LOW
        )
        os.kill(os.getpid(), signal.SIGUSR2)
        assert names.get(timeout=DEADLINE) != on_loop
        told.cancel()
        with pytest.raises(libcoop.Invalid, match="CPU -1"):
            event.watch(runtime.event_loop, print, cpus=[-1])
        with pytest.raises(libcoop.Invalid, match="priority 9"):
            runtime.event_loop.signal(signal.SIGUSR2, print, priority=9)
    with libcoop.Event() as event, pytest.raises(libcoop.Invalid, match="has no pool"):
        event.watch(loop, print, priority=1)
    with pytest.raises(libcoop.Invalid, match="has no pool"):
        loop.signal(signal.SIGUSR2, print, cpus=[0])
    with pytest.raises(libcoop.Invalid, match="has no pool"):
        loop.async_(print, priority=1)


def test_an_async_wakes_the_loop_from_a_signal_handler(running_loop: EventLoop) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    wake = running_loop.async_(told.put, "woken")
    before = signal.signal(signal.SIGUSR1, lambda *_: wake.send())
    try:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert told.get(timeout=DEADLINE) == "woken"
    finally:
        signal.signal(signal.SIGUSR1, before)
    wake.close()
    wake.close()
    with pytest.raises(libcoop.Closed, match="async"):
        wake.send()
    with pytest.raises(TypeError, match="callback must be callable"):
        running_loop.async_(7)  # type: ignore[arg-type]


def test_sends_before_the_callback_begins_are_one_call(loop: EventLoop) -> None:
    told: list[int] = []
    with loop.async_(told.append, 1) as wake:
        for _ in range(100):
            wake.send()
        loop.run(RunMode.NOWAIT)
        loop.run(RunMode.NOWAIT)
        assert told == [1]
        wake.send()
        loop.run(RunMode.NOWAIT)
        assert told == [1, 1]
        loop.stop()
        loop.run()
        wake.send()
        assert told == [1, 1]


def test_a_wait_that_is_cancelled_as_it_ends_leaves_the_signal_to_the_next(running_loop: EventLoop) -> None:
    with libcoop.Event() as event:
        cancelled = 0
        for number in range(2000):
            future = event.wait(running_loop)
            event.signal()
            time.sleep(0 if number % 2 else 1e-5)
            if future.cancel():
                cancelled += 1
                event.wait(running_loop).result(DEADLINE)
        assert cancelled
        running_loop.post_and_wait(bool)
        assert not event.is_signaled()
