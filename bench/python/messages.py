"""Messages between two processes: `ctx.send` from port to port in PROCESS mode beside multiprocessing's Pipe and Queue.

A round sends so many bytes objects of one size, one by one, and ends when the receiver has had the last of them; every
message costs the receiver one call of Python, which counts it and its bytes. What a port cannot send, because the ring
(`message_bytes`, 4 MiB) is full, it sends from a timer; `send_bytes` and `put` wait. Two rows have two CPUs, two the
first of them alone: who is measured, and what it starts, may run there only. Every contestant is a program of its own,
and they take turns.

Printed: medians of messages per second, and of what one takes of a CPU in both processes, system calls included, which
other programs disturb least; and median, least and greatest of the rounds' ratios, above 1 the first is ahead.

    .ci/wheel && .venv/bin/python bench/python/messages.py [--rounds 15] [--seconds 0.5] [--rows "100 B, one CPU"]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import libcoop
from rounds import in_turns, ratios

DEADLINE = 120.0
RING = 4 << 20
FULL = 0.0002
"""Seconds until a port tries again to send."""
SMALL, LARGE = 100, 64 << 10
ROWS = {
    "100 B, two CPUs": (SMALL, 2),
    "64 KiB, two CPUs": (LARGE, 2),
    "100 B, one CPU": (SMALL, 1),
    "64 KiB, one CPU": (LARGE, 1),
}
FIRST = {SMALL: 20_000, LARGE: 1000}
"""Messages of the round that finds how many make one of the length that was asked for."""


class Took(NamedTuple):
    """Seconds: by the clock, and of CPU in both processes."""

    clock: float
    cpu: float


class Sends(libcoop.Handler):
    """Sends as many as it is asked for, and begins again where the ring was full; tells what it took."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def on_message(self, ctx: libcoop.PortContext, sender: str, obj: Any) -> None:
        self.left, size = obj
        self.data = bytes(size)
        self.began = time.process_time()
        self.on_timer(ctx, 0)

    def on_timer(self, ctx: libcoop.PortContext, timer: int) -> None:
        send, data, left = ctx.send, self.data, self.left
        try:
            while left:
                send("TO", data)
                left -= 1
        except libcoop.QueueFull:
            ctx.set_timer(FULL)
        else:
            ctx.sendto(b"%f" % (time.process_time() - self.began), self.address)
        self.left = left


class Counts(libcoop.Handler):
    """Tells what it took when the last has come."""

    def __init__(self, address: tuple[str, int], messages: int, size: int) -> None:
        self.address, self.left, self.bytes = address, messages, messages * size

    def on_start(self, ctx: libcoop.PortContext) -> None:
        self.began = time.process_time()

    def on_message(self, ctx: libcoop.PortContext, sender: str, obj: bytes) -> None:
        self.left -= 1
        self.bytes -= len(obj)
        if not self.left:
            assert not self.bytes
            ctx.sendto(b"%f" % (time.process_time() - self.began), self.address)


def ports(messages: int, size: int) -> Took:
    with socket.socket(type=socket.SOCK_DGRAM) as told:
        told.bind(("127.0.0.1", 0))
        told.settimeout(DEADLINE)
        address = told.getsockname()
        both = [libcoop.Port("FROM", Sends, (address,)), libcoop.Port("TO", Counts, (address, messages, size))]
        with libcoop.PortSet(both, mode=libcoop.Mode.PROCESS, message_bytes=RING) as served:
            began = time.perf_counter()
            served.send("FROM", (messages, size))
            cpu = sum(float(told.recv(100)) for _ in both)
            return Took(time.perf_counter() - began, cpu)


def receive(get: Callable[[], bytes], messages: int, size: int, here: Any) -> None:
    here.send(None)
    began, left = time.process_time(), messages * size
    for _ in range(messages):
        left -= len(get())
    assert not left
    here.send(time.process_time() - began)


def peer(get: Callable[[], bytes], put: Callable[[bytes], object], messages: int, size: int) -> Took:
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=receive, args=(get, messages, size, there), daemon=True)
    process.start()
    here.recv()
    data = bytes(size)
    began, ran = time.perf_counter(), time.process_time()
    for _ in range(messages):
        put(data)
    cpu = here.recv() + time.process_time() - ran
    return Took(time.perf_counter() - began, cpu)


def pipe(messages: int, size: int) -> Took:
    here, there = multiprocessing.Pipe(duplex=False)
    return peer(here.recv_bytes, there.send_bytes, messages, size)


def queue(messages: int, size: int) -> Took:
    between: multiprocessing.Queue[bytes] = multiprocessing.Queue()
    return peer(between.get, between.put, messages, size)


CONTESTANTS: dict[str, Callable[[int, int], Took]] = {"libcoop": ports, "Pipe": pipe, "Queue": queue}


def measure(name: str, messages: int, size: int, cpus: int) -> Took:
    """Of one message."""
    words = [sys.executable, __file__, "--serve", name, str(messages), str(size), str(cpus)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=2 * DEADLINE)
    return Took(*(float(took) / messages for took in done.stdout.split()))


def serve(name: str, messages: int, size: int, cpus: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    print(*CONTESTANTS[name](messages, size))


def table(row: str, results: dict[str, list[Took]]) -> str:
    peers = [name for name in results if name != "libcoop"]
    lines = [f"{row}:"]
    for what, form in (
        ("messages/s", lambda took: f"{1 / took:,.0f}"),
        ("us of CPU", lambda took: f"{took * 1e6:.2f}"),
    ):
        lines.append(f"  {'':10}{what:>12}" + "".join(f"  {'to ' + peer:22}" for peer in peers))
        each = {name: [took[what == "us of CPU"] for took in all_of_it] for name, all_of_it in results.items()}
        for name, figures in each.items():
            compared = "".join(f"  {ratios(each[peer], figures):22}" for peer in peers)
            lines.append(f"  {name:10}{form(statistics.median(figures)):>12}{compared}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--serve", nargs=4, metavar=("NAME", "MESSAGES", "SIZE", "CPUS"), help="be one contestant")
    given = parser.parse_args()
    if given.serve:
        name, *numbers = given.serve
        return serve(name, *map(int, numbers))
    print(f"{given.rounds} rounds of about {given.seconds:g} s; load {os.getloadavg()[0]:.1f}", flush=True)
    for row in given.rows:
        size, cpus = ROWS[row]
        contestants: dict[str, Callable[[], Took]] = {}
        for name in given.only:
            messages = round(given.seconds / measure(name, FIRST[size], size, cpus).clock)
            contestants[name] = partial(measure, name, max(1, messages), size, cpus)
        print(table(row, in_turns(contestants, given.rounds)), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")
    return None


if __name__ == "__main__":
    main()
