"""Log records of services, in the logging of their host's process: all of them, in order, whatever becomes of whom."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import eventkit
import libcoop
import pytest
from conftest import Program
from hostkit import LONG, runs, until
from libcoop import EventKind, Executor, Host, Lost, ServiceEvent, _libcoop, _logs


class Keeps(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, name: str) -> list[logging.LogRecord]:
        return [record for record in list(self.records) if record.name == name]


@pytest.fixture
def kept() -> Iterator[Keeps]:
    """What comes to the root logger, of level INFO."""
    keeps = Keeps()
    root, low = logging.getLogger(), logging.getLogger("kit.low")
    level = root.level
    root.addHandler(keeps)
    root.setLevel(logging.INFO)
    low.setLevel(logging.DEBUG)
    yield keeps
    root.setLevel(level)
    low.setLevel(logging.NOTSET)
    root.removeHandler(keeps)


def says(observer: libcoop.Observer, text: str) -> None:
    """Waits until a service has this status."""
    while True:
        item = observer.next(LONG)
        if isinstance(item, ServiceEvent) and item.text == text:
            return


def test_every_kind_of_record_comes(kept: Keeps) -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        host.add("ways", eventkit.log_ways, output="null")
        host.start()
        says(observer, "logged")
        pid = runs(host, "ways", 1).pid
    records = kept.of("kit.ways")
    assert [record.levelname for record in records] == [
        "INFO", "WARNING", "ERROR", "ERROR", "INFO", "INFO", "INFO", "INFO",
    ]  # fmt: skip
    for record in records:
        assert (record.service, record.processName, record.process) == ("root/ways", "ways", pid)  # type: ignore[attr-defined]
        assert (record.module, record.funcName, record.threadName) == ("eventkit", "log_ways", "MainThread")
        assert abs(record.created - time.time()) < 3600
    plain, extra, failed, stack, args, long, odd, circle = records
    assert plain.getMessage() == "plain text"
    assert (extra.number, extra.things, extra.odd) == (7, [1, 2], "{1}")  # type: ignore[attr-defined]
    assert "lock" in extra.socket  # type: ignore[attr-defined]
    text = logging.Formatter().format(failed)
    assert "it failed\nTraceback" in text
    assert text.endswith("ValueError: inner")
    assert "log_ways" in (stack.stack_info or "")
    assert "lock" in args.getMessage()
    assert long.getMessage() == "long " + "x" * 1_000_000
    assert odd.getMessage() == "odd \udcff \x00 100% ä"
    assert "..." in circle.circle  # type: ignore[attr-defined]
    assert circle.keys == "{(1, 2): 3}"  # type: ignore[attr-defined]
    assert "_Broken" in circle.broken  # type: ignore[attr-defined]
    assert "beware" in kept.of("py.warnings")[0].getMessage()
    assert kept.of("libcoop.service.root.ways")[0].service == "root/ways"  # type: ignore[attr-defined]
    assert kept.of("kit.low")[0].getMessage() == "allowed by its level"


@pytest.mark.parametrize("executor", [Executor.THREAD, Executor.PROCESS])
def test_a_service_s_own_logger(kept: Keeps, executor: Executor) -> None:
    with Host() as host:
        host.supervisor("sub").add("one", eventkit.own_log, executor=executor)
        host.start()
    (record,) = kept.of("libcoop.service.root.sub.one")
    assert (record.getMessage(), record.service) == ("from 1", "root/sub/one")  # type: ignore[attr-defined]
    assert record.funcName == "own_log"


def test_a_service_s_own_logger_is_set_up_by_name() -> None:
    log = _logs.ServiceLogger("root/jobs/job-7", "job")
    named = logging.getLogger("libcoop.service.root.jobs.job")
    assert (log.name, log.isEnabledFor(logging.DEBUG)) == (named.name, False)
    log.setLevel(logging.DEBUG)
    assert named.level == logging.DEBUG
    assert log.isEnabledFor(logging.DEBUG)
    named.setLevel(logging.NOTSET)
    assert not log.isEnabledFor(logging.DEBUG)


def lost_records(kept: Keeps) -> dict[str, int]:
    """As many as were said to be, of each service."""
    lost: dict[str, int] = {}
    for record in kept.records:
        if "log records were lost" in record.getMessage() and isinstance(record.args, tuple):
            service = record.service  # type: ignore[attr-defined]
            lost[service] = lost.get(service, 0) + int(record.args[1])  # type: ignore[call-overload]
    return lost


def test_order_is_kept_and_nothing_is_lost_in_silence(kept: Keeps) -> None:
    """A host that is not given a CPU for a second is one that does not keep up: it says how much that cost."""
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        for name in ("a", "b"):
            host.add(name, eventkit.flood, 2000, output="null")
        host.start()
        for _ in range(2):
            says(observer, "done")
    got = 0
    for name in ("a", "b"):
        for thread in range(2):
            mine = [record for record in kept.of(f"kit.flood.{thread}") if record.service == f"root/{name}"]  # type: ignore[attr-defined]
            numbers = [int(record.getMessage()) for record in mine]
            assert numbers == sorted(set(numbers))
            got += len(numbers)
    assert got > 0
    assert got + sum(lost_records(kept).values()) == 8000


def test_what_is_logged_while_it_stops_comes_before_the_host_is_closed(kept: Keeps) -> None:
    with Host() as host:
        host.add("end", eventkit.log_at_end, output="null")
        host.start()
        host.stop()
        host.wait()
        assert len(kept.of("kit.end")) == 200


def test_a_handler_that_blocks_holds_up_no_service(kept: Keeps, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    first: list[str] = []

    def block(record: logging.LogRecord) -> bool:
        if record.name.startswith("kit.flood") and not gate.is_set():
            first.append(record.getMessage())
            gate.wait(LONG)
        return True

    kept.addFilter(block)
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        host.add("a", eventkit.flood, 4000, output="null")
        host.start()
        # It waits for a second, and goes on without.
        says(observer, "done")
        gate.set()
        host.terminate_child("a")
    got = sum(len(kept.of(f"kit.flood.{thread}")) for thread in range(2))
    lost = lost_records(kept)
    assert list(lost) == ["root/a"]
    assert lost["root/a"] > 0
    assert got + lost["root/a"] == 8000
    for thread in range(2):
        numbers = [int(record.getMessage()) for record in kept.of(f"kit.flood.{thread}")]
        assert numbers == sorted(numbers)


def test_a_parent_that_holds_the_lock_of_its_logging_is_no_deadlock(kept: Keeps) -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        kept.acquire()
        try:
            host.add("a", eventkit.flood, 3000, output="null")
            host.start()
            says(observer, "done")
        finally:
            kept.release()
        assert host.count_children().active == 1


def test_one_that_is_killed_leaves_no_part_of_a_record(kept: Keeps) -> None:
    with Host(intensity=None) as host:
        host.add("ever", eventkit.flood_for_ever, output="null", shutdown="kill")
        host.start()
        for run in range(1, 6):
            pid = runs(host, "ever", run).pid
            count = len(kept.of("kit.ever"))
            until(lambda count=count: len(kept.of("kit.ever")) > count + 10)  # type: ignore[misc]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            runs(host, "ever", run + 1)
    records = kept.of("kit.ever")
    assert records
    for record in records:
        number, text = record.getMessage().split(" ")
        assert text == "x" * (int(number) % 3 * 30_000)
    assert not [record for record in kept.records if "cannot be read" in record.getMessage()]


def test_a_worker_that_forks(kept: Keeps) -> None:
    with Host() as host:
        observer = host.events(kinds=EventKind.STATUS)
        host.add("forks", eventkit.log_and_fork, output="null")
        host.start()
        says(observer, "logged")
    assert [record.getMessage() for record in kept.of("kit.fork")] == ["before", "in the child", "after"]
    assert len({record.process for record in kept.of("kit.fork")}) == 2


def test_a_queue_handler_in_the_parent() -> None:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(records)
    log = logging.getLogger("kit.ways")
    log.addHandler(handler)
    try:
        with Host() as host:
            observer = host.events(kinds=EventKind.STATUS)
            host.add("ways", eventkit.log_ways, output="null")
            host.start()
            says(observer, "logged")
        found = [records.get(timeout=LONG) for _ in range(3)]
        assert any("ValueError: inner" in record.getMessage() for record in found)
    finally:
        log.removeHandler(handler)


def test_levels_and_handlers_are_the_parent_s(kept: Keeps) -> None:
    noisy, ways = Keeps(), logging.getLogger("kit.ways")
    ways.addHandler(noisy)
    try:
        with Host() as host:
            observer = host.events(kinds=EventKind.STATUS)
            host.add("ways", eventkit.log_ways, output="null")
            host.start()
            ways.setLevel(logging.ERROR)
            says(observer, "logged")
            host.terminate_child("ways")
            noisy.records.clear()
            host.restart_child("ways")
            says(observer, "logged")
    finally:
        ways.setLevel(logging.NOTSET)
        ways.removeHandler(noisy)
    assert {record.levelname for record in noisy.records} == {"ERROR"}


def test_a_handler_that_raises_ends_nothing(kept: Keeps, capfd: pytest.CaptureFixture[str]) -> None:
    def fails(record: logging.LogRecord) -> bool:
        if record.name == "kit.end" and record.getMessage() == "100":
            raise ValueError("a filter that fails")
        return True

    kept.addFilter(fails)
    with Host() as host:
        host.add("end", eventkit.log_at_end, output="null")
        host.start()
    assert len(kept.of("kit.end")) == 199
    assert [record for record in kept.records if "a log channel" in record.getMessage()]


def test_what_a_worker_cannot_say_is_told(kept: Keeps) -> None:
    channel = _logs.channel()
    sender = _libcoop.LogSender(channel.fileno())
    for data in (b"x", b"{}", b"[1]", b'{"msg": 1, "service": "s"}', b'{"lost": 3, "service": "s"}', b"\xff"):
        assert sender.send(data, 1.0)
    assert not sender.send(b"", 1.0)
    assert not sender.send(b"x" * (33 << 20), 1.0)
    assert channel.close(LONG)
    assert not sender.send(b"x", 1.0)
    assert channel.close(LONG)
    texts = [record.getMessage() for record in kept.of("libcoop")]
    assert len([text for text in texts if "cannot be read" in text]) == 5
    assert len([text for text in texts if text.startswith("s: 3 log records were lost")]) == 1


def test_a_host_of_threads_and_programs_makes_no_channel() -> None:
    # The thread of a channel that was closed may be on its way out.
    until(lambda: "coop-logs" not in thread_names())
    with Host() as host:
        host.add("a", eventkit.own_log, executor=Executor.THREAD)
        host.start()
        assert not [name for name in thread_names() if name == "coop-logs"]
    with Host() as host:
        host.add("b", eventkit.own_log)
        host.start()
        # It takes its name itself.
        until(lambda: "coop-logs" in thread_names())
    until(lambda: "coop-logs" not in thread_names())


def test_two_threads_that_need_the_first_channel_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    both, make = threading.Barrier(2), _logs.channel

    def channel() -> Any:
        both.wait(LONG)
        return make()

    monkeypatch.setattr(_logs, "channel", channel)
    with Host() as host:
        host.start()
        threads = [threading.Thread(target=host.add, args=(name, eventkit.own_log)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(host.which_children()) == 2
        until(lambda: thread_names().count("coop-logs") == 1)
    until(lambda: "coop-logs" not in thread_names())


def thread_names() -> list[str]:
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as comm:
                found.append(comm.read().strip())
        except FileNotFoundError:
            continue
    return found


def test_the_interpreter_exits_while_a_service_logs(program: Program) -> None:
    ran = program(
        """
        import logging, sys
        sys.path.insert(0, sys.argv[1])
        import eventkit, libcoop

        if __name__ == "__main__":
            logging.basicConfig(format="%(name)s %(message)s", level="INFO")
            host = libcoop.Host()
            host.add("end", eventkit.log_at_end)
            host.start()
        """,
        str(Path(__file__).parent),
        stderr=None,
    )
    assert [line for line in ran.stderr.splitlines() if line.startswith("kit.end")] == [
        f"kit.end {number}" for number in range(200)
    ]


def test_lost_is_an_item_of_observers_only() -> None:
    assert Lost(3) == Lost(3)
    assert repr(Lost(3)) == "Lost(count=3)"
