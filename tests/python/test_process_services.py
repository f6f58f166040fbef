"""Services in processes, through a host: each kind of fault is an event that explains it, and is mended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
import workerkit
from conftest import Program
from hostkit import LONG, child, runs, until, waits
from libcoop import EventKind, Executor, Host, Restart, ServiceEvent


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as made:
        yield made


def end_of(host: Host, name: str, entry: Any, *args: Any, **options: Any) -> ServiceEvent:
    """The event of the end of a service that is not restarted."""
    options.setdefault("restart", Restart.TEMPORARY)
    with host.events(f"root/{name}", kinds=[EventKind.ENDED]) as events:
        host.add(name, entry, *args, **options)
        event = events.next(LONG)
    assert isinstance(event, ServiceEvent)
    return event


def test_what_a_worker_raises_is_told_with_its_traceback(host: Host) -> None:
    host.start()
    event = end_of(host, "fails", workerkit.fail, "name")
    assert "failed: KeyError: 'name'" in str(event)
    assert event.details is not None
    assert event.details.rstrip().endswith("KeyError: 'name'")
    assert "in fail" in event.details
    event = end_of(host, "unspeakable", workerkit.fail, "unspeakable")
    assert "failed: Unspeakable: <its text cannot be made: ValueError>" in str(event)
    event = end_of(host, "interrupts", workerkit.fail, "interrupts")
    assert "failed: Interrupts: <its text cannot be made: KeyboardInterrupt>" in str(event)
    for executor in (Executor.PROCESS, Executor.THREAD):
        event = end_of(host, f"bytes {executor}", workerkit.fail, "bytes", executor=executor)
        assert "failed: ValueError: file \\udcff" in str(event)
        assert "in fail" in (event.details or "")
    event = end_of(host, "leaves", workerkit.leave, "reason")
    assert "failed: SystemExit: reason" in str(event)


@pytest.mark.parametrize(
    ("entry", "args", "text"),
    [
        (workerkit.end_in_a_thread, [], "exited with 7"),
        (workerkit.leave, [3], "exited with 3"),
        (workerkit.segfault, [], "ended by SIGSEGV"),
    ],
)
def test_how_a_process_ended_is_told(host: Host, entry: Any, args: list[Any], text: str) -> None:
    host.start()
    event = end_of(host, "ends", entry, *args)
    assert text in str(event)
    if "SIGSEGV" in text:
        assert "in segfault" in (event.details or "")


@pytest.mark.parametrize(("code", "text"), [(None, "failed: ValueError: has failed"), (3, "exited with 3")])
def test_a_run_that_failed_is_over_though_a_thread_goes_on(host: Host, code: int | None, text: str) -> None:
    host.start()
    event = end_of(host, "fails", workerkit.fail_and_leave_a_thread, code)
    assert text in str(event)
    assert "threads that are no daemons go on" in (event.details or "")
    assert "in _shutdown" in (event.details or "")


def test_memory_that_is_used_up_is_told(host: Host) -> None:
    host.start()
    event = end_of(host, "eats", workerkit.use_up_memory, limits={"as": 1 << 30})
    assert "failed: MemoryError" in str(event)


def test_a_service_that_makes_no_progress_leaves_the_stacks(host: Host) -> None:
    host.start()
    event = end_of(host, "hangs", workerkit.hangs_once_ready, ready="notify", watchdog=0.2)
    assert event.because is not None
    assert "watchdog" in str(event)
    assert "in hangs_once_ready" in (event.details or ""), event.report()


def test_one_that_never_yields_to_asyncio_is_found_and_ended(host: Host) -> None:
    host.start()
    entry = workerkit.never_yields_once_ready
    event = end_of(host, "busy", entry, executor=Executor.ASYNC_PROCESS, ready="notify", watchdog=0.2)
    assert "in never_yields_once_ready" in (event.details or ""), event.report()
    # That the library runs there is no progress of the service's; without a watchdog it is left alone.
    host.add("left", workerkit.never_yields, executor=Executor.ASYNC_PROCESS, shutdown=0.1)
    host.terminate_child("left")


def test_what_cannot_be_given_is_refused_when_it_is_added(host: Host) -> None:
    cases: list[tuple[Any, list[Any], str]] = [
        (
            workerkit.wait,
            [threading.Lock()],
            r"^service 'one': argument 1 of entry workerkit:wait cannot be given to a process",
        ),
        (workerkit.Waits(), [], r"^service 'one': entry <workerkit.Waits object .*> must be a class"),
        (
            "no_such_module:Web",
            [],
            r"^service 'one': entry 'no_such_module:Web': no module 'no_such_module' is in sys.path",
        ),
    ]
    for entry, args, text in cases:
        with pytest.raises(libcoop.Invalid, match=text):
            host.add("one", entry, *args)


def test_an_entry_that_cannot_be_made_is_a_start_that_failed(host: Host) -> None:
    host.add("one", workerkit.Broken)
    with pytest.raises(libcoop.Error, match="LookupError: not here"):
        host.start()
    host.delete_child("one")
    host.add("two", "libcoop.no_such_module:Web")
    with pytest.raises(
        libcoop.Error,
        match=r'service "two" did not start: .*ModuleNotFoundError: No module named .libcoop.no_such_module.',
    ):
        host.start()


def test_a_run_that_cannot_begin_says_why(host: Host) -> None:
    host.start()
    for number, why in [(signal.SIGKILL, "the system lets nobody handle it"), (33, "the C library uses it itself")]:
        with pytest.raises(
            libcoop.Error, match=rf'service "one" did not start: failed: Invalid: signal {int(number)} .*: {why}'
        ):
            host.add("one", waits, stop_signal=number, restart=Restart.TEMPORARY)


@pytest.mark.parametrize("option", [{"cwd": "/\ud800"}, {"user": "\ud800"}])
def test_text_that_the_system_cannot_be_told_is_refused(host: Host, option: dict[str, Any]) -> None:
    wanted = r"^service 'one': .*\\ud800': allowed is what UTF-8 has: surrogates not allowed$"
    with pytest.raises(libcoop.Invalid, match=wanted):
        host.add("one", waits, **option)
    with pytest.raises(libcoop.Invalid, match=wanted):
        host.add("one", ["true", "\ud800"])


def children() -> set[int]:
    """This process's, dead or alive."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_no_process_is_left() -> None:
    before = children()
    with Host() as host:
        host.add("one", waits)
        host.start()
        (zygote,) = host._tree.zygotes.values()
        killed = zygote.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        # With it the worker that it had ready.
        pid = child(host.root, "one").pid
        until(lambda: children() - before == {pid})
        host.add("two", waits)
        assert len(children() - before) >= 3
    until(lambda: children() <= before)


