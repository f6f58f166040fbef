"""What concerns a whole process: Ctrl-C, exit with work still running, fork, no descriptor left, idleness, imports."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 60.0
PRELUDE = """
import os, signal, socket, sys, threading, time
import libcoop
from libcoop import EventLoop, Handler, Mode, Pool, Port, PortSet, Runtime, RunMode

def interrupt_soon():
    "Sends Ctrl-C once the main thread is in its wait: it is seen to sleep outside the interpreter."
    main = f"/proc/self/task/{os.getpid()}/"
    def interrupt():
        while open(main + "stat").read().rpartition(")")[2].split()[0] != "S":
            pass
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()

class Run(Handler):
    def on_message(self, ctx, sender, obj):
        obj(ctx)
"""


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

WAITS = {
    "EventLoop.run": ("loop = EventLoop()", "loop.run()"),
    "EventLoop.run of a busy loop": ("loop = EventLoop(); loop.call_later(0, int, repeat=0.001)", "loop.run()"),
    "EventLoop.join": ("loop = EventLoop(); loop.start()", "loop.join()"),
    "PortSet.start": (
        "go = threading.Event()\nclass Slow:\n    def on_start(self, ctx):\n        go.wait(30)\n"
        "ports = PortSet([Port('port', Slow)])\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), go.set()), daemon=True).start()",
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


# --- exit -------------------------------------------------------------------------------------------------------------

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


# --- fork -------------------------------------------------------------------------------------------------------------

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


# --- descriptors ------------------------------------------------------------------------------------------------------


def test_no_descriptor_left_is_a_clear_error_and_it_recovers(program: Any) -> None:
    program(
        f"""{PRELUDE}
import errno, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
def use_up():
    files = []
    while True:
        try:
            files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return files
def count():
    return len(os.listdir("/proc/self/fd"))
def ports():
    made = PortSet([Port(name, Run) for name in "abcd"]); made.start(); made.stop()
def loop():
    with EventLoop() as loop:
        loop.run(RunMode.NOWAIT)
def runtime():
    with Runtime(1) as runtime:
        runtime.start()
for make in (loop, ports, runtime):
    before = count()
    files = use_up()
    # With none left, then one more each time, until it works.
    for left in range(40):
        try:
            make()
        except libcoop.Os as error:
            assert error.errno == errno.EMFILE, error
            assert "Too many open files" in str(error), error
            if make is ports and left == 0:
                assert "port a:" in str(error), error
        else:
            break
        os.close(files.pop())
    assert left > 0 and files, (make, left)
    for file in files:
        os.close(file)
    make()
    # The last descriptors of a port go with its thread, a moment after the set has ended.
    while count() != before:
        time.sleep(0.001)
"""
    )


def test_nothing_leaves_a_descriptor_behind(program: Any) -> None:
    program(
        f"""{PRELUDE}
def use():
    with EventLoop() as loop:
        loop.start()
        PortSet([Port("a", Run)], mode=Mode.SINGLE, loop=loop).start()
    with PortSet([Port("a", Run)]):
        pass
    with Runtime(1) as runtime:
        runtime.start()
    Pool(1).submit(int).result()
    try:
        PortSet([Port("a", Run), Port("b", int, (1, 2, 3, 4))]).start()
    except TypeError:
        pass
use()
before = len(os.listdir("/proc/self/fd"))
for _ in range(20):
    use()
# Those of the first round may have been closed only after the count.
while len(os.listdir("/proc/self/fd")) > before:
    time.sleep(0.001)
"""
    )


# --- idle, imports ----------------------------------------------------------------------------------------------------


def switches(pid: int) -> dict[str, int]:
    """How often each thread of a process was switched to or from, by its choice or not."""
    counts = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        counts[f"{task.name} {lines['Name'].strip()}"] = int(lines["voluntary_ctxt_switches"]) + int(
            lines["nonvoluntary_ctxt_switches"]
        )
    return counts


def test_an_idle_process_sleeps(tmp_path: Path) -> None:
    source = f"""{PRELUDE}
loop = EventLoop(); loop.start(); loop.call_later(3600, int, repeat=3600)
pool = Pool(4); pool.submit(int).result()
runtime = Runtime(2); runtime.start(); runtime.pool.submit(int).result()
ports = PortSet([Port(name, Run) for name in "abc"]); ports.start()
single = PortSet([Port(name, Run) for name in "abc"], mode=Mode.SINGLE, loop=loop); single.start()
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def settle() -> dict[str, int]:
            # All threads have gone to sleep when a while passes without a switch.
            before: dict[str, int] = {}
            while before != (now := switches(process.pid)):
                before = now
                signal.sigtimedwait([], 0.2)
            return now

        before = settle()
        assert len(before) >= 1 + 1 + 4 + 3 + 6
        # A second in which nothing happens is what is tested.
        signal.sigtimedwait([], 1.0)
        after = switches(process.pid)
        process.stdin.close()
        assert process.wait(DEADLINE) == 0
    assert after == before


def test_import_is_light() -> None:
    source = "import sys, libcoop; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=DEADLINE, check=True)
    loaded = set(ran.stdout.split())
    assert "libcoop._libcoop" in loaded
    assert not loaded & {"asyncio", "rich", "libcoop.wynd", "multiprocessing", "socket", "ssl"}


def test_import_starts_no_thread_and_takes_no_signal() -> None:
    source = textwrap.dedent(
        """
        import os, signal, libcoop
        assert len(os.listdir("/proc/self/task")) == 1
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        """
    )
    subprocess.run([sys.executable, "-c", source], timeout=DEADLINE, check=True)
