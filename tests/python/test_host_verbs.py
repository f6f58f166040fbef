"""The verbs, and the cases of OTP's own suite that tell a binding from its core, by their names there."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import libcoop
import pytest
from hostkit import LONG, SLEEP, child, names, raises, returns, runs, until, waits
from libcoop import AutoShutdown, Backoff, ChildState, Context, Executor, Host, Restart, Strategy

THREAD = Executor.THREAD


def pid_of(supervisor: libcoop.Supervisor, name: str) -> int:
    pid = child(supervisor, name).pid
    assert pid is not None
    return pid


def test_sup_start_normal() -> None:
    with Host() as host:
        host.start()
        assert host.which_children() == []
        assert host.count_children() == libcoop.ChildCounts(0, 0, 0, 0)


def test_sup_start_ignore_child() -> None:
    def ignored(ctx: Context) -> None:
        ctx.ignore()

    with Host() as host:
        host.add("ignored", ignored, executor=THREAD, ready="notify")
        host.add("other", waits, executor=THREAD)
        host.start()
        assert child(host, "ignored").state == ChildState.TERMINATED
        assert host.count_children() == libcoop.ChildCounts(2, 1, 0, 2)


def test_sup_start_ignore_temporary_child() -> None:
    def ignored(ctx: Context) -> None:
        ctx.ignore()

    with Host() as host:
        host.add("ignored", ignored, executor=THREAD, ready="notify", restart=Restart.TEMPORARY)
        host.start()
        assert host.which_children() == []


def test_sup_start_error_return() -> None:
    with Host() as host:
        host.add("fails", raises, executor=THREAD, ready="notify")
        with pytest.raises(libcoop.Failed, match="ValueError: no luck"):
            host.start()


def test_sup_stop_timeout() -> None:
    with Host() as host:
        host.add("deaf", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], shutdown=0.05)
        host.start()
        pid = pid_of(host, "deaf")
        host.shutdown()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_sup_stop_brutal_kill(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    with Host() as host:
        host.add("it", ["sh", "-c", f"trap 'touch {asked}' TERM; while :; do sleep 0.1; done"], shutdown="kill")
        host.start()
    assert not asked.exists()


def test_sup_stop_infinity() -> None:
    free = threading.Event()

    def slow(ctx: Context) -> None:
        ctx.stopping.wait()
        free.wait(LONG)

    with Host() as host:
        host.add("slow", slow, executor=THREAD, shutdown="infinity")
        host.start()
        with pytest.raises(libcoop.Timeout):
            host.shutdown(0.1)
        until(lambda: child(host, "slow").state == ChildState.STOPPING)
        free.set()


def test_child_adm() -> None:
    with Host() as host:
        host.start()
        id = host.start_child("one", SLEEP)
        assert (host.find("one"), host.find("two")) == (id, None)
        assert child(host, "one").id == id
        with pytest.raises(libcoop.Exists):
            host.start_child("one", SLEEP)
        with pytest.raises(libcoop.Invalid):
            host.restart_child("one")
        with pytest.raises(libcoop.Invalid):
            host.delete_child("one")
        host.terminate_child("one")
        assert child(host, "one").state == ChildState.TERMINATED
        host.terminate_child(id)
        with pytest.raises(libcoop.Exists):
            host.start_child("one", SLEEP)
        host.restart_child("one")
        assert child(host, "one").run == 2
        host.terminate_child("one")
        host.delete_child("one")
        assert names(host) == []
        for verb in (host.terminate_child, host.restart_child, host.delete_child, host.replace_child):
            for there in ("one", id):
                with pytest.raises(libcoop.Stale):
                    verb(there)
        with pytest.raises(libcoop.Stale):
            host.get_childspec("one")


@pytest.mark.parametrize("given", [None, 1.5, b"one", ["one"]])
def test_a_child_that_is_none(given: object) -> None:
    with Host() as host:
        host.start()
        with pytest.raises(TypeError, match="a child is named by its id"):
            host.terminate_child(given)  # type: ignore[arg-type]
    with pytest.raises(libcoop.Closed):
        host.terminate_child("one")


def test_an_id_out_of_range_is_none() -> None:
    with Host() as host:
        host.start()
        with pytest.raises(libcoop.Invalid, match="-1"):
            host.terminate_child(-1)


def test_start_child_that_fails_keeps_nothing() -> None:
    with Host() as host:
        host.start()
        with pytest.raises(libcoop.Failed, match="no luck"):
            host.start_child("fails", raises, executor=THREAD, ready="notify")
        assert names(host) == []
        with pytest.raises(libcoop.Invalid, match="start_child"):
            host.start_child("fails")


@pytest.mark.parametrize("executor", list(Executor), ids=lambda executor: executor.name)
def test_child_adm_simple(executor: Executor, tmp_path: Path) -> None:
    with Host() as host:
        pool = host.supervisor("pool", strategy=Strategy.SIMPLE_ONE_FOR_ONE)
        pool.template("worker", "hostkit:notes", str(tmp_path), executor=executor, ready="notify")
        host.start()
        first = pool.start_child("first")
        second = pool.start_child("second")
        assert (tmp_path / "first").exists()
        assert (tmp_path / "second").exists()
        assert pool.count_children() == libcoop.ChildCounts(1, 2, 0, 2)
        for verb in (pool.restart_child, pool.delete_child):
            with pytest.raises(libcoop.Invalid):
                verb(first)
        pool.terminate_child(first)
        assert [one.id for one in pool.which_children()] == [second]
        with pytest.raises(libcoop.Invalid, match="of a template"):
            pool.start_child("third", nice=1)
        with pytest.raises(libcoop.Invalid):
            pool.add("fourth", SLEEP)


def test_child_adm_simple_programs() -> None:
    with Host() as host:
        pool = host.supervisor("pool", strategy=Strategy.SIMPLE_ONE_FOR_ONE)
        pool.template("sleeper", ["sleep"])
        host.start()
        pool.start_child("1000")
        assert pool.count_children().active == 1
        (one,) = pool.which_children()
        cmdline = Path(f"/proc/{one.pid}/cmdline")
        # Empty for a moment, in which the system has let the program begin and not yet said so.
        assert until(cmdline.read_bytes) == b"sleep\x001000\x00"
        with pytest.raises(libcoop.Invalid, match="argument 7"):
            pool.start_child(7)


def test_a_template_needs_its_strategy() -> None:
    with Host() as host, pytest.raises(libcoop.Invalid, match="simple_one_for_one"):
        host.template("it", SLEEP)


@pytest.mark.parametrize("restart", list(Restart), ids=lambda restart: restart.name)
def test_normal_ends(restart: Restart) -> None:
    """permanent_normal, transient_normal, temporary_normal."""
    with Host(intensity=None) as host:
        host.add("it", returns, executor=THREAD, restart=restart)
        host.add("other", waits, executor=THREAD)
        host.start()
        if restart == Restart.PERMANENT:
            until(lambda: child(host, "it").run > 2)
        elif restart == Restart.TRANSIENT:
            until(lambda: child(host, "it").state == ChildState.TERMINATED)
            assert child(host, "it").run == 1
        else:
            until(lambda: names(host) == ["other"])
        assert child(host, "other").run == 1


@pytest.mark.parametrize("restart", list(Restart), ids=lambda restart: restart.name)
def test_abnormal_ends(restart: Restart) -> None:
    """permanent_abnormal, transient_abnormal, temporary_abnormal."""
    with Host(intensity=None) as host:
        host.add("it", raises, executor=THREAD, restart=restart)
        host.add("other", waits, executor=THREAD)
        host.start()
        if restart == Restart.TEMPORARY:
            until(lambda: names(host) == ["other"])
        else:
            until(lambda: child(host, "it").run > 2)
        assert child(host, "other").run == 1


def test_normal_exits_of_a_program() -> None:
    with Host() as host:
        host.add("it", ["sh", "-c", "exit 7"], restart=Restart.TRANSIENT, normal_exits=[7])
        host.start()
        until(lambda: child(host, "it").state == ChildState.TERMINATED)
        assert child(host, "it").run == 1


def test_one_for_one() -> None:
    with Host() as host:
        for name in "abc":
            host.add(name, SLEEP)
        host.start()
        os.kill(pid_of(host, "b"), signal.SIGKILL)
        runs(host, "b", 2)
        assert [one.run for one in host.which_children()] == [1, 2, 1]


def test_one_for_all() -> None:
    with Host(strategy=Strategy.ONE_FOR_ALL) as host:
        for name in "abc":
            host.add(name, SLEEP)
        host.start()
        os.kill(pid_of(host, "b"), signal.SIGKILL)
        until(lambda: [(one.run, one.state) for one in host.which_children()] == [(2, ChildState.RUNNING)] * 3)


def test_rest_for_one() -> None:
    with Host(strategy=Strategy.REST_FOR_ONE) as host:
        for name in "abc":
            host.add(name, SLEEP)
        host.start()
        os.kill(pid_of(host, "b"), signal.SIGKILL)
        until(lambda: [(one.run, one.state == ChildState.RUNNING) for one in host.which_children()] == [
            (1, True), (2, True), (2, True),
        ])  # fmt: skip


def test_one_for_one_escalation() -> None:
    with Host(intensity=2) as host:
        sub = host.supervisor("sub", intensity=1, period=LONG)
        sub.add("it", raises, executor=THREAD, restart=Restart.PERMANENT)
        sub.add("other", SLEEP)
        with pytest.raises(libcoop.Failed):
            host.wait()


def test_tree() -> None:
    with Host(intensity=5) as host:
        left = host.supervisor("left", intensity=0)
        right = host.supervisor("right")
        deep = left.supervisor("deep", intensity=0)
        deep.add("it", SLEEP)
        right.add("it", SLEEP)
        host.start()
        assert repr(deep) == f"<libcoop.Supervisor {deep.id:#x} of host 'root'>"
        assert child(deep, "it").path == "root/left/deep/it"
        assert [one.is_supervisor for one in host.which_children()] == [True, True]
        assert host.count_children() == libcoop.ChildCounts(2, 2, 2, 0)
        before = pid_of(right, "it")
        os.kill(pid_of(deep, "it"), signal.SIGKILL)
        until(lambda: child(host, "left").run == 2 and child(host, "left").state == ChildState.RUNNING)
        assert pid_of(right, "it") == before
        assert (left == left, left == right, len({left, right, deep})) == (True, False, 3)


def test_significant_any() -> None:
    free = threading.Event()

    def service(ctx: Context) -> None:
        free.wait(LONG)

    with Host(auto_shutdown=AutoShutdown.ANY_SIGNIFICANT) as host:
        host.add("it", service, executor=THREAD, restart=Restart.TRANSIENT, significant=True)
        host.add("other", SLEEP)
        host.start()
        assert host.finished() is None
        free.set()
        assert host.join(LONG).how == "auto_shutdown"


def test_replace_child() -> None:
    with Host() as host:
        host.add("it", SLEEP)
        host.start()
        before = pid_of(host, "it")
        host.replace_child("it")
        assert pid_of(host, "it") != before
        assert child(host, "it").run == 2
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)


def test_a_replacement_that_fails_leaves_the_old_one() -> None:
    def service(ctx: Context) -> None:
        if ctx.run > 1:
            raise RuntimeError("not again")
        ctx.ready()
        ctx.stopping.wait()

    with Host() as host:
        host.add("it", service, executor=THREAD, ready="notify")
        host.start()
        with pytest.raises(libcoop.Failed, match="not again"):
            host.replace_child("it")
        assert child(host, "it").state == ChildState.RUNNING


def test_backoff_and_park() -> None:
    with Host(intensity=0) as host:
        host.add("it", raises, executor=THREAD, backoff=Backoff(0.0, cap=LONG), park=True)
        host.start()
        until(lambda: child(host, "it").state == ChildState.PARKED)
        host.terminate_child("it")


def test_ready_deadline() -> None:
    with Host() as host:
        host.add("it", ["sleep", "3600"], ready="notify", ready_within=0.05)
        with pytest.raises(libcoop.Failed, match="ready"):
            host.start()


def test_watchdog() -> None:
    with Host(intensity=None) as host:
        host.add("it", "hostkit:hangs_once", watchdog=0.5)
        host.start()
        runs(host, "it", 2)


def test_a_service_that_waits_for_its_own_end_is_refused() -> None:
    said: list[str] = []

    def service(ctx: Context, host: list[Host]) -> None:
        for verb in (
            lambda: host[0].terminate_child("it"),
            host[0].shutdown,
            host[0].join,
            host[0].wait,
        ):
            try:
                verb()
            except libcoop.WouldDeadlock as error:
                said.append(str(error))
        # Others' are fine.
        host[0].start_child("other", SLEEP)
        ctx.ready()
        ctx.stopping.wait()

    box: list[Host] = []
    with Host() as host:
        box.append(host)
        host.start()
        host.start_child("it", service, box, executor=THREAD, ready="notify")
        assert len(said) == 4
        assert names(host) == ["it", "other"]
        box.clear()


def test_a_restart_does_not_wait_for_the_interpreter() -> None:
    """Nobody else gets the interpreter while this thread has it, and the program is back all the same."""
    import ctypes

    library = ctypes.PyDLL(None)

    def since_boot(pid: int) -> float:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")

    # Not reaping, as it would where this is process 1: SIGCHLD would end the sleep.
    with Host(reap=False, intensity=None) as host:
        host.add("thread", waits, executor=THREAD)
        host.add("it", SLEEP)
        host.start()
        # On a busy machine it may not be back in time: then it has longer.
        for run, seconds in enumerate((2, 10, 40), 2):
            os.kill(pid_of(host, "it"), signal.SIGKILL)
            library.sleep(seconds)
            free = time.clock_gettime(time.CLOCK_BOOTTIME)
            again = runs(host, "it", run).pid
            assert again is not None
            if since_boot(again) < free - 0.5:
                return
        raise AssertionError("it has waited")


def test_verbs_from_many_threads() -> None:
    with Host(intensity=None) as host:
        host.start()

        def work(number: int) -> None:
            for turn in range(10):
                name = f"{number}-{turn}"
                host.start_child(name, waits, executor=THREAD)
                assert host.find(name) is not None
                host.terminate_child(name)
                host.delete_child(name)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert names(host) == []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    """Children of this process, dead ones too."""
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            found.update(map(int, Path(f"/proc/self/task/{task}/children").read_text().split()))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE], ids=str)
def test_storm_of_kills(strategy: Strategy) -> None:
    """Random children are killed; all are back afterwards, and nothing is left behind."""
    chance = random.Random(7)
    seconds = float(os.environ.get("COOP_STORM_SECONDS", "2"))
    with Host() as warm:
        warm.add("it", "hostkit:waits")
        warm.start()
    others, opened = children(), descriptors()
    with Host(strategy=strategy, intensity=None) as host:
        observer = host.events(queue=1_000_000)
        for number in range(20):
            if number % 2:
                host.add(f"s{number}", SLEEP, shutdown="kill")
            else:
                host.add(f"s{number}", "hostkit:waits", shutdown="kill")
        host.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pids = [one.pid for one in host.which_children() if one.pid is not None]
            for pid in chance.sample(pids, min(len(pids), chance.randrange(1, 4))):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(chance.random() * 0.05)
        until(lambda: all(one.state == ChildState.RUNNING for one in host.which_children()))
        assert len(names(host)) == 20
        assert sum(one.run for one in host.which_children()) > 20
        host.shutdown()
    events = list(observer)
    assert [event.number for event in events if isinstance(event, libcoop.ServiceEvent)] == list(
        range(1, len(events) + 1)
    )
    observer.close()
    until(lambda: children() <= others)
    until(lambda: descriptors() <= opened)