def test_a_zygote_that_is_killed_takes_no_service_with_it(host: Host) -> None:
    host.add("one", waits)
    host.start()
    first = child(host.root, "one").pid
    assert first is not None
    (zygote,) = host._tree.zygotes.values()
    assert zygote.pid is not None
    os.kill(zygote.pid, signal.SIGKILL)
    host.add("two", waits)
    assert child(host.root, "one").pid == first
    os.kill(first, signal.SIGKILL)
    assert runs(host.root, "one", 2).pid != first


def test_a_preload_that_starts_threads_is_left_to_workers(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "preloaded_by_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    host.add("one", waits, preload=[name])
    host.start()
    pid = child(host.root, "one").pid
    assert pid is not None
    until(lambda: len(os.listdir(f"/proc/{pid}/task")) > 1)


def test_a_service_is_asked_in_every_way(host: Host) -> None:
    with host.events(kinds=[EventKind.STATUS, EventKind.ENDED]) as events:
        host.add("plain", workerkit.wait)
        host.add("async", workerkit.Waits)
        host.add("cancelled", workerkit.is_cancelled)
        host.start()
        said = [str(events.next(LONG)) for _ in range(3)]
        host.shutdown()
        said += [str(events.next(LONG)) for _ in range(6)]
    for name, text in [("plain", "was asked"), ("async", "was asked"), ("cancelled", "was cancelled")]:
        assert any(f"root/{name} " in line and text in line for line in said), said


def test_an_unguarded_start_is_refused_in_words(program: Program) -> None:
    ran = program(
        """
        import libcoop

        def tick(ctx):
            ctx.stopping.wait()

        with libcoop.Host() as host:
            host.add("tick", tick)
            try:
                host.start()
            except libcoop.Error as error:
                if __name__ != "__main__":
                    raise
                print(error)
        """,
        stderr=None,
    )
    assert "Host.start() in " in ran.stdout
    assert 'put what starts services below `if __name__ == "__main__":`' in ran.stdout
