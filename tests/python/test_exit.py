"""A process that exits with work still running."""

from __future__ import annotations

from typing import Any

import pytest
from processkit import PRELUDE

EXITS = {
    "a started loop": "loop = EventLoop(); loop.call_later(0, sum, range(1000), repeat=0.0005); loop.start()",
    "a loop in a thread that is no daemon": (
        "loop = EventLoop(); loop.call_later(0, sum, range(1000), repeat=0.0005)\n"
        "began = threading.Event(); loop.post(began.set)\n"
        "threading.Thread(target=loop.run).start(); began.wait()"
    ),
    "a loop in a daemon thread": (
        "loop = EventLoop(); loop.call_later(0, sum, range(1000), repeat=0.0005)\n"
        "began = threading.Event(); loop.post(began.set)\n"
        "threading.Thread(target=loop.run, daemon=True).start(); began.wait()"
    ),
    "a loop that was never run": "loop = EventLoop(); loop.post(print, 'no'); loop.call_later(0, print, 'no')",
    "ports on threads, with timers": (
        "class Tick(Run):\n    def on_start(self, ctx):\n        ctx.set_timer(0.0005, repeat=True)\n"
        "    def on_timer(self, ctx, timer):\n        sum(range(1000))\n"
        "ports = PortSet([Port(name, Tick) for name in 'abc']); ports.start()"
    ),
    "ports on a loop": (
        "class Tick(Run):\n    def on_start(self, ctx):\n        ctx.set_timer(0.0005, repeat=True)\n"
        "    def on_timer(self, ctx, timer):\n        sum(range(1000))\n"
        "loop = EventLoop(); loop.start()\n"
        "ports = PortSet([Port(name, Tick) for name in 'abc'], mode=Mode.SINGLE, loop=loop); ports.start()"
    ),
    "a runtime": (
        "runtime = Runtime(2); runtime.event_loop.call_later(0, sum, range(1000), repeat=0.0005); runtime.start()"
    ),
    "a closed runtime": "runtime = Runtime(1); runtime.start(); pool = runtime.pool; runtime.close()",
    "things that are stopped": (
        "loop = EventLoop(); loop.start(); loop.stop(); pool = Pool(1); pool.submit(int); pool.shutdown()\n"
        "ports = PortSet([Port('a', Run)]); ports.start(); ports.stop()"
    ),
    "messages to a port": (
        "ports = PortSet([Port('a', Run)]); ports.start()\n"
        "for _ in range(10000):\n    ports.send('a', lambda ctx: sum(range(100)))"
    ),
    "cycles of everything": (
        "class Node: pass\nnode = Node(); node.self = node\n"
        "node.loop = EventLoop(); node.pool = Pool(1); node.ports = PortSet([Port('a', Run)])\n"
        "node.loop.call_later(0, int, repeat=0.001); node.loop.start(); node.ports.start(); node.pool.submit(id, node)"
    ),
}


@pytest.mark.parametrize("name", EXITS)
@pytest.mark.parametrize("how", ["falls off the end", "sys.exit", "an exception"])
def test_exit_with_work_running_neither_hangs_nor_crashes(program: Any, name: str, how: str) -> None:
    end = {"falls off the end": "", "sys.exit": "sys.exit(7)", "an exception": "raise LookupError('mine')"}[how]
    status = {"falls off the end": 0, "sys.exit": 7, "an exception": 1}[how]
    ran = program(
        f"{PRELUDE}\n{EXITS[name]}\nprint('at the end', flush=True)\n{end}\n",
        status=status,
        stderr="" if how != "an exception" else None,
    )
    assert ran.stdout == "at the end\n"
    if how == "an exception":
        assert ran.stderr.endswith("LookupError: mine\n")


@pytest.mark.parametrize("kept", ["pool = ", ""], ids=["kept", "let go of"])
def test_a_pools_queued_calls_run_before_exit(program: Any, kept: str) -> None:
    ran = program(
        f"""{PRELUDE}
done = []
def call():
    sum(range(10000))
    done.append(1)
    if len(done) == 100:
        print("all", flush=True)
def submit(pool):
    for _ in range(100):
        pool.submit(call)
    return pool
{kept}submit(Pool(2))
"""
    )
    assert ran.stdout == "all\n"


def test_calls_submitted_at_exit_are_refused_and_those_of_atexit_too(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
import atexit
pool = Pool(1)
def late():
    try:
        pool.submit(int)
    except RuntimeError as error:
        print(type(error).__name__, error)
atexit.register(late)
"""
    )
    assert ran.stdout == "Closed cannot schedule new futures after interpreter shutdown\n"


STUCK = {
    "a loop's callback": "loop = EventLoop(); loop.post(stick); loop.start()",
    "a port's handler": "ports = PortSet([Port('port', Run)]); ports.start(); ports.send('port', lambda ctx: stick())",
    "a runtime's post": "runtime = Runtime(1); runtime.event_loop.post(stick); runtime.start()",
    "a loop that was let go of by its callback": (
        "def drop():\n    loops.clear()\n    stick()\nloops = [EventLoop()]; loops[0].post(drop); loops[0].start()"
    ),
}


@pytest.mark.parametrize("name", STUCK)
def test_a_stuck_callback_is_abandoned_with_a_message(program: Any, name: str) -> None:
    ran = program(
        f"""{PRELUDE}
import atexit
import libcoop._exit
libcoop._exit._PATIENCE = 0.3
began = threading.Event()
def stick():
    began.set()
    while True:
        time.sleep(0.01)
atexit.register(print, "the other exit handlers ran")
{STUCK[name]}
began.wait()
print("at the end")
""",
        status=1,
        stderr=None,
    )
    assert ran.stdout == "at the end\nthe other exit handlers ran\n"
    assert ran.stderr.startswith("at exit: ")
    assert ran.stderr.endswith(": it is abandoned\n")
    assert ran.stderr.count("\n") == 1


def test_a_pools_call_that_does_not_end_is_abandoned(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
import libcoop._exit
libcoop._exit.POOL_PATIENCE = 0.3
began = threading.Event()
pool = Pool(1)
pool.submit(lambda: (began.set(), threading.Event().wait()))
began.wait()
""",
        status=1,
        stderr=None,
    )
    assert "at exit: <libcoop.Pool of 1 workers, shut down> has a call that does not end: it is abandoned" in ran.stderr


def test_ctrl_c_at_exit_ends_the_wait(program: Any) -> None:
    program(
        f"""{PRELUDE}
began = threading.Event()
pool = Pool(1)
pool.submit(lambda: (began.set(), threading.Event().wait()))
began.wait()
interrupt_soon()
""",
        status=130,
        stderr=None,
    )
