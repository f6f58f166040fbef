"""One contestant of ports.py: serves three ports until its input ends, each datagram by the same fixed loop.

    ports_served.py NAME COUNTS LOOPS BUSY

COUNTS is a file of one 64-bit count for each port, written after each datagram that was handled. It prints the ports as
JSON, and for each line that it reads how many datagrams were taken from the sockets. With BUSY of 1 a thread of Python
computes beside, in the process that this is.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import libcoop

PORTS = 3
KERNEL_BUFFER = 4 << 20
"""What libcoop asks the system for, and here everyone does."""
LONGEST = 2048

Served = tuple[list[int], Callable[[], int]]
"""The ports, and how many datagrams were taken."""


def work(loops: int) -> int:
    total = 0
    for number in range(loops):
        total += number
    return total


def counts_of(path: str) -> memoryview:
    """The counts, shared by all processes that map the file."""
    with Path(path).open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8 * PORTS)).cast("Q")


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
    sock.bind(("127.0.0.1", 0))
    return sock


class Count(libcoop.Handler):
    def __init__(self, path: str, port: int, loops: int) -> None:
        self.counts, self.port, self.loops = counts_of(path), port, loops

    def on_batch(self, ctx: libcoop.PortContext, batch: libcoop.Batch) -> None:
        counts, port, loops = self.counts, self.port, self.loops
        for _data, _address in batch:
            work(loops)
            counts[port] += 1


@contextmanager
def coop(mode: libcoop.Mode, path: str, loops: int) -> Iterator[Served]:
    with ExitStack() as stack:
        loop = None
        if mode is libcoop.Mode.SINGLE:
            loop = stack.enter_context(libcoop.EventLoop())
            loop.start()
        ports = [libcoop.Port(f"PORT{port}", Count, (path, port, loops)) for port in range(PORTS)]
        served = libcoop.PortSet(ports, mode=mode, loop=loop)
        served.start()
        stack.callback(served.stop, None)
        numbers = [port for _, port in served.addresses.values()]
        yield numbers, lambda: sum(stats.received for stats in served.stats().values())


def blocking(sock: socket.socket, path: str, port: int, loops: int, ready: Any) -> None:
    counts = counts_of(path)
    ready.release()
    while True:
        sock.recvfrom(LONGEST)
        work(loops)
        counts[port] += 1


@contextmanager
def threads(path: str, loops: int) -> Iterator[Served]:
    counts, socks = counts_of(path), [bound() for _ in range(PORTS)]
    ready = threading.Semaphore(0)
    for port, sock in enumerate(socks):
        threading.Thread(target=blocking, args=(sock, path, port, loops, ready), daemon=True).start()
    for _ in socks:
        ready.acquire()
    yield [sock.getsockname()[1] for sock in socks], lambda: sum(counts)


@contextmanager
def processes(path: str, loops: int) -> Iterator[Served]:
    counts, socks = counts_of(path), [bound() for _ in range(PORTS)]
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    running = [
        context.Process(target=blocking, args=(sock, path, port, loops, ready), daemon=True)
        for port, sock in enumerate(socks)
    ]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    try:
        yield [sock.getsockname()[1] for sock in socks], lambda: sum(counts)
    finally:
        for process in running:
            process.kill()
            process.join()


class Protocol(asyncio.DatagramProtocol):
    def __init__(self, counts: memoryview, port: int, loops: int) -> None:
        self.counts, self.port, self.loops = counts, port, loops

    def datagram_received(self, data: bytes, addr: Any) -> None:
        work(self.loops)
        self.counts[self.port] += 1


@contextmanager
def uvloop(path: str, loops: int) -> Iterator[Served]:
    import uvloop

    counts, socks, loop = counts_of(path), [bound() for _ in range(PORTS)], uvloop.new_event_loop()
    numbers = [sock.getsockname()[1] for sock in socks]
    for port, sock in enumerate(socks):
        sock.setblocking(False)
        made = loop.create_datagram_endpoint(partial(Protocol, counts, port, loops), sock=sock)
        loop.run_until_complete(made)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield numbers, lambda: sum(counts)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def busy() -> None:
    number = 0
    while True:
        number += 1


def bare(seconds: float, path: str, loops: int) -> float:
    """How many times a second the loop runs, with nothing to receive."""
    counts = counts_of(path)
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for _ in range(100):
            work(loops)
            counts[0] += 1
    return counts[0] / took


SERVE: dict[str, Callable[[str, int], Any]] = {
    "SINGLE": lambda path, loops: coop(libcoop.Mode.SINGLE, path, loops),
    "THREAD": lambda path, loops: coop(libcoop.Mode.THREAD, path, loops),
    "PROCESS": lambda path, loops: coop(libcoop.Mode.PROCESS, path, loops),
    "threads": threads,
    "multiprocessing": processes,
    "uvloop": uvloop,
}


def main() -> None:
    name, path, loops, beside = sys.argv[1:]
    if name == "bare loop":
        print(bare(float(beside), path, int(loops)))
        return
    with SERVE[name](path, int(loops)) as (ports, received):
        if int(beside):
            threading.Thread(target=busy, daemon=True).start()
        print(json.dumps(ports), flush=True)
        for _ in sys.stdin:
            print(received(), flush=True)


if __name__ == "__main__":
    main()
