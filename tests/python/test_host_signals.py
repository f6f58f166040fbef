"""Signals and hosts: real ones, to real processes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from hostkit import until
from signalkit import Running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    made: list[Running] = []

    def start(source: str, *before: str) -> Running:
        made.append(Running(source, tmp_path, *before))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


TREE = """
with Host() as host:
    host.add("a", plain, executor=Executor.THREAD, ready="notify")
    host.add("b", on_loop, executor=Executor.ASYNC, ready="notify")
    host.add("c", plain, ready="notify", output="inherit")
    host.add("d", ["sleep", "1000"])
    def wait_up():
        while any(one.state != ChildState.RUNNING for one in host.which_children()):
            time.sleep(0.01)
        say("waiting")

    threading.Thread(target=wait_up, daemon=True).start()
    finish = host.wait()
    say(finish.how, finish.signal)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert signal.set_wakeup_fd(-1) == -1
say("end")
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_signal_stops_the_tree_in_order(start: Any, signum: signal.Signals) -> None:
    program = start(TREE)
    program.until_says("waiting")
    program.kill(signum)
    status, said, errors = program.end()
    assert (status, errors) == (0, "")
    assert said[-5:] == ["down c", "down b", "down a", f"signal {int(signum)}", "end"], said


def test_a_signal_stops_the_tree_in_asyncio(start: Any) -> None:
    program = start("""
        async def main():
            async with Host() as host:
                await host.add("a", plain, executor=Executor.THREAD, ready="notify")
                await host.add("b", on_loop, executor=Executor.ASYNC, ready="notify")
                await host.start()
                asyncio.get_running_loop().call_later(0.05, say, "waiting")
                finish = await host.wait()
                say(finish.how)
        asyncio.run(main())
        say("end")
        """)
    program.until_says("waiting")
    program.kill(signal.SIGINT)
    status, said, errors = program.end()
    assert (status, errors) == (0, "")
    assert said[-4:] == ["down b", "down a", "signal", "end"]


def test_a_second_signal_kills(start: Any) -> None:
    program = start("""
        with Host() as host:
            host.add("deaf", ["sh", "-c", "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"],
                     shutdown="infinity", output=lambda line: say(line.text))
            say(host.wait().how)
        say("end")
        """)
    program.until_says("up")
    program.kill(signal.SIGTERM)
    program.until_says("asked")
    program.kill(signal.SIGTERM)
    status, said, errors = program.end()
    assert (status, said[-2:], errors) == (0, ["signal", "end"], "")


def test_a_signal_while_it_starts(start: Any) -> None:
    program = start("""
        def slow(ctx):
            say("starting")
            ctx.stopping.wait()
        with Host() as host:
            host.add("slow", slow, executor=Executor.THREAD, ready="notify")
            say(host.wait().how)
        say("end")
        """)
    program.until_says("starting")
    program.kill(signal.SIGTERM)
    status, said, errors = program.end()
    assert (status, said[-2:]) == (0, ["signal", "end"]), errors


def test_other_handlers_run_while_it_waits(start: Any) -> None:
    program = start("""
        class Enough(Exception):
            pass
        def handler(signum, frame):
            say("handled", signum)
        def leave(signum, frame):
            raise Enough
        signal.signal(signal.SIGUSR1, handler)
        signal.signal(signal.SIGUSR2, leave)
        with Host() as host:
            host.add("a", plain, executor=Executor.THREAD, ready="notify")
            host.start()
            threading.Timer(0.05, say, ["waiting"]).start()
            try:
                host.wait()
            except Enough:
                say("left")
            assert signal.set_wakeup_fd(-1) == -1
            assert host.finished() is None
        say("end")
        """)
    program.until_says("waiting")
    for _ in range(3):
        program.kill(signal.SIGUSR1)
        program.until_says(f"handled {int(signal.SIGUSR1)}")
    program.kill(signal.SIGUSR2)
    status, said, errors = program.end()
    assert (status, said[-3:], errors) == (0, ["left", "down a", "end"], "")


