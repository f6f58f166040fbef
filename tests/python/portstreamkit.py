"""Handlers of connections, in a module of their own: processes must find them."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Any

import libcoop
from libcoop import Handler, PortContext


class Stream(Handler):
    """Answers with what has come; some words are orders, when they come alone. Tells of the rest."""

    def __init__(self, told: Any = None) -> None:
        self.told = told

    def tell(self, *what: object) -> None:
        if self.told is not None:
            self.told.put(what)

    def on_connect(self, ctx: PortContext, connection: int) -> None:
        self.tell("connect", ctx.peer(connection), ctx.connections)

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        match data:
            case b"pid":
                ctx.write(connection, str(os.getpid()).encode())
            case b"raise":
                raise LookupError("as asked")
            case b"abort":
                ctx.abort(connection)
            case b"close":
                ctx.write(connection, bytearray(b"bye"))
                ctx.close(connection)
            case b"half":
                ctx.write(connection, memoryview(b"half"))
                ctx.shutdown_write(connection)
            case b"pause":
                ctx.pause(connection)
                ctx.save(connection)
                ctx.set_timer(0.01)
                ctx.write(connection, b"paused")
            case b"flood":
                try:
                    while True:
                        ctx.write(connection, b"x" * 4096)
                except libcoop.QueueFull:
                    self.tell("full", ctx.backlog_of(connection))
            case b"fill":
                with contextlib.suppress(libcoop.QueueFull):
                    while True:
                        ctx.write(connection, b"x" * 4096)
            case b"text":
                try:
                    ctx.write(connection, "text")  # type: ignore[arg-type]
                except TypeError as error:
                    self.tell("refused", str(error))
            case b"stop":
                ctx.stop()
            case _:
                ctx.write(connection, data)

    def on_drained(self, ctx: PortContext, connection: int) -> None:
        self.tell("drained", ctx.backlog_of(connection))
        ctx.write(connection, b"room")

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        ctx.write(ctx.saved, b" resumed ")
        ctx.resume(ctx.saved)

    def on_close(self, ctx: PortContext, connection: int, why: str) -> None:
        if why == "stopped":
            ctx.write(connection, b"stopped")
        self.tell("close", why)


class Late(Handler):
    """Says how much has come, when the peer has ended."""

    def __init__(self) -> None:
        self.count = 0

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        self.count += len(data)

    def on_end(self, ctx: PortContext, connection: int) -> None:
        ctx.write(connection, str(self.count).encode())
        ctx.close(connection)


class Bare:
    """Inherits from nothing."""

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        ctx.write(connection, data)


class Shy(Handler):
    def on_connect(self, ctx: PortContext, connection: int) -> None:
        raise LookupError("not you")


class Few(Handler):
    """Answers with what has come, in a process that may have so many descriptors more. Tells its number and limit."""

    def __init__(self, told: Any, more: int) -> None:
        self.told, self.more = told, more

    def on_start(self, ctx: PortContext) -> None:
        taken = {int(name) for name in os.listdir("/proc/self/fd")}
        limit = 0
        while self.more > 0 or not taken <= set(range(limit)):
            self.more -= limit not in taken
            limit += 1
        self.told.put((os.getpid(), limit))
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        ctx.write(connection, data)
