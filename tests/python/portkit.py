"""Handlers and helpers of the tests of port sets."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from libcoop import Batch, Handler, Mode, PortContext, PortSet

DEADLINE = 30.0
Address: TypeAlias = tuple[str, int]
Told: TypeAlias = "queue.SimpleQueue[Any]"
Make: TypeAlias = Callable[..., PortSet]


class Echo(Handler):
    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            assert ctx.sendto(data, address) == 1


class Tell(Handler):
    """Tells a queue what it is called with."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def on_start(self, ctx: PortContext) -> None:
        self.told.put(("start", ctx.name))

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            self.told.put(("datagram", bytes(data), address))

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        self.told.put(("message", sender, obj))

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        self.told.put(("timer", timer))

    def on_stop(self, ctx: PortContext) -> None:
        self.told.put(("stop", ctx.name))


class Run(Handler):
    """Calls the functions that it is sent."""

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        obj(ctx)


class OnBatch(Handler):
    """Calls a function with each batch."""

    def __init__(self, call: Callable[[PortContext, Batch], None]) -> None:
        self.call = call

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        self.call(ctx, batch)


def get(told: Told) -> Any:
    return told.get(timeout=DEADLINE)


def run_in(ports: PortSet, name: str, call: Callable[[PortContext], Any]) -> Any:
    """Has a `Run` handler call a function with its context; answers what that did."""
    answers: Told = queue.SimpleQueue()

    def answer(ctx: PortContext) -> None:
        try:
            answers.put((call(ctx), None))
        except BaseException as error:
            answers.put((None, error))

    ports.send(name, answer)
    result, error = get(answers)
    if error is not None:
        raise error
    return result


def sendto(*args: Any, **options: Any) -> Callable[[PortContext], int]:
    """For `run_in`."""
    return lambda ctx: ctx.sendto(*args, **options)


def bound_again(address: Address) -> None:
    """Proves that nobody has the address any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)


class Gate:
    """Keeps a `Run` port's handler busy, so that what comes meanwhile is one batch."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.mode: Mode | None = None

    def __call__(self, ctx: PortContext) -> None:
        self.mode = ctx.mode
        self.began.set()
        assert self.go.wait(DEADLINE)


class Batches(Run):
    """Tells its batches, and can be kept busy."""

    def __init__(self, call: Callable[[PortContext, Batch], None]) -> None:
        self.call = call

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        self.call(ctx, batch)
