"""Handlers for the processes of ports, which must find them in a module of their own."""

from __future__ import annotations

import os
import time
from typing import Any

from libcoop import Batch, Handler, PortContext, Redis


class Counts(Handler):
    """Answers `pid, run, count`, and goes on counting where the one before it was."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, ctx: PortContext) -> None:
        self.count = ctx.saved or 0

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            what = bytes(data)
            if what == b"raise":
                raise LookupError("as asked")
            if what == b"exit":
                os._exit(3)
            self.count += 1
            ctx.save(self.count)
            ctx.sendto(f"{os.getpid()} {ctx.run} {self.count}".encode(), address)


class Blocks(Handler):
    """Says so before it does."""

    def __init__(self, told: Any = None) -> None:
        self.told = told

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        if self.told is not None:
            self.told.put("blocks")
        time.sleep(obj)

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            ctx.sendto(data, address)


class Forward(Handler):
    """Sends on to `to` what it is sent."""

    def __init__(self, to: str) -> None:
        self.to = to

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        ctx.send(self.to, obj)


class Refuses(Handler):
    def __init__(self, where: str) -> None:
        self.where = where
        if where == "__init__":
            raise LookupError("not today")

    def on_start(self, ctx: PortContext) -> None:
        raise LookupError("not today")


class Visits(Handler):
    """Answers `pid, visits`, which it counts in redis."""

    def __init__(self, url: str) -> None:
        self.url = url

    def on_start(self, ctx: PortContext) -> None:
        self.redis = Redis(self.url)

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for _, address in batch:
            ctx.sendto(f"{os.getpid()} {self.redis.incr('visits')}".encode(), address)

    def on_stop(self, ctx: PortContext) -> None:
        self.redis.close()
