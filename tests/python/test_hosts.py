"""Hosts: their life, what may be said of services, and one service class with every executor."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import libcoop
import pytest
from conftest import Program
from hostkit import LONG, SLEEP, AsyncSame, Same, child, names, raises, returns, runs, sleeps, stop_when, until, waits
from libcoop import AutoShutdown, Backoff, ChildState, Context, Executor, Growth, Host, Restart, Strategy

THREAD = Executor.THREAD


def test_with_stops_what_runs() -> None:
    seen = []

    def service(ctx: Context) -> None:
        ctx.stopping.wait()
        seen.append("stopped")

    with Host() as host:
        host.add("one", service, executor=THREAD)
        assert repr(host) == "<libcoop.Host 'root', not started>"
        host.start()
        assert repr(host) == "<libcoop.Host 'root', started>"
    assert seen == ["stopped"]
    assert repr(host) == "<libcoop.Host 'root', closed>"
    host.close()
    host.stop()
    host.kill()
    host.shutdown()
    with pytest.raises(libcoop.Closed):
        host.start()
    with pytest.raises(libcoop.Closed):
        host.add("two", service, executor=THREAD)


def test_a_body_that_raises_stops_what_runs() -> None:
    host = Host()

    def body() -> None:
        with host:
            host.add("one", waits, executor=THREAD)
            host.start()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        body()
    assert repr(host) == "<libcoop.Host 'root', closed>"


def test_a_host_that_was_never_started_ends_at_once() -> None:
    with Host() as host:
        host.add("one", SLEEP)
        assert child(host, "one").state == ChildState.TERMINATED
        with pytest.raises(libcoop.Invalid, match="not been started"):
            host.join()
        assert host.finished() is None


def test_a_host_is_started_once() -> None:
    with Host() as host:
        host.start()
        with pytest.raises(libcoop.Exists):
            host.start()
        host.stop()
        assert host.join() == libcoop.Finish("stopped", None)
        assert host.finished() == libcoop.Finish("stopped", None)
        assert host.wait() == libcoop.Finish("stopped", None)
        with pytest.raises(libcoop.Closed):
            host.start()


def test_a_start_that_fails_says_why_and_stops_what_was_started() -> None:
    order = []

    def first(ctx: Context) -> None:
        ctx.stopping.wait()
        order.append("first stopped")

    def second(ctx: Context) -> None:
        raise RuntimeError("no port")

    with Host() as host:
        host.add("first", first, executor=THREAD)
        host.add("second", second, executor=THREAD, ready="notify")
        with pytest.raises(libcoop.Failed, match=r"second.*RuntimeError: no port"):
            host.start()
        assert order == ["first stopped"]
        host.delete_child("second")
        host.start()
        assert child(host, "first").state == ChildState.RUNNING


def test_wait_starts_and_ends_with_the_host() -> None:
    with Host() as host:
        host.add("one", waits, executor=THREAD)
        ender = stop_when(host, lambda: runs(host, "one", 1))
        assert host.wait() == libcoop.Finish("stopped", None)
        ender.join()


def test_wait_raises_why_the_root_gave_up() -> None:
    with Host(intensity=0) as host:
        host.add("one", raises, executor=THREAD)
        with pytest.raises(libcoop.Failed, match=r"root.*ValueError: no luck"):
            host.wait()
        with pytest.raises(libcoop.Failed, match="no luck"):
            host.finished()


def test_wait_tells_an_automatic_shutdown() -> None:
    with Host(auto_shutdown=AutoShutdown.ANY_SIGNIFICANT) as host:
        host.add("one", returns, executor=THREAD, restart=Restart.TRANSIENT, significant=True)
        assert host.wait() == libcoop.Finish("auto_shutdown", None)


def test_times_out() -> None:
    with Host() as host:
        host.add("one", waits, executor=THREAD)
        host.start()
        with pytest.raises(libcoop.Timeout):
            host.join(0.01)
        with pytest.raises(libcoop.Timeout):
            host.join(0)
        with pytest.raises(ValueError, match="nan"):
            host.join(math.nan)
        assert child(host, "one").state == ChildState.RUNNING


def test_kill_ends_programs_that_do_not_listen() -> None:
    with Host() as host:
        host.add("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], shutdown="infinity")
        host.start()
        pid = child(host, "deaf").pid
        host.kill()
        host.join()
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, 0)


def test_a_host_that_is_let_go_of_is_stopped() -> None:
    seen = threading.Event()

    def service(ctx: Context) -> None:
        ctx.stopping.wait()
        seen.set()

    host = Host()
    host.add("one", service, executor=THREAD)
    host.start()
    gone = weakref.ref(host)
    del host
    gc.collect()
    assert gone() is None
    assert seen.wait(LONG)


@pytest.mark.parametrize("executor", list(Executor), ids=lambda executor: executor.name)
@pytest.mark.parametrize("entry", [Same, AsyncSame])
def test_one_class_with_every_executor(entry: type[Same], executor: Executor, tmp_path: Path) -> None:
    if entry is Same and executor == Executor.ASYNC:
        with Host() as host, pytest.raises(libcoop.Invalid, match=r"Same\.run is a plain function"):
            host.add("it", entry, executor=executor)
        return
    file = tmp_path / "told"
    with Host() as host:
        host.add("it", entry, str(file), kwargs={"word": "hello"}, executor=executor, ready="notify")
        host.start()
        assert child(host, "it").state == ChildState.RUNNING
        assert file.read_text() == "it root/it 1 hello False"
    assert file.read_text() == "it root/it 1 hello False stopped"


@pytest.mark.parametrize("executor", [Executor.THREAD, Executor.ASYNC], ids=lambda executor: executor.name)
def test_a_coroutine_that_does_not_look_out_is_cancelled(executor: Executor) -> None:
    seen = []

    async def service(ctx: Context) -> None:
        ctx.ready()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append(ctx.is_stopping())
            raise

    with Host() as host:
        host.add("one", service, executor=executor, ready="notify")
        host.start()
        host.terminate_child("one")
        assert child(host, "one").state == ChildState.TERMINATED
    assert seen == [True]


def test_entries_by_name() -> None:
    with Host() as host:
        host.add("one", "hostkit:waits", executor=THREAD)
        host.add("two", "hostkit:sleeps", executor=Executor.ASYNC)
        host.start()
        assert [one.state for one in host.which_children()] == [ChildState.RUNNING] * 2


def test_a_thread_is_called_as_its_service() -> None:
    seen = []

    def service(ctx: Context) -> None:
        seen.append(threading.current_thread().name)
        ctx.ready()

    with Host() as host:
        host.add("a-name", service, executor=THREAD, ready="notify", restart=Restart.TEMPORARY)
        host.start()
    assert seen == ["a-name"]


def test_coop_mode_single_runs_processes_as_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOP_MODE", "SINGLE")
    seen = []

    def service(ctx: Context) -> None:
        seen.append(os.getpid())
        ctx.ready()
        ctx.stopping.wait()

    with Host() as host:
        host.add("one", service, ready="notify", env={"A": "b"}, nice=3)
        host.add("two", service, ready="notify", executor=Executor.ASYNC_PROCESS)
        host.start()
        assert [one.executor for one in host.which_children()] == ["thread", "thread"]
    assert seen == [os.getpid()] * 2


def test_programs_have_their_options(tmp_path: Path) -> None:
    lines: list[libcoop.Line] = []
    script = "pwd; umask; echo $A-$HOME; ulimit -n; read line <&3; echo $line >&2; exec sleep 3600"
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as sender:
        sender.write("through 3\n")
    with Host() as host:
        host.add(
            "it",
            ["sh", "-c", script],
            env={"A": "b", "HOME": None},
            cwd=tmp_path,
            umask=0o27,
            limits={"nofile": (100, 200)},
            fds={3: reader},
            output=lines.append,
            nice=1,
            cpus=os.sched_getaffinity(0),
            tail=5,
        )
        os.close(reader)
        host.start()
        until(lambda: len(lines) >= 5)
        assert {(line.stream, line.text) for line in lines} == {
            ("stdout", str(tmp_path)),
            ("stdout", "0027"),
            ("stdout", "b-"),
            ("stdout", "100"),
            ("stderr", "through 3"),
        }
        assert {(line.service, line.pid) for line in lines} == {("root/it", child(host, "it").pid)}
        assert os.getpriority(os.PRIO_PROCESS, child(host, "it").pid or 0) == os.getpriority(os.PRIO_PROCESS, 0) + 1


def test_a_program_that_is_not_there_is_a_start_that_failed() -> None:
    with Host() as host:
        host.add("none", ["/no/such/program"])
        with pytest.raises(libcoop.Error, match="/no/such/program"):
            host.start()


def test_a_descriptor_that_is_closed_is_refused() -> None:
    with Host() as host, pytest.raises(libcoop.Os, match="9999"):
        host.add("it", SLEEP, fds={3: 9999})


class Instance:
    def run(self, ctx: Context) -> None: ...


class NoRun:
    pass


def refused() -> list[tuple[str, dict[str, Any], str]]:
    thread = {"executor": THREAD}
    return [
        ("unknown executor", {"executor": 9}, r"executor 9: allowed are Executor.ASYNC, .*Executor.ASYNC_PROCESS"),
        ("executor by name", {"executor": "THREAD"}, r"executor 'THREAD': allowed are"),
        ("unknown restart", {"restart": "always"}, r"restart 'always': allowed are Restart.PERMANENT"),
        ("significant permanent", {"significant": True}, r"significant with restart permanent; allowed with transient"),
        ("significant word", {"significant": "yes"}, r"significant 'yes': allowed are True and False"),
        ("shutdown -1", {"shutdown": -1}, r"shutdown -1: allowed are seconds from 0"),
        ("shutdown word", {"shutdown": "soon"}, r'shutdown \'soon\': allowed are seconds, "kill" and "infinity"'),
        ("shutdown nan", {"shutdown": math.nan}, r"shutdown nan: allowed are seconds"),
        ("shutdown none", {"shutdown": None}, r"shutdown None: allowed are seconds"),
        ("ready maybe", {"ready": "maybe"}, r'ready \'maybe\': allowed are "now" and "notify"'),
        ("ready_within 0", {"ready": "notify", "ready_within": 0}, r"ready_within 0: allowed are seconds above 0"),
        ("watchdog 0", {"watchdog": 0}, r"watchdog 0: allowed are seconds above 0"),
        ("watchdog nan", {"watchdog": math.nan}, r"watchdog nan: allowed are seconds"),
        ("watchdog True", {"watchdog": True}, r"watchdog True: allowed are seconds"),
        (
            "liveness thread",
            {"liveness": 1, **thread},
            r"liveness with the thread executor; allowed with async process",
        ),
        ("backoff number", {"backoff": 3}, r"backoff 3: allowed are libcoop.Backoff"),
        ("backoff delay", {"backoff": Backoff(-1)}, r"backoff delay -1: allowed are seconds from 0"),
        ("backoff cap", {"backoff": Backoff(5, cap=1)}, r"backoff cap 1s with a delay of 5s"),
        ("backoff jitter", {"backoff": Backoff(1, jitter=2)}, r"backoff jitter 2; allowed are 0.0 to 1.0"),
        ("growth", {"backoff": Backoff(1, growth=7)}, r"growth 7: allowed are Growth.FIXED"),  # type: ignore[arg-type]
        ("backoff temporary", {"backoff": Backoff(1), "restart": Restart.TEMPORARY}, r"backoff with restart temporary"),
        ("park temporary", {"park": True, "restart": Restart.TEMPORARY}, r"park with restart temporary"),
        ("park_at_start", {"park_at_start": True}, r"park_at_start without park"),
        ("normal exit", {"normal_exits": [256]}, r"normal exit status 256: allowed are whole numbers from 0 to 255"),
        ("env list", {"env": ["A=b"]}, r"env \['A=b'\]: allowed is a dict"),
        ("env name", {"env": {"A=b": "c"}}, r'"A=b" contains a \'=\''),
        ("umask", {"umask": 0o1000}, r"umask 512: allowed are whole numbers from 0 to 511"),
        ("user", {"user": "nobody there"}, r"user 'nobody there': there is no such user"),
        ("limit name", {"limits": {"memory": 1}}, r'limit of "memory": allowed are as, core'),
        ("limit order", {"limits": {"nofile": (2, 1)}}, r'soft limit of "nofile" is 2'),
        ("nice", {"nice": 20}, r"nice 20: allowed are whole numbers from -20 to 19"),
        ("cpus", {"cpus": []}, r"the set of CPUs is empty"),
        ("stop_signal", {"stop_signal": 65}, r"stop_signal 65: allowed are whole numbers from 1 to 64"),
        ("output", {"output": "loud"}, r'output "loud": allowed are "prefix", "json", "inherit", "null"'),
        ("tail", {"tail": -1}, r"tail -1: allowed are whole numbers from 0"),
    ]


@pytest.mark.parametrize(("options", "text"), [one[1:] for one in refused()], ids=[one[0] for one in refused()])
def test_what_is_not_allowed_is_refused_before_anything_starts(options: dict[str, Any], text: str) -> None:
    entry: Any = SLEEP if options.get("executor") is None else waits
    with Host() as host:
        with pytest.raises(libcoop.Invalid, match=text) as caught:
            host.add("it", entry, **options)
        assert str(caught.value).startswith(("service 'it': ", 'service "it": '))
        assert host.which_children() == []


@pytest.mark.parametrize(
    ("entry", "options", "text"),
    [
        (Instance(), {}, r"not an instance of .*test_hosts:Instance"),
        (Instance(), {"executor": THREAD}, r"not an instance of .*test_hosts:Instance"),
        (NoRun, {}, r"NoRun has no method run"),
        (NoRun, {"executor": THREAD}, r"test_hosts:NoRun has no method run\(self, ctx\)"),
        (NoRun, {"executor": Executor.ASYNC}, r"NoRun has no method run"),
        (waits, {"executor": Executor.ASYNC}, r"waits is a plain function: Executor.ASYNC takes `async def`"),
        (7, {"executor": THREAD}, r"not an instance of builtins:int"),
        ("waits", {"executor": THREAD}, r"allowed .*\"module:"),
        ("no_such_module:f", {"executor": THREAD}, r"no_such_module"),
        ("hostkit:no_such", {"executor": THREAD}, r"no_such"),
        ("hostkit:LONG", {"executor": THREAD}, r"LONG"),
        ([], {}, r"a program of no words"),
        ([3], {}, r"word 3 of a program"),
        (waits, {"preload": "json"}, r"preload 'json': allowed is a list"),
        (waits, {"preload": ["a b"]}, r"preload 'a b'"),
        (SLEEP, {"executor": THREAD}, r"a list of words with Executor.THREAD: allowed is PROCESS"),
        (SLEEP, {"kwargs": {"a": 1}}, r"kwargs with a list of words"),
        (waits, {"executor": THREAD, "nice": 1}, r"nice with Executor.THREAD: allowed with PROCESS"),
        (waits, {"executor": THREAD, "kwargs": {1: 2}}, r"kwargs \{1: 2\}: allowed is a dict"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_what_cannot_be_run_is_refused(entry: Any, options: dict[str, Any], text: str) -> None:
    with Host() as host:
        with pytest.raises(libcoop.Invalid, match=text):
            host.add("it", entry, **options)
        assert host.which_children() == []


def test_an_option_that_is_none_is_a_type_error() -> None:
    with Host() as host, pytest.raises(TypeError, match="'restrat' is no option; allowed are executor, restart"):
        host.add("it", SLEEP, restrat=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("id", ["", "a/b", "a\nb", 3, None])
def test_names_that_are_none(id: Any) -> None:
    with Host() as host:
        with pytest.raises(libcoop.Invalid, match="id"):
            host.add(id, SLEEP)
        with pytest.raises(libcoop.Invalid, match="id"):
            host.supervisor(id)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"strategy": "ONE"}, r"strategy 'ONE': allowed are Strategy.ONE_FOR_ONE"),
        ({"strategy": 4}, r"strategy 4: allowed are"),
        ({"intensity": -1}, r"intensity -1: allowed are whole numbers from 0"),
        ({"intensity": 1.5}, r"intensity 1.5: allowed are whole numbers"),
        ({"period": 0}, r"period 0: allowed are seconds above 0"),
        ({"period": math.nan}, r"period nan: allowed are seconds"),
        ({"auto_shutdown": 5}, r"auto_shutdown 5: allowed are AutoShutdown.NEVER"),
    ],
    ids=str,
)
def test_supervisors_that_are_none(options: dict[str, Any], text: str) -> None:
    with pytest.raises(libcoop.Invalid, match=text):
        Host(**options)
    with Host() as host:
        with pytest.raises(libcoop.Invalid, match=text):
            host.supervisor("sub", **options)
        with pytest.raises(libcoop.Invalid, match="significant with restart permanent"):
            host.supervisor("sub", significant=True)
        assert host.which_children() == []


def test_hosts_that_are_none() -> None:
    for name in ("", "a/b"):
        with pytest.raises(libcoop.Invalid, match="id"):
            Host(name)
    with pytest.raises(libcoop.Invalid, match="history -1"):
        Host(history=-1)
    with pytest.raises(libcoop.Invalid, match="reap 2"):
        Host(reap=2)  # type: ignore[arg-type]


def test_an_id_is_used_once() -> None:
    with Host() as host:
        host.add("it", SLEEP)
        with pytest.raises(libcoop.Exists, match="it"):
            host.add("it", SLEEP)
        with pytest.raises(libcoop.Exists, match="it"):
            host.supervisor("it")
        assert names(host) == ["it"]


def test_significant_needs_an_auto_shutdown() -> None:
    with Host() as host, pytest.raises(libcoop.Invalid, match="auto_shutdown is never"):
        host.add("it", SLEEP, significant=True, restart=Restart.TRANSIENT)


def test_extreme_times() -> None:
    with Host() as host:
        host.add("it", waits, executor=THREAD, shutdown=1e308, ready_within=math.inf, watchdog=10**400)
        host.start()
        spec = host.get_childspec("it")
        assert spec.shutdown > 1e18  # type: ignore[operator]


def test_specs_have_every_default() -> None:
    with Host(strategy=Strategy.REST_FOR_ONE) as host:
        host.add("it", SLEEP)
        sub = host.supervisor("sub", strategy=Strategy.ONE_FOR_ALL, intensity=None, period=2)
        sub.add(
            "full",
            waits,
            executor=THREAD,
            restart=Restart.TRANSIENT,
            shutdown="kill",
            ready="notify",
            watchdog=2.5,
            backoff=Backoff(0.5, Growth.EXPONENTIAL, cap=8, jitter=0.25, calm=16),
            park=True,
            park_at_start=True,
        )
        assert host.get_childspec("it") == libcoop.ChildSpec(
            "it", "process", Restart.PERMANENT, 5.0, False, "now", None, None, None, None, False, False, (), None
        )
        assert host.get_childspec("sub").supervisor == libcoop.Flags(
            Strategy.ONE_FOR_ALL, None, 2.0, AutoShutdown.NEVER
        )
        assert host.get_childspec("sub").shutdown == math.inf
        assert sub.get_childspec("full") == libcoop.ChildSpec(
            "full", "thread", Restart.TRANSIENT, "kill", False, "notify", 60.0, 2.5, None,
            Backoff(0.5, Growth.EXPONENTIAL, 8.0, 0.25, 16.0), True, True, (), None,
        )  # fmt: skip


def test_a_thread_that_fails_is_restarted_with_new_arguments_of_its_class() -> None:
    made = []

    class Counted:
        def __init__(self, box: list[int]) -> None:
            made.append(self)
            self._box = box

        def run(self, ctx: Context) -> None:
            self._box.append(ctx.run)
            if ctx.run < 3:
                raise RuntimeError("again")
            ctx.stopping.wait()

    box: list[int] = []
    with Host(intensity=5) as host:
        host.add("it", Counted, box, executor=THREAD)
        host.start()
        runs(host, "it", 3)
        until(lambda: len(box) == 3)
    assert box == [1, 2, 3]
    assert len(set(map(id, made))) == 3


@pytest.mark.parametrize("executor", [Executor.THREAD, Executor.ASYNC], ids=lambda executor: executor.name)
@pytest.mark.parametrize(("status", "normal"), [(None, True), (0, True), (3, False), ("text", False)])
def test_system_exit_ends_the_service_only(executor: Executor, status: Any, normal: bool) -> None:
    async def service(ctx: Context) -> None:
        sys.exit(status)

    with Host(intensity=0) as host:
        host.add("it", service, executor=executor, restart=Restart.TRANSIENT)
        host.add("other", sleeps, executor=executor)
        if normal:
            host.start()
            ender = stop_when(host, lambda: child(host, "it").state == ChildState.TERMINATED)
            assert host.wait().how == "stopped"
            ender.join()
        else:
            with pytest.raises(libcoop.Failed, match=f"SystemExit: {status}"):
                host.wait()


def test_a_service_that_waits_forgets_nothing() -> None:
    """A run that has ended by itself keeps nothing of it alive."""
    kept = []

    class Big:
        pass

    def service(ctx: Context, big: type[Big]) -> None:
        one = big()
        kept.append(weakref.ref(one))
        ctx.on_stop(partial(id, one))

    async def waiting(ctx: Context, big: type[Big]) -> None:
        one = big()
        kept.append(weakref.ref(one))
        task = asyncio.ensure_future(_wait(ctx, one))
        await asyncio.sleep(0)
        task.cancel()

    async def _wait(ctx: Context, one: Big) -> None:
        await ctx.stopping

    with Host(intensity=None) as host:
        host.add("t", service, Big, executor=THREAD, restart=Restart.TRANSIENT)
        host.add("a", waiting, Big, executor=Executor.ASYNC, restart=Restart.TRANSIENT)
        host.add("b", waiting, Big, executor=THREAD, restart=Restart.TRANSIENT)
        host.start()
        ender = stop_when(host, lambda: all(one.state == ChildState.TERMINATED for one in host.which_children()))
        host.wait()
        ender.join()
        assert len(kept) == 3
        until(lambda: gc.collect() is not None and all(one() is None for one in kept))


def test_a_service_may_be_watched_from_other_threads() -> None:
    contexts: list[Context] = []

    def service(ctx: Context) -> None:
        contexts.append(ctx)
        ctx.status("busy")
        ctx.beat()
        ctx.extend(10)
        ctx.stopping.wait()

    with Host() as host:
        host.add("it", service, executor=THREAD, watchdog=LONG)
        host.start()
        until(lambda: contexts)
        ctx = contexts[0]
        assert (ctx.name, ctx.path, ctx.run, ctx.id, ctx.watchdog) == ("it", "root/it", 1, child(host, "it").id, LONG)
        assert not ctx.stopping.wait(0.01)
        assert repr(ctx) == "<libcoop.Context of 'root/it', run 1>"
        with pytest.raises(libcoop.Invalid, match="ready at once"):
            ctx.ignore()
        with pytest.raises(ValueError, match="NaN"):
            ctx.extend(math.nan)
        called = threading.Event()
        ctx.on_stop(called.set)
        host.terminate_child("it")
        assert called.wait(LONG)
        again = threading.Event()
        ctx.on_stop(again.set)
        assert again.wait(LONG)
        # The run is over: nobody listens any more.
        ctx.ready()
        ctx.status("gone")


def test_a_thread_that_ignores_its_deadline_is_disowned() -> None:
    free = threading.Event()

    def deaf(ctx: Context) -> None:
        free.wait(LONG)

    with Host() as host:
        host.add("deaf", deaf, executor=THREAD, shutdown=0.01)
        host.start()
        host.terminate_child("deaf")
        assert child(host, "deaf").state in (ChildState.UNRESPONSIVE, ChildState.TERMINATED)
        free.set()
        until(lambda: child(host, "deaf").state == ChildState.TERMINATED)


def test_import_is_light(program: Program) -> None:
    program("""
        import sys
        import libcoop
        with libcoop.Host() as host:
            host.add("it", ["sleep", "100"])
            host.start()
        loaded = [name for name in ("asyncio", "multiprocessing", "subprocess", "ssl") if name in sys.modules]
        assert loaded == [], loaded
        """)


def test_a_host_of_programs_is_small(program: Program) -> None:
    program(
        """
        import sys
        def resident():
            for line in open("/proc/self/smaps_rollup"):
                if line.startswith("Pss:"):
                    return int(line.split()[1])
        before = resident()
        import libcoop
        host = libcoop.Host()
        for number in range(10):
            host.add(f"s{number}", ["sleep", "1000"])
        host.start()
        grown = resident() - before
        print(grown)
        host.close()
        # Of a build for tests; the target is 6 MB for a release build, by itself.
        assert grown < 40_000, grown
        """,
        stderr=None,
    )


def test_waits_without_waking_up(program: Program) -> None:
    program("""
        import threading, time, os, signal
        import libcoop
        def switches():
            found = {}
            for thread in os.listdir("/proc/self/task"):
                for line in open(f"/proc/self/task/{thread}/status"):
                    if line.startswith("voluntary_ctxt_switches"):
                        found[thread] = int(line.split()[1])
            return found
        def service(ctx):
            ctx.stopping.wait()
        with libcoop.Host() as host:
            host.add("t", service, executor=libcoop.Executor.THREAD)
            host.add("p", ["sleep", "1000"])
            def measure():
                me = str(threading.get_native_id())
                while host.which_children()[0].state != libcoop.ChildState.RUNNING:
                    time.sleep(0.01)
                for _ in range(20):
                    time.sleep(0.5)
                    before = switches()
                    time.sleep(1)
                    after = switches()
                    woken = {thread: after[thread] - before[thread] for thread in before
                             if thread != me and after[thread] != before[thread]}
                    if not woken:
                        break
                print(woken)
                host.stop()
                assert not woken
                os.write(1, b"quiet")
            thread = threading.Thread(target=measure)
            thread.start()
            host.wait()
            thread.join()
        """)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda host: host.add("\ud800", waits, executor=THREAD),
            libcoop.Invalid,
            r"id '\\ud800': allowed is what UTF-8",
        ),
        (lambda _: Host(worker_init=cast(Any, 3)), libcoop.Invalid, 'worker_init 3: allowed is "module:name"'),
        (lambda _: Host(worker_init="setup"), libcoop.Invalid, "worker_init 'setup': allowed is"),
        (lambda host: host.on_event(None), TypeError, "callback must be callable, not None"),
        (lambda host: host.events(queue=1 << 70), libcoop.Invalid, "queue 1180591620717411303424: allowed are whole"),
        (lambda host: host.events(queue=0), libcoop.Invalid, "queue 0: allowed are whole numbers from 1 to"),
        (lambda host: host.events(replay="all"), libcoop.Invalid, "replay 'all': allowed are whole numbers from 0 to"),
        (lambda host: host.terminate_child("gone"), libcoop.Stale, "child 'gone'"),
        (lambda host: host.restart_child("gone"), libcoop.Stale, "child 'gone'"),
        (lambda host: host.delete_child("gone"), libcoop.Stale, "child 'gone'"),
        (lambda host: host.get_childspec(12345), libcoop.Stale, "child 12345"),
    ],
)
def test_an_error_names_what_was_given(call: Callable[[Any], object], error: type[Exception], text: str) -> None:
    with Host() as host, pytest.raises(error, match=text):
        call(host)


@pytest.mark.parametrize("how", ["wait", "shutdown", "close"])
def test_whichever_thread_waits_runs_the_services_on_asyncio(how: str) -> None:
    ran: list[str] = []

    async def service(ctx: Context) -> None:
        ran.append("began")
        ctx.ready()
        await ctx.stopping
        ran.append("ended")

    made: list[Host] = []

    def makes() -> None:
        made.append(Host())
        made[0].add("it", service, executor=Executor.ASYNC, shutdown="infinity", ready="notify")
        if how != "wait":
            made[0].start()

    thread = threading.Thread(target=makes)
    thread.start()
    thread.join()
    (host,) = made

    def stops() -> None:
        until(lambda: ran == ["began"])
        host.stop()

    if how == "wait":
        threading.Thread(target=stops).start()
    with host:
        getattr(host, how)()
    assert ran == ["began", "ended"]


def test_a_thread_that_waits_goes_on_where_another_ran_the_services() -> None:
    going: list[int] = []

    async def beats(ctx: Context) -> None:
        while not ctx.stopping:
            going.append(threading.get_ident())
            await asyncio.sleep(0.001)

    with Host() as host:
        host.add("it", beats, executor=Executor.ASYNC)
        ended = threading.Thread(target=lambda: host.join(LONG))
        host.start()
        ended.start()
        until(lambda: ended.ident in going)

        def asks() -> None:
            for number in range(20):
                host.add(f"more-{number}", beats, executor=Executor.ASYNC)

        more = threading.Thread(target=asks)
        more.start()
        more.join()
        with pytest.raises(libcoop.Timeout):
            host.join(0.05)
        host.stop()
        host.join(LONG)
        ended.join()
    assert set(going) <= {ended.ident, more.ident, threading.get_ident()}