def test_another_thread_waits_without_signals(start: Any) -> None:
    program = start("""
        host = Host()
        host.add("a", plain, executor=Executor.THREAD)
        thread = threading.Thread(target=lambda: say(host.wait().how))
        thread.start()
        while not host._tree.native.is_started():
            time.sleep(0.01)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        try:
            say("waiting")
            time.sleep(100)
        except KeyboardInterrupt:
            say("interrupted")
        host.close()
        thread.join()
        """)
    program.until_says("waiting")
    program.kill(signal.SIGINT)
    status, said, errors = program.end()
    assert (status, errors) == (0, "")
    # The service's thread may come up late.
    assert {"interrupted", "down a", "stopped"} <= set(said)


VERBS = {
    "start": 'host.add("slow", slow, executor=Executor.THREAD, ready="notify"); host.start()',
    "add": 'host.start(); host.add("slow", slow, executor=Executor.THREAD, ready="notify")',
    "terminate_child": 'host.add("slow", late, executor=Executor.THREAD, shutdown=100); host.start(); '
    'host.terminate_child("slow")',
    "join": "host.start(); host.join()",
    "shutdown": 'host.add("slow", late, executor=Executor.THREAD, shutdown=100); host.start(); host.shutdown()',
    "stopping.wait": 'host.add("slow", keep, executor=Executor.THREAD, ready="notify"); host.start(); '
    "box[0].stopping.wait()",
    "on the loop": 'host.add("slow", slow_async, executor=Executor.ASYNC, ready="notify"); host.start()',
}


@pytest.mark.parametrize("verb", list(VERBS))
def test_ctrl_c_ends_a_wait(start: Any, verb: str) -> None:
    program = start(f"""
        free = threading.Event()
        box = []
        def slow(ctx):
            free.wait()
        def late(ctx):
            ctx.stopping.wait()
            free.wait()
        def keep(ctx):
            box.append(ctx)
            ctx.ready()
            ctx.stopping.wait()
        async def slow_async(ctx):
            while not free.is_set():
                await asyncio.sleep(0.001)
        def asleep():
            main = f"/proc/self/task/{{os.getpid()}}/"
            while open(main + "stat").read().rpartition(")")[2].split()[0] != "S":
                time.sleep(0.001)
            time.sleep(0.2)
            say("asleep")
        with Host() as host:
            try:
                threading.Thread(target=asleep).start()
                {VERBS[verb]}
                say("it has not waited")
            except KeyboardInterrupt:
                say("interrupted")
                free.set()
        assert signal.set_wakeup_fd(-1) == -1
        say("end")
        """)
    program.until_says("asleep")
    program.kill(signal.SIGINT)
    status, said, errors = program.end()
    assert (status, said[-2:]) == (0, ["interrupted", "end"]), errors
    # What the library says of it is one line each; nothing else is said.
    assert all(" did not start: " in line for line in errors.splitlines()), errors


def test_ctrl_c_while_a_coroutine_runs(start: Any) -> None:
    """As asyncio has it: the first is not raised in the middle of it, a second one is."""
    program = start("""
        async def twice(ctx):
            ctx.ready()
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            say("held")
            os.kill(os.getpid(), signal.SIGINT)
            say("not raised")
        async def once(ctx):
            ctx.ready()
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            say("held")
            await ctx.stopping
            say("down", ctx.name)
        for entry in (twice, once):
            with Host() as host:
                host.add("it", entry, executor=Executor.ASYNC)
                try:
                    host.start()
                    host.join()
                except KeyboardInterrupt:
                    say("interrupted")
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        say("end")
        """)
    status, said, errors = program.end()
    assert (status, said) == (0, ["held", "interrupted", "held", "interrupted", "down it", "end"]), errors


def test_handlers_that_raise_at_any_moment(start: Any) -> None:
    """They end waits, and neither the host nor the next wait comes to harm."""
    program = start("""
        class Alarm(Exception):
            pass
        def alarm(*_):
            raise Alarm
        signal.signal(signal.SIGALRM, alarm)
        alarms = 0
        with Host() as host:
            host.add("it", on_loop, executor=Executor.ASYNC, ready="notify")
            host.start()
            for turn in range(3000):
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 0.00001 + turn % 150 / 1e6)
                        host.join(timeout=0.001)
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except libcoop.Timeout:
                    pass
                except Alarm:
                    alarms += 1
        assert alarms > 100, alarms
        say("end")
        """)
    status, said, errors = program.end()
    assert (status, said) == (0, ["up it", "down it", "end"]), errors


