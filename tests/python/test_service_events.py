"""Observers of a host in Python: what they are told, how they are waited for, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import eventkit
import libcoop
import pytest
from conftest import Program
from hostkit import LONG, SLEEP, raises, runs, until, waits
from libcoop import Because, Context, Ended, EventKind, Executor, Host, Lost, Observer, Restart, ServiceEvent

THREAD = Executor.THREAD


def next_of(observer: Observer, wanted: Callable[[ServiceEvent], bool] = lambda _event: True) -> ServiceEvent:
    """The next event that is wanted."""
    while True:
        item = observer.next(LONG)
        assert isinstance(item, ServiceEvent), item
        if wanted(item):
            return item


def ended(observer: Observer) -> ServiceEvent:
    return next_of(observer, lambda event: event.kind == EventKind.ENDED)


def test_a_service_s_life_is_told() -> None:
    with Host("h") as host:
        observer = host.events("h/a")
        host.add("a", waits, executor=THREAD)
        host.start()
        host.terminate_child("a")
        host.delete_child("a")
        told = [next_of(observer) for _ in range(6)]
        assert [event.kind for event in told] == [
            EventKind.ADDED,
            EventKind.STARTING,
            EventKind.READY,
            EventKind.STOPPING,
            EventKind.ENDED,
            EventKind.REMOVED,
        ]
        assert [event.run for event in told] == [0, 1, 1, 1, 1, 1]
        assert {(event.path, event.name) for event in told} == {("h/a", "a")}
        assert len({event.id for event in told}) == 1
        numbers = [event.number for event in told]
        assert numbers == sorted(numbers)
        for event in told:
            assert timedelta() <= datetime.now(UTC) - event.time < timedelta(hours=1)
        end = told[4]
        assert (end.normal, end.because, end.restarts, end.tail, end.details) == (True, Because.ASKED, 0, (), None)
        assert isinstance(end.how, Ended)
        assert (end.how.kind, str(end.how)) == ("returned", "returned")
        assert end.uptime is not None
        assert end.uptime >= 0
        assert (told[2].how, told[2].tail, told[2].normal, told[2].delay) == (None, None, None, None)


def test_an_exception_is_a_crash_report() -> None:
    with Host(intensity=None) as host:
        observer = host.events("root/a")
        host.add("a", eventkit.crash, "exception", executor=THREAD)
        host.start()
        event = ended(observer)
        assert event.how is not None
        assert (event.how.kind, event.how.text) == ("failed", "LookupError: no such thing at all")
        assert event.normal is False
        assert event.details is not None
        assert "eventkit.py" in event.details
        assert "LookupError: no such thing\nat all" in event.details
        line, *below = event.report().splitlines()
        assert line == str(event)
        assert "root/a run 1: failed: LookupError: no such thing at all, after " in line
        assert any("raise LookupError" in each for each in below)
        assert json.loads(event.to_json())["what"]["ended"]["restarts"] == 0


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("exception", "failed", "failed: LookupError: no such thing at all"),
        ("exit", "exited", "exited with 7"),
        ("kill", "signaled", "ended by SIGKILL"),
        ("fault", "signaled", "ended by SIGSEGV"),
    ],
)
def test_a_process_that_crashes_is_explained(how: str, kind: str, words: str) -> None:
    with Host(intensity=None) as host:
        observer = host.events("root/a")
        host.add("a", eventkit.crash, how, output="null", tail=20)
        host.start()
        event = ended(observer)
        assert event.how is not None
        assert event.how.kind == kind
        assert str(event.how).startswith(words)
        assert event.how.signal == {"kill": signal.SIGKILL, "fault": signal.SIGSEGV}.get(how)
        assert event.how.code == (7 if how == "exit" else None)
        assert (event.normal, event.because, event.restarts) == (False, None, 0)
        assert event.tail is not None
        assert "its last words" in event.tail
        assert event.report().splitlines()[0] == str(event)
        assert "its last words" in event.report()
        if how == "exception":
            assert "eventkit.py" in (event.details or "")
        if how == "fault":
            assert "string_at" in (event.details or "")
        ServiceEvent.from_json(event.to_json())
        assert runs(host, "a", 2)


def test_a_missed_watchdog_has_the_stacks_of_all_threads() -> None:
    with Host(intensity=None) as host:
        observer = host.events("root/a")
        host.add("a", eventkit.crash, "hang", ready="notify", watchdog=0.2, output="null")
        host.start()
        event = ended(observer)
        assert event.because == Because.WATCHDOG
        assert event.how is not None
        assert event.how.signal == signal.SIGABRT
        assert "watchdog" in str(event)
        assert "in crash" in (event.details or "")


@pytest.mark.parametrize("executor", [Executor.THREAD, Executor.ASYNC])
def test_a_missed_watchdog_in_this_process_has_the_stacks_too(
    executor: Executor,
) -> None:
    free, logged = threading.Event(), threading.Event()

    def stands_here(ctx: Context) -> None:
        ctx.ready()
        if ctx.run == 1:
            free.wait(LONG)
        ctx.stopping.wait()

    async def hogs_its_loop(ctx: Context) -> None:
        ctx.ready()
        if ctx.run == 1:
            free.wait(LONG)
        await ctx.stopping

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "missed its watchdog" in record.getMessage() and "free.wait" in record.getMessage():
                logged.set()

    logger, hears = logging.getLogger("libcoop"), Hears()
    logger.addHandler(hears)
    try:
        with Host(intensity=None) as host:
            observer = host.events("root/a", kinds=EventKind.ENDED)
            entry: Any = stands_here if executor == Executor.THREAD else hogs_its_loop
            # It has so long to get where it hangs.
            host.add("a", entry, executor=executor, ready="notify", watchdog=2.0)

            def frees() -> None:
                # It is told while it hangs, not after it.
                assert logged.wait(LONG)
                free.set()

            helper = threading.Thread(target=frees)
            helper.start()
            host.start()
            events: list[ServiceEvent] = []

            def stops() -> None:
                events.append(ended(observer))
                host.stop()

            stopper = threading.Thread(target=stops)
            stopper.start()
            host.wait()
            helper.join()
            stopper.join()
    finally:
        logger.removeHandler(hears)
    assert events[0].because == Because.WATCHDOG
    assert "free.wait(LONG)" in (events[0].details or "")


def test_a_start_that_fails_is_told() -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.START_FAILED)
        host.add("gone", ["/nonexistent/program"])
        with pytest.raises(libcoop.Error, match="/nonexistent/program"):
            host.start()
        event = next_of(observer)
        assert "/nonexistent/program" in (event.reason or "")
        assert event.how is None


def test_events_come_back_from_json_and_from_pickles() -> None:
    with Host() as host:
        observer = host.events()
        host.add("a", raises, executor=THREAD, restart=Restart.TEMPORARY)
        host.start()
        events: list[ServiceEvent] = []
        while not events or events[-1].kind != EventKind.ENDED:
            events.append(next_of(observer))
        for event in events:
            for again in (ServiceEvent.from_json(event.to_json()), pickle.loads(pickle.dumps(event))):
                assert again == event
                assert hash(again) == hash(event)
                assert (str(again), again.report()) == (str(event), event.report())
        assert len(set(events)) == len(events)
    for text in ("", "x", "{}", '{"number": 1}'):
        with pytest.raises(libcoop.Invalid, match="no event as JSON"):
            ServiceEvent.from_json(text)


def test_filters_replay_and_what_is_refused() -> None:
    with Host("h") as host:
        web, jobs = host.supervisor("web"), host.supervisor("jobs")
        web.add("a", waits, executor=THREAD)
        jobs.add("b", waits, executor=THREAD)
        host.start()
        kinds = [EventKind.READY]
        seen = {
            name: {event.path for event in taken(observer)}
            for name, observer in {
                "all": host.events(kinds=kinds, replay=100),
                "own": web.events(kinds=kinds, replay=100),
                "path": web.events("h/jobs", kinds=kinds, replay=100),
                "glob": host.events("h/*/?", kinds=kinds, replay=100),
                "last": host.events(kinds="ready", replay=1),
                "none": host.events(kinds=["status"], replay=100),
            }.items()
        }
        assert seen == {
            "all": {"h", "h/web", "h/jobs", "h/web/a", "h/jobs/b"},
            "own": {"h/web", "h/web/a"},
            "path": {"h/jobs", "h/jobs/b"},
            "glob": {"h/web/a", "h/jobs/b"},
            "last": {"h"},
            "none": set(),
        }
        refused: list[tuple[type[Exception], Any, dict[str, Any], str]] = [
            (libcoop.Invalid, ("web",), {}, "web"),
            (libcoop.Invalid, (), {"kinds": ["redy"]}, "redy.*start_failed"),
            (libcoop.Invalid, (), {"queue": 0}, "queue 0"),
            (libcoop.Invalid, (), {"replay": -1}, "replay -1"),
            (TypeError, (3,), {}, "3"),
            (TypeError, (), {"kinds": 3}, "EventKind"),
        ]
        for error, paths, options, words in refused:
            with pytest.raises(error, match=words):
                host.events(*paths, **options)
            with pytest.raises(error, match=words):
                host.on_event(print, *paths, **options)
        with pytest.raises(TypeError, match="callback must be callable"):
            host.on_event(3)  # type: ignore[arg-type]


def taken(observer: Observer) -> list[ServiceEvent]:
    """What is there now."""
    found = []
    while True:
        try:
            found.append(next_of_now(observer))
        except libcoop.Timeout:
            return found


def next_of_now(observer: Observer) -> ServiceEvent:
    item = observer.next(0)
    assert isinstance(item, ServiceEvent)
    return item


def test_a_slow_one_loses_the_oldest_and_is_told() -> None:
    with Host() as host:
        slow, all_of_it = host.events(queue=2), host.events()
        for number in range(5):
            host.add(str(number), waits, executor=THREAD)
        host.start()
    everything = list(all_of_it)
    lost, *rest = list(slow)
    assert isinstance(lost, Lost)
    assert (lost.count, rest) == (len(everything) - 2, everything[-2:])
    assert str(lost) == f"{lost.count} events lost"


def test_an_observer_ends_with_its_host() -> None:
    with Host() as host:
        observer = host.events()
        host.add("a", waits, executor=THREAD)
        host.start()
    assert [event.kind for event in observer if isinstance(event, ServiceEvent)][-1] == EventKind.ENDED
    with pytest.raises(libcoop.Closed):
        observer.next(1)
    assert "root" not in repr(observer)


def test_closing_ends_who_waits() -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        seen: list[Any] = []
        threads = [threading.Thread(target=lambda: seen.append(list(observer))) for _ in range(3)]
        for thread in threads:
            thread.start()
        with pytest.raises(libcoop.Timeout):
            observer.next(0.05)
        observer.close()
        for thread in threads:
            thread.join(LONG)
        assert seen == [[], [], []]
        observer.close()
        with host.events() as another:
            pass
        assert list(another) == []


def test_a_coroutine_iterates_and_one_that_is_cancelled_takes_nothing() -> None:
    async def main() -> None:
        with Host() as host:
            observer = host.events(kinds=[EventKind.READY])
            host.start()
            assert isinstance(await anext(observer), ServiceEvent)
            for number in range(20):
                waiter = asyncio.ensure_future(anext(observer))
                await asyncio.sleep(0)
                adding = asyncio.ensure_future(asyncio.to_thread(host.add, f"s{number}", waits, executor=THREAD))
                if number % 2:
                    await adding
                waiter.cancel()
                await asyncio.gather(waiter, return_exceptions=True)
                await adding
                event = waiter.result() if not waiter.cancelled() else await anext(observer)
                assert isinstance(event, ServiceEvent)
                assert event.name == f"s{number}"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(observer)
            several = [asyncio.ensure_future(anext(observer)) for _ in range(3)]
            await asyncio.sleep(0)
            observer.close()
            assert [type(each) for each in await asyncio.gather(*several, return_exceptions=True)] == (
                [StopAsyncIteration] * 3
            )
            assert [event async for event in observer] == []

    asyncio.run(main())


def test_an_async_host_is_observed_on_its_loop() -> None:
    async def main() -> list[str]:
        async with Host() as host:
            observer = host.events()
            await host.add("a", eventkit.ready_and_wait, executor=THREAD)
            await host.start()
            host.stop()
            return [event.kind async for event in observer if isinstance(event, ServiceEvent)]

    assert asyncio.run(main())[-1] == EventKind.ENDED


def test_a_coroutine_of_libcoop_s_own_loop_iterates() -> None:
    with Host() as host, libcoop.Runtime(1) as runtime:
        runtime.start()
        observer = host.events(kinds=EventKind.READY)
        dag = libcoop.Dag()

        @dag.node
        async def seen() -> Any:
            return await anext(observer)

        run = dag.run(runtime)
        host.start()
        event = run.result(LONG)["seen"]
        assert (event.path, event.kind) == ("root", EventKind.READY)


def test_a_callback_is_told_in_order_and_may_raise(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []
    threads = set()

    def callback(event: ServiceEvent | Lost) -> None:
        threads.add(threading.get_ident())
        told.append(event)
        if len(told) == 2:
            raise ValueError("a callback that fails")

    with Host() as host:
        everything = host.events()
        observer = host.on_event(callback)
        host.add("a", waits, executor=THREAD)
        host.start()
        with pytest.raises(libcoop.Invalid, match="callback"):
            observer.next(1)
        assert "calling back" in repr(observer)
        del observer
    # The host is closed when its callbacks have been told all.
    assert told == list(everything)
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.levelno == logging.ERROR
    assert "an observer" in record.getMessage()


def test_a_callback_ends_when_its_observer_is_closed_and_may_close_it_or_the_host() -> None:
    with Host() as host:
        told: list[Any] = []

        gate = threading.Event()

        def callback(event: ServiceEvent | Lost) -> None:
            gate.wait(LONG)
            told.append(event)
            observer.close()
            host.stop()

        observer = host.on_event(callback)
        host.add("a", waits, executor=THREAD)
        host.start()
        gate.set()
        host.join(LONG)
    assert len(told) == 1


def test_services_in_processes_watch_one_another() -> None:
    with Host(intensity=None) as host:
        observer = host.events(kinds=EventKind.STATUS)
        host.add("left", eventkit.watch, "root/right", ready="notify", output="null")
        host.add(
            "right", eventkit.watch_async, "root/left", ready="notify", output="null", executor=Executor.ASYNC_PROCESS
        )
        host.start()
        for victim, watcher, executor in [("right", "left", "async process"), ("left", "right", "process")]:
            found = runs(host, victim, 1)
            assert found.executor == executor
            assert found.pid is not None
            os.kill(found.pid, signal.SIGKILL)
            event = next_of(observer, lambda event, watcher=watcher: event.name == watcher)  # type: ignore[misc]
            assert event.text == f"{watcher} saw {victim} run 1 of ended by SIGKILL"
            runs(host, victim, 2)


@pytest.mark.parametrize("executor", [Executor.THREAD, Executor.PROCESS])
def test_a_loop_over_events_ends_when_its_service_is_asked_to_stop(executor: Executor) -> None:
    with Host() as host:
        ends = host.events("root/left", kinds=EventKind.ENDED)
        host.add("left", eventkit.watch, "root/right", ready="notify", executor=executor, shutdown="infinity")
        host.start()
    event = next_of(ends)
    assert (event.normal, event.because) == (True, Because.ASKED)
    assert event.how is not None
    assert event.how.kind == ("exited" if executor == Executor.PROCESS else "returned")


def test_in_a_forked_child_it_is_the_parent_s() -> None:
    with Host() as host:
        observer = host.events()
        host.add("sleeps", SLEEP)
        host.start()
        pid = os.fork()
        if pid == 0:
            try:
                for call in (lambda: observer.next(1), lambda: next(observer), observer.close, host.events):
                    with pytest.raises(libcoop.Forked):
                        call()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert next_of(observer).kind == EventKind.ADDED


def test_ctrl_c_ends_a_wait_in_the_main_thread() -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)

        def interrupted(wait: Callable[[], object]) -> None:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            wait()

        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: observer.next(LONG))
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: list(observer))


def test_the_interpreter_exits_with_observers_waiting(program: Program) -> None:
    ran = program(
        """
        import os, threading
        import libcoop

        def say(*words):
            os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # whole lines

        def waits(ctx):
            ctx.stopping.wait()

        host = libcoop.Host()
        host.add("a", waits, executor=libcoop.Executor.THREAD)
        observer = host.events()
        host.on_event(lambda event: say("told", event.name, event.kind))
        seen = []
        threading.Thread(target=lambda: say("ended after", len(list(observer)))).start()
        threading.Thread(target=lambda: list(observer), daemon=True).start()
        host.start()
        """,
        stderr=None,
    )
    lines = ran.stdout.splitlines()
    assert any(line.startswith("ended after") for line in lines)
    assert [line for line in lines if line.startswith("told")][-1] == "told root ended"


def test_an_idle_observer_wakes_nobody() -> None:
    with Host() as host:
        host.start()
        observer = host.events(kinds=EventKind.STATUS)
        waiting = threading.Thread(target=lambda: list(observer))
        waiting.start()
        task = until(lambda: waiting.native_id)

        def switches() -> int:
            with open(f"/proc/self/task/{task}/status") as status:
                return int(next(line for line in status if line.startswith("voluntary")).split()[1])

        # Until it sleeps; then it does not wake up.
        before = -1
        while before != (now := switches()):
            before = now
            threading.Event().wait(0.3)
        observer.close()
        waiting.join(LONG)


def test_no_crash_is_missing_in_the_log_when_many_come_at_once(program: Program) -> None:
    program("""
        import logging, threading, time
        import libcoop
        from libcoop import Executor, Host, Restart

        told = []
        class Hears(logging.Handler):
            def emit(self, record):
                told.append(record.getMessage())
        logging.getLogger("libcoop").addHandler(Hears())
        logging.getLogger("libcoop").propagate = False

        go = threading.Event()
        def raises(ctx):
            go.wait()
            raise OSError("no")

        # Fewer than may wait in the queue.
        hosts = [Host(f"h{number}") for number in range(6)]
        for host in hosts:
            for number in range(40):
                host.add(f"s{number}", raises, executor=Executor.THREAD, restart=Restart.TEMPORARY)
            host.start()
        go.set()
        for host in hosts:
            while host.count_children().specs:
                time.sleep(0.01)
            host.close()
        libcoop._libcoop._flush_log(60.0)
        lost = [line for line in told if "lost" in line]
        crashes = [line for line in told if "OSError: no" in line]
        assert (len(crashes), lost) == (240, []), (len(crashes), lost)
        """)
