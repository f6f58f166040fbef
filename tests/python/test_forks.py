"""What a forked child may do with what its parent had made, and the parent afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from processkit import PRELUDE

FORK = f"""{PRELUDE}
def everything():
    loop = EventLoop(); ticks = []
    loop.call_later(0, ticks.append, 1, repeat=0.0005)
    left, right = socket.socketpair()
    watch = loop.watch(left, libcoop.READ, lambda events: None)
    timer = loop.call_later(60, int)
    loop.start()
    pool = Pool(2); runtime = Runtime(1); runtime.start()
    ports = PortSet([Port("port", Run)]); ports.start()
    ctxs = []; ready = threading.Event()
    ports.send("port", lambda ctx: (ctxs.append(ctx), ready.set())); ready.wait()
    return dict(loop=loop, ticks=ticks, left=left, right=right, watch=watch, timer=timer, pool=pool, runtime=runtime,
                ports=ports, ctx=ctxs[0])

def check_child(loop, left, watch, timer, pool, runtime, ports, **_):
    calls = [
        lambda: loop.post(int), lambda: loop.call_later(0, int), lambda: loop.watch(left, libcoop.READ, int), loop.run,
        loop.start, loop.stop, loop.join, timer.cancel, watch.cancel, lambda: pool.submit(int), pool.shutdown,
        runtime.start, runtime.stop, lambda: runtime.event_loop.post(int), lambda: runtime.pool.submit(int),
        ports.start, ports.stop, ports.join, ports.stats, lambda: ports.addresses, lambda: ports.send("port", 1),
    ]
    for number, call in enumerate(calls):
        try:
            call()
        except libcoop.Forked as error:
            assert "was made before fork()" in str(error), error
        else:
            raise AssertionError(f"call {{number}} was not refused")

def check_new():
    with EventLoop() as loop:
        loop.start()
        ran = threading.Event()
        loop.post(ran.set)
        assert ran.wait(30)
    with Pool(2) as pool:
        assert pool.submit(abs, -1).result(30) == 1
    with PortSet([Port("port", Run)]) as ports:
        ran = threading.Event()
        ports.send("port", lambda ctx: ran.set())
        assert ran.wait(30)
    with Runtime(1) as runtime:
        runtime.start()
        assert runtime.pool.submit(abs, -1).result(30) == 1

def check_parent(loop, ticks, pool, runtime, ports, **_):
    count = len(ticks)
    while len(ticks) < count + 3:
        time.sleep(0.001)
    assert pool.submit(abs, -1).result(30) == 1
    assert runtime.pool.submit(abs, -1).result(30) == 1
    ran = threading.Event()
    ports.send("port", lambda ctx: ran.set())
    assert ran.wait(30)

def child_main(things):
    signal.alarm(30)
    check_child(**things)
    check_new()
    print("child is fine", flush=True)
"""


@pytest.mark.parametrize("end", ["falls off the end", "keeps its own objects", "lets go of the parent's"])
def test_a_fork_in_mid_run(program: Any, end: str) -> None:
    ran = program(
        FORK
        + f"""
import warnings; warnings.simplefilter("ignore")
things = everything()
for _ in range(3):
    if os.fork() == 0:
        child_main(things)
        if {end!r} == "keeps its own objects":
            mine = everything()
        if {end!r} == "lets go of the parent's":
            things.clear()
        sys.exit(0)
    _, status = os.wait()
    assert status == 0, status
check_parent(**things)
print("parent is fine")
"""
    )
    assert ran.stdout == "child is fine\n" * 3 + "parent is fine\n"


def test_multiprocessing_with_fork(program: Any) -> None:
    ran = program(
        FORK
        + """
import multiprocessing, warnings; warnings.simplefilter("ignore")
things = everything()
fork = multiprocessing.get_context("fork")
for target in (child_main, check_new_only := (lambda things: (check_new(), print("child is fine", flush=True)))):
    process = fork.Process(target=target, args=(things,))
    process.start(); process.join(30)
    assert process.exitcode == 0, process.exitcode
# Also out of a worker, and out of a callback.
def spawn():
    process = fork.Process(target=child_main, args=(things,))
    process.start(); process.join(30)
    return process.exitcode
assert things["pool"].submit(spawn).result(30) == 0
done = []
with EventLoop() as loop:
    loop.post(lambda: done.append(spawn()))
    loop.run(RunMode.ONCE)
assert done == [0]
check_parent(**things)
print("parent is fine")
"""
    )
    assert ran.stdout == "child is fine\n" * 4 + "parent is fine\n"


def test_a_callback_that_forks_ends_the_childs_run(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
import warnings; warnings.simplefilter("ignore")
loop = EventLoop()
pids = []
loop.post(lambda: pids.append(os.fork()))
loop.post(lambda: print("only in the parent", flush=True))
try:
    loop.run(RunMode.UNTIL_IDLE)
except libcoop.Forked:
    assert pids == [0]
    sys.exit(0)
_, status = os.wait()
assert (pids[0] > 0, status) == (True, 0)
"""
    )
    assert ran.stdout == "only in the parent\n"