@pytest.mark.parametrize("seed", range(10))
def test_ctrl_c_at_any_moment(start: Any, seed: int) -> None:
    """Whenever it comes, everything ends, and the program with it."""
    # The first turn imports what is loaded on use: CPython ends by the signal itself, however it was caught, if it came
    # inside an `exec` of text, as dataclasses do.
    program = start("""
        try:
            for turn in range(1000):
                if turn == 1:
                    say("begin")
                with Host() as host:
                    host.add("a", plain, executor=Executor.THREAD)
                    host.add("b", ["sleep", "1000"])
                    sub = host.supervisor("sub")
                    host.start()
                    sub.add("c", plain, executor=Executor.THREAD, ready="notify")
                    sub.terminate_child("c")
                    host.start_child("d", on_loop, executor=Executor.ASYNC)
                    host.replace_child("b")
        except KeyboardInterrupt:
            say("interrupted")
        say("end")
        """)
    program.until_says("begin")
    time.sleep(random.Random(seed).random() * 0.5)
    program.kill(signal.SIGINT)
    status, said, errors = program.end()
    words = [word for word in said if word in ("interrupted", "end")]
    assert (status, words) == (0, ["interrupted", "end"]), (status, said[-5:], errors)
    # A host that was interrupted while it stopped does not wait for its threads; the interpreter's exit does.
    for name in ("a", "c"):
        assert said.count(f"up {name}") == said.count(f"down {name}"), (said[-9:], errors)
    until(lambda: not children_of_group(program.pid))


def children_of_group(parent: int) -> list[int]:
    """Processes that this one has left behind."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(told[1]) == parent:
                found.append(int(entry.name))
    return found


def namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no process namespaces here")
def test_as_process_1(start: Any) -> None:
    """It stops by SIGTERM, and reaps the orphans that come to it."""
    program = start(
        """
        assert os.getpid() == 1
        with Host() as host:
            host.add("orphans", ["sh", "-c", "(sleep 0.1 & ) ; (sleep 0.1 & ); exec sleep 1000"])
            host.add("it", plain, executor=Executor.THREAD)
            def zombies():
                return [entry for entry in os.listdir("/proc") if entry.isdigit() and is_zombie(entry)]
            def is_zombie(pid):
                try:
                    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"
                except OSError:
                    return False
            def look():
                # Signals are taken before it starts.
                while not host._tree.native.is_started():
                    time.sleep(0.01)
                time.sleep(0.5)
                while zombies():
                    time.sleep(0.01)
                say("waiting")
            threading.Thread(target=look).start()
            say(host.wait().how)
        say("end")
        """,
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    )
    program.until_says("waiting")
    (inside,) = children_of_group(program.pid)
    os.kill(inside, signal.SIGTERM)
    status, said, errors = program.end()
    assert (status, said[-3:], errors) == (0, ["down it", "signal", "end"], "")


def test_signals_go_on_while_threads_wait_for_many_hosts(start: Any) -> None:
    program = start("""
        hosts = [Host(f"h{number}") for number in range(5)]
        threads = [threading.Thread(target=host.wait) for host in hosts]
        for thread in threads:
            thread.start()
        first = Host("first")
        first.add("a", plain, executor=Executor.THREAD)
        say(first.wait().how)
        for host in hosts:
            host.close()
        for thread in threads:
            thread.join()
        first.close()
        say("end")
        """)
    program.until_says("up a")
    program.kill(signal.SIGTERM)
    status, said, errors = program.end()
    assert (status, said[-2:], errors) == (0, ["signal", "end"], "")


def test_ctrl_c_while_a_host_is_closed_ends_what_still_runs(program: Program) -> None:
    program("""
        import os, signal, threading
        import libcoop
        from libcoop import EventKind, Host

        host = Host()
        # It never stops by itself, and may take for ever.
        host.add("deaf", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done"], shutdown="infinity",
                 output=lambda line: up.set())
        up = threading.Event()
        stopping = host.events(kinds=EventKind.STOPPING)
        host.start()
        assert up.wait(60)

        def interrupts():
            stopping.next(60)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupts).start()
        try:
            host.close()
        except KeyboardInterrupt:
            print("interrupted", repr(host))
            assert "closed" in repr(host)
        else:
            raise AssertionError("not interrupted")
        """)
