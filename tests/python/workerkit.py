"""Entries that say what they see, and ways for a worker to end: in a module that other processes can import."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

STARTED_BY = os.getpid()
"""Which process imported this."""


def tell(ctx: Any, **seen: Any) -> None:
    ctx.status(json.dumps(seen))


def look(ctx: Any) -> None:
    """What a worker is."""
    threads: list[int] = []
    thread = threading.Thread(target=lambda: threads.append(threading.get_native_id()))
    thread.start()
    thread.join()
    umask = os.umask(0)
    tell(
        ctx,
        pid=os.getpid(),
        parent=os.getppid(),
        thread=threading.get_native_id(),
        main=threading.current_thread() is threading.main_thread(),
        others=len(set(threads) - {os.getpid()}),
        group=os.getpgrp(),
        session=os.getsid(0),
        directory=os.getcwd(),
        umask=umask,
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        cpus=sorted(os.sched_getaffinity(0)),
        limit=resource.getrlimit(resource.RLIMIT_NOFILE),
        user=[os.getresuid(), os.getresgid(), os.getgroups()],
        blocked=sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        env=dict(os.environ),
        fds=sorted(int(name) for name in os.listdir("/proc/self/fd")),
        comm=Path("/proc/self/comm").read_text().strip(),
        modules=[name for name in ("multiprocessing", "cloudpickle") if name in sys.modules],
        flags=[sys.flags.optimize, sys.warnoptions, sys._xoptions],
        path=sys.path,
        imported_by=STARTED_BY,
        random=os.urandom(8).hex(),
    )


def echo(ctx: Any, number: int) -> None:
    """Tells what can be read from this descriptor."""
    tell(ctx, read=os.read(number, 100).decode(), inheritable=os.get_inheritable(number))


def wait(ctx: Any) -> None:
    ctx.status("waits")
    ctx.stopping.wait()
    ctx.status("was asked")


class Waits:
    """Asynchronous, and ends by itself."""

    async def run(self, ctx: Any) -> None:
        ctx.status("waits")
        await ctx.stopping
        ctx.status("was asked")


async def is_cancelled(ctx: Any) -> None:
    """Asynchronous, and does not look out for being asked."""
    import asyncio

    ctx.status("waits")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ctx.status("was cancelled")
        raise


async def never_yields(ctx: Any) -> None:
    ctx.status("busy")
    while True:
        pass


class Broken:
    """Cannot be made."""

    def __init__(self) -> None:
        raise LookupError("not here")

    def run(self, ctx: Any) -> None: ...


class Unspeakable(Exception):
    """Has no words, and cannot be pickled."""

    def __str__(self) -> str:
        raise ValueError("no words")

    def __reduce__(self) -> str:
        raise TypeError("not to be had elsewhere")


class Interrupts(Exception):
    """Its text cannot be made either, and for no common reason."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def fail(ctx: Any, how: str) -> None:
    if how == "unspeakable":
        raise Unspeakable
    if how == "interrupts":
        raise Interrupts
    if how == "bytes":
        raise ValueError(os.fsdecode(b"file \xff"))
    if how == "lines":
        raise ValueError("first\nREADY=1\nthird")
    if how == "deep":
        deep(1)
    if how == "long":
        raise ValueError("x" * 1_000_000)
    raise KeyError(how)


def deep(depth: int) -> int:
    return deep(depth + 1) + 1


def fail_and_leave_a_thread(ctx: Any, code: int | None) -> None:
    """Nothing waits for what the thread does but the interpreter's exit."""
    atexit.register(print, "exit handler", flush=True)
    threading.Thread(target=threading.Event().wait, name="goes on").start()
    if code is not None:
        sys.exit(code)
    raise ValueError("has failed")


def leave(ctx: Any, code: Any) -> None:
    sys.exit(code)


def leave_in_a_thread(ctx: Any) -> None:
    thread = threading.Thread(target=sys.exit, args=[3])
    thread.start()
    thread.join()
    ctx.status("goes on")


def end_in_a_thread(ctx: Any) -> None:
    threading.Thread(target=os._exit, args=[7]).start()
    time.sleep(3600)


def segfault(ctx: Any) -> None:
    ctypes.string_at(1)


def hang(ctx: Any) -> None:
    """Is at a place that its dump shows."""
    ctx.status("hangs")
    while True:
        time.sleep(3600)


def use_up_memory(ctx: Any) -> None:
    held = []
    while True:
        held.append(bytearray(1 << 20))


def at_exit(ctx: Any, path: str) -> None:
    atexit.register(Path(path).write_text, "ran")
    print("printed")


def fork(ctx: Any, path: str) -> None:
    """The child does all that it can to be mistaken for the worker."""
    pid = os.fork()
    if pid == 0:
        ctx.ready()
        ctx.status("from the child")
        Path(path).write_text(str(os.getpid()))
        raise KeyError("of the child")
    _, status = os.waitpid(pid, 0)
    ctx.status(f"child {os.waitstatus_to_exitcode(status)}")


def interrupt(ctx: Any) -> None:
    """Ctrl-C for this process."""
    os.kill(os.getpid(), signal.SIGINT)
    ctx.stopping.wait()
    ctx.status("was asked")


def spawn_daemon(ctx: Any) -> None:
    """Ends with a thread that goes on."""
    threading.Thread(target=time.sleep, args=[3600], daemon=True).start()


def initialise() -> None:
    os.environ["INITIALISED"] = "yes"


def is_initialised(ctx: Any) -> None:
    tell(ctx, initialised=os.environ.get("INITIALISED"))


def beats(ctx: Any) -> None:
    ctx.beat()
    ctx.extend(2.5)
    ctx.stopping.wait()


def covered(ctx: Any, number: int) -> None:
    if number > 1:
        ctx.status("more than one")
    else:
        ctx.status("one at most")


def is_threaded(ctx: Any, name: str) -> None:
    tell(ctx, zygote=STARTED_BY, imported_by=sys.modules[name].imported_by)


def speak(ctx: Any) -> None:
    print("a line")
    wait(ctx)


def hangs_once_ready(ctx: Any) -> None:
    ctx.ready()
    hang(ctx)


async def never_yields_once_ready(ctx: Any) -> None:
    ctx.ready()
    await never_yields(ctx)
