"""What has a pool of processes in tests: services and a handler, which processes find in a module of their own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import libcoop
from libcoop import Batch, Context, Handler, PortContext, ProcessPool
from processpoolkit import DEADLINE, pid


class Computes(libcoop.Service):
    """Has a pool for each of its runs, and writes down what that answers."""

    def __init__(self, told: Path) -> None:
        self.told = told

    def run(self, ctx: Context) -> None:
        with ProcessPool(1) as pool:
            worker = pool.submit(pid).result(DEADLINE)
            self.told.write_text(f"{os.getpid()} {worker} {pool.submit(pow, 2, 10).result(DEADLINE)}\n")
            ctx.ready()
            ctx.stopping.wait()


class Awaits(libcoop.Service):
    """The same as a coroutine."""

    def __init__(self, told: Path) -> None:
        self.told = told

    async def run(self, ctx: Context) -> None:
        pool = ProcessPool(1)
        try:
            worker = await pool.run(pid)
            self.told.write_text(f"{os.getpid()} {worker} {await pool.run(pow, 2, 10)}\n")
            ctx.ready()
            await ctx.stopping
        finally:
            await asyncio.to_thread(pool.shutdown)


class Asks(Handler):
    """Answers what a worker of a pool of its own makes of a datagram."""

    def on_start(self, ctx: PortContext) -> None:
        self.pool = ProcessPool(1)

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, sender in batch:
            number, worker = self.pool.submit(pow, int(data), 2), self.pool.submit(pid)
            ctx.sendto(f"{number.result(DEADLINE)} {worker.result(DEADLINE)} {os.getpid()}".encode(), sender)

    def on_stop(self, ctx: PortContext) -> None:
        self.pool.shutdown()
