"""Entries that watch, log and fail: in a module that processes can import."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any

from libcoop import Context, EventKind, ServiceEvent


def ready_and_wait(ctx: Context) -> None:
    ctx.stopping.wait()


def watch(ctx: Context, path: str) -> None:
    """Tells, as its status, which runs of another service have ended."""
    with ctx.events(path, kinds=EventKind.ENDED) as observer:
        ctx.ready()
        for event in observer:
            if isinstance(event, ServiceEvent):
                ctx.status(f"{ctx.name} saw {event.name} run {event.run} of {event.how}")


async def watch_async(ctx: Context, path: str) -> None:
    async with contextlib.aclosing(_seen(ctx, path)) as seen:
        ctx.ready()
        async for text in seen:
            ctx.status(text)


async def _seen(ctx: Context, path: str) -> Any:
    with ctx.events(path, kinds=[EventKind.ENDED]) as observer:
        async for event in observer:
            if isinstance(event, ServiceEvent):
                yield f"{ctx.name} saw {event.name} run {event.run} of {event.how}"


def crash(ctx: Context, how: str) -> None:
    """Ends in one of many ways in its first run, and waits in the next."""
    if ctx.run > 1:
        ctx.stopping.wait()
        return
    print("its last words", file=sys.stderr, flush=True)
    if how == "exception":
        raise LookupError("no such thing\nat all")
    if how == "exit":
        sys.exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "fault":
        ctypes.string_at(0)
    if how == "hang":
        # Only now is it to beat.
        ctx.ready()
        threading.Event().wait()


def log_ways(ctx: Context) -> None:
    """Logs in all ways that there are, then says that it has."""
    log = logging.getLogger("kit.ways")
    log.info("plain %s", "text")
    log.debug("too low")
    log.warning("with %s", "extra", extra={"number": 7, "things": [1, 2], "odd": {1}, "socket": threading.Lock()})
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("it failed")
    log.error("stack", stack_info=True)
    log.info("args %r", threading.Lock())
    log.info("long %s", "x" * 1_000_000)
    log.info("odd \udcff \x00 100%% %s", "ä")
    circle: list[Any] = []
    circle.append(circle)
    log.info("circle", extra={"circle": circle, "keys": {(1, 2): 3}, "big": 10**5000, "broken": _Broken()})
    logging.captureWarnings(True)
    warnings.warn("beware", stacklevel=1)
    ctx.log.info("its own")
    logging.getLogger("kit.low").debug("allowed by its level")
    ctx.status("logged")
    ctx.stopping.wait()


class _Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def flood(ctx: Context, count: int) -> None:
    """Many records, in order, from several threads."""
    ctx.status("begins")

    def run(thread: int) -> None:
        log = logging.getLogger(f"kit.flood.{thread}")
        for number in range(count):
            log.info("%d", number)

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ctx.status("done")
    ctx.stopping.wait()


def flood_for_ever(ctx: Context) -> None:
    log = logging.getLogger("kit.ever")
    number = 0
    while True:
        log.info("%d %s", number, "x" * (number % 3 * 30_000))
        number += 1


def log_and_fork(ctx: Context) -> None:
    log = logging.getLogger("kit.fork")
    log.info("before")
    pid = os.fork()
    if pid == 0:
        log.info("in the child")
        os._exit(0)
    os.waitpid(pid, 0)
    log.info("after")
    ctx.status("logged")
    ctx.stopping.wait()


def log_at_end(ctx: Context) -> None:
    ctx.stopping.wait()
    for number in range(200):
        logging.getLogger("kit.end").info("%d", number)


def own_log(ctx: Context) -> None:
    ctx.log.info("from %d", ctx.run)
    ctx.log.debug("too low")
    ctx.stopping.wait()
