"""Ctrl-C in every wait, and other signals that have handlers of Python."""

from __future__ import annotations

from typing import Any

import pytest
from processkit import PRELUDE

WAITS = {
    "EventLoop.run": ("loop = EventLoop()", "loop.run()"),
    "EventLoop.run of a busy loop": ("loop = EventLoop(); loop.call_later(0, int, repeat=0.001)", "loop.run()"),
    "EventLoop.join": ("loop = EventLoop(); loop.start()", "loop.join()"),
    "PortSet.start": (
        "go = threading.Event()\nclass Slow:\n    def on_start(self, ctx):\n        go.wait(30)\n"
        "ports = PortSet([Port('port', Slow)])\n"
        "threading.Thread(target=lambda: (time.sleep(5), go.set()), daemon=True).start()",
        "ports.start()",
    ),
    "PortSet.join": ("ports = PortSet([Port('port', Run)]); ports.start()", "ports.join()"),
    "PortSet.stop": (
        "go = threading.Event(); began = threading.Event()\n"
        "ports = PortSet([Port('port', Run)]); ports.start()\n"
        "ports.send('port', lambda ctx: (began.set(), go.wait(30))); began.wait()",
        "ports.stop(None)",
    ),
    "Pool.shutdown": (
        "go = threading.Event(); began = threading.Event()\n"
        "pool = Pool(1); pool.submit(lambda: (began.set(), go.wait(30))); began.wait()",
        "pool.shutdown()",
    ),
    "Future.result": (
        "go = threading.Event(); began = threading.Event()\n"
        "pool = Pool(1); future = pool.submit(lambda: (began.set(), go.wait(30))); began.wait()",
        "future.result()",
    ),
    "Runtime.start": ("runtime = Runtime(1)", "runtime.start(wait=True)"),
    "Runtime.stop": (
        "go = threading.Event(); began = threading.Event(); runtime = Runtime(1); runtime.start()\n"
        "runtime.pool.submit(lambda: (began.set(), go.wait(30))); began.wait()",
        "runtime.stop()",
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_ends_every_wait(program: Any, name: str) -> None:
    setup, wait = WAITS[name]
    ran = program(
        f"{PRELUDE}\n{setup}\n"
        f"interrupt_soon()\n"
        f"try:\n    {wait}\n    print('ended')\n"
        f"except KeyboardInterrupt:\n    print('interrupted')\n"
        f"globals().get('go', threading.Event()).set()\n",
    )
    assert ran.stdout == "interrupted\n"


@pytest.mark.parametrize("wait", ["loop.run()", "loop.join(30)"])
def test_a_handler_of_another_signal_runs_and_the_wait_goes_on(program: Any, wait: str) -> None:
    ran = program(
        f"""{PRELUDE}
loop = EventLoop()
handled = []
def handle(*_):
    handled.append(1)
    loop.stop()
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGUSR1))
if "join" in {wait!r}:
    loop.start()
interrupt_soon()
{wait}
print(handled)
"""
    )
    assert ran.stdout == "[1]\n"


def test_an_interrupted_loop_may_run_again(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
loop = EventLoop()
for _ in range(3):
    interrupt_soon()
    try:
        loop.run()
    except KeyboardInterrupt:
        print("interrupted")
loop.post(print, "ran")
loop.run(RunMode.ONCE)
assert signal.set_wakeup_fd(-1) == -1, "what was set is put back"
"""
    )
    assert ran.stdout == "interrupted\n" * 3 + "ran\n"
