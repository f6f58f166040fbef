"""Hosts that are still there when the interpreter exits, or when the process forks."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from conftest import Program
from hostkit import until

SETUP = """
import asyncio, os, signal, sys, threading, time
import libcoop
from libcoop import ChildState, Executor, Host

def plain(ctx):
    ctx.ready()
    ctx.stopping.wait()
    os.write(1, b"down\\n")

async def on_loop(ctx):
    ctx.ready()
    await ctx.stopping
    os.write(1, b"down\\n")

def deaf(ctx):
    ctx.ready()
    while True:
        time.sleep(0.01)

def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False

if __name__ == "__main__":
"""


def of(source: str) -> str:
    return SETUP + textwrap.indent(textwrap.dedent(source), "    ")


@pytest.mark.parametrize("executor", ["THREAD", "ASYNC", "PROCESS"])
def test_exit_without_a_stop(program: Program, executor: str) -> None:
    entry = "on_loop" if executor == "ASYNC" else "plain"
    ran = program(
        of(f"""
        host = Host()
        host.add("it", {entry}, executor=Executor.{executor}, ready="notify",
                 **({{"output": "inherit"}} if "{executor}" == "PROCESS" else {{}}))
        host.start()
        """)
    )
    assert ran.stdout == "down\n"


def test_exit_inside_the_block(program: Program) -> None:
    ran = program(
        of("""
        with Host() as host:
            host.add("it", plain, executor=Executor.THREAD, ready="notify")
            host.start()
            sys.exit(3)
        """),
        status=3,
    )
    assert ran.stdout == "down\n"


def test_exit_of_an_asynchronous_host_that_was_left_open(program: Program) -> None:
    program(
        of("""
        async def main():
            global host
            host = await Host().__aenter__()
            await host.add("it", on_loop, executor=Executor.ASYNC, ready="notify")
            await host.add("other", ["sleep", "1000"])
            await host.start()

        asyncio.run(main())
        """),
        stderr=None,
    )


def test_exit_with_a_service_that_does_not_end(program: Program) -> None:
    ran = program(
        of("""
        host = Host()
        host.add("deaf", deaf, executor=Executor.THREAD, ready="notify", shutdown=0.1)
        host.start()
        """),
        status=1,
        stderr=None,
    )
    assert "a callback does not end: it is abandoned" in ran.stderr


def test_exit_with_programs_leaves_none(program: Program) -> None:
    ran = program(
        of("""
        host = Host()
        for number in range(5):
            host.add(f"s{number}", ["sleep", "1000"])
        host.start()
        print(*[one.pid for one in host.which_children()])
        """)
    )
    import os

    for pid in ran.stdout.split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_many_hosts_at_exit(program: Program) -> None:
    program(
        of("""
        hosts = [Host(f"h{number}") for number in range(5)]
        for host in hosts[1:]:
            host.add("it", plain, executor=Executor.THREAD, ready="notify")
            host.start()
        """)
    )


def test_a_forked_child_has_no_host(program: Program) -> None:
    program(
        of("""
        host = Host()
        host.add("it", plain, executor=Executor.THREAD, ready="notify")
        host.add("other", ["sleep", "1000"])
        host.add("loop", on_loop, executor=Executor.ASYNC)
        host.start()
        pid = host.which_children()[1].pid
        child = os.fork()
        if child == 0:
            calls = [host.start, host.wait, host.join, host.shutdown, host.stop, host.kill, host.which_children,
                     lambda: host.add("x", plain, executor=Executor.THREAD), lambda: host.terminate_child("it")]
            for call in calls:
                try:
                    call()
                except libcoop.Forked:
                    continue
                os.write(2, f"{call} was not refused".encode())
            assert repr(host) == "<libcoop.Host 'root', the parent's>", repr(host)
            host.close()
            with host:
                pass
            # A host of its own is fine.
            with Host() as own:
                own.add("it", plain, executor=Executor.THREAD, ready="notify")
                own.add("loop", on_loop, executor=Executor.ASYNC, ready="notify")
                own.start()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert [one.state for one in host.which_children()] == [ChildState.RUNNING] * 3
        assert not gone(pid)
        host.close()
        assert gone(pid)
        """)
    )


def test_a_fork_inside_the_block(program: Program) -> None:
    ran = program(
        of("""
        with Host() as host:
            host.add("it", plain, executor=Executor.THREAD, ready="notify")
            host.start()
            child = os.fork()
            if child == 0:
                sys.exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert host.which_children()[0].state == ChildState.RUNNING
        """)
    )
    assert ran.stdout == "down\n"


def test_services_fork(program: Program) -> None:
    program(
        of("""
        def forks(ctx):
            child = os.fork()
            if child == 0:
                os._exit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
            ctx.ready()
            ctx.stopping.wait()

        with Host() as host:
            host.add("it", forks, executor=Executor.THREAD, ready="notify")
            host.start()
        """)
    )


def test_a_host_that_only_its_service_still_knows(program: Program) -> None:
    program(
        of("""
        def closes(ctx, box):
            ctx.ready()
            host = box.pop()
            host.close()
            assert ctx.stopping.wait(60)

        box = []
        host = Host()
        host.add("it", closes, box, executor=Executor.THREAD, ready="notify", restart=libcoop.Restart.TEMPORARY)
        box.append(host)
        host.start()
        del host
        """)
    )


def test_verbs_at_exit_are_refused_or_done(program: Program) -> None:
    program(
        of("""
        import atexit
        host = Host()
        host.add("it", plain, executor=Executor.THREAD, ready="notify")
        host.start()

        def late():
            for verb in (lambda: host.add("x", ["sleep", "1"]), host.start):
                try:
                    verb()
                except libcoop.Closed:
                    continue
                raise AssertionError(verb)

        atexit.register(late)
        """)
    )


def test_a_host_that_is_killed_takes_all_its_processes_along(program: Program) -> None:
    """Workers, the program, the zygote and its next worker: none has been told, and each is gone."""
    ran = program(
        of("""
        def children():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat") as stat:
                        if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                            yield int(pid)
                except (FileNotFoundError, ProcessLookupError):
                    pass

        host = Host()
        host.add("plain", plain, ready="notify")
        host.add("own_loop", on_loop, executor=Executor.ASYNC_PROCESS, ready="notify")
        host.add("program", ["sleep", "3600"])
        host.start()
        pids = set()
        while len(pids) < 5:
            pids = set(children())
        print(*pids, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """),
        status=-9,
    )
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 5
    until(lambda: not any(map(_runs, pids)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
