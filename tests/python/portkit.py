"""Handlers and helpers of the tests of port sets."""

from __future__ import annotations

import pickle
import queue
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from libcoop import Batch, Handler, Mode, PortContext, PortSet, _ports

DEADLINE = 60.0
ROOT = Path(__file__).parents[2]
Address: TypeAlias = tuple[str, int]
Make: TypeAlias = Callable[..., PortSet]

HERE = pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.THREAD], ids=lambda mode: mode.name)
"""For what a handler in another process cannot have: objects of this one."""


class Told:
    """A queue that also those can put things into who are in another process: there it is an `Outlet`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._inlet: socket.socket | None = None

    def put(self, obj: object) -> None:
        self._queue.put(obj)

    def get(self, timeout: float | None = None) -> Any:
        return self._queue.get(timeout=timeout)

    def empty(self) -> bool:
        return self._queue.empty()

    def __reduce__(self) -> Any:
        if self._inlet is None:
            # A name of the system's choice, which is gone with the socket.
            self._inlet = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._inlet.bind("")
            threading.Thread(target=_listen, args=(self._inlet, self._queue), daemon=True).start()
        return (Outlet, (self._inlet.getsockname(),))

    def __del__(self) -> None:
        if self._inlet is not None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self._inlet.getsockname())


def _listen(inlet: socket.socket, told: queue.SimpleQueue[Any]) -> None:
    with inlet:
        while data := inlet.recv(1 << 18):
            told.put(pickle.loads(data))


class Outlet:
    """What a `Told` is in another process."""

    def __init__(self, inlet: str | bytes) -> None:
        self._inlet = inlet

    def put(self, obj: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as socket_:
            socket_.sendto(_ports.pickled(obj), self._inlet)


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


def compiled(source: Path) -> str:
    """A library of native handlers."""
    library, include = source.with_suffix(".so"), ROOT / "include"
    command = ["cc", "-shared", "-fPIC", "-Wall", "-Werror", f"-I{include}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return str(library)


def get(told: Told) -> Any:
    return told.get(timeout=DEADLINE)


def run_in(ports: PortSet, name: str, call: Callable[[PortContext], Any]) -> Any:
    """Has a `Run` handler call a function with its context; answers what that did."""
    answers = Told()

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
