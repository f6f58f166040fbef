"""The server's main thread: gives each client three ports of its own and takes them back.

Guarantees: no more than max_clients sets exist, and what is remembered of past ones is bounded; a client's ports are
freed after its silence limit, and soon after it has acknowledged its result; whatever ends the server, every set is
stopped and the summary is printed once; without clients nothing wakes it.
"""

from __future__ import annotations

import errno
import random
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import libcoop
from libcoop import EventLoop, Mode, Port, PortSet, Timer

from .config import Config, Parallel
from .events import Address, Event, Mailbox, What
from .packet import MAX_HEARTBEAT_KEY, encode_answer
from .ports import BUFFER_BYTES, CONTROL, DOWNLOAD, PORTS, UPLOAD, Terms
from .report import Figures, write_report
from .server_ports import MAIN, MainPort, ServerControl, ServerPort, ServerUpload

_AFTER_RESULT = 2.0  # seconds of silence after which a client that has its result is freed
_STOPPED = 1.0  # seconds by which a timer is late only if the process did not run
_TESTS_KEPT = 1000  # the newest, for the report
_BIND_TRIES = 16  # a port that was free may be taken before the set has it


@dataclass
class _Client:
    number: int
    address: Address
    ports: list[int]
    port_set: PortSet
    heard: float  # monotonic seconds
    silence: float  # seconds without a packet after which it is freed
    up: set[str] = field(default_factory=set)


class PortPool:
    """The ports of the configured ranges; what is given out comes round last."""

    def __init__(self, numbers: list[int], host: str) -> None:
        self._numbers = numbers
        self._host = host
        self._next = 0
        self._given: set[int] = set()

    def take(self, count: int) -> list[int] | None:
        """`count` ports that nobody had a moment ago; None when there are not so many."""
        found: list[int] = []
        for _ in range(len(self._numbers)):
            number = self._numbers[self._next]
            self._next = (self._next + 1) % len(self._numbers)
            if number not in self._given and _is_free(self._host, number):
                found.append(number)
                if len(found) == count:
                    self._given.update(found)
                    return found
        return None

    def give_back(self, ports: list[int]) -> None:
        """They may be given out again."""
        self._given.difference_update(ports)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def mode_of(parallel: Parallel) -> Mode:
    """libcoop's name for it."""
    return Mode[parallel.value]


class Server:
    """One run of the server."""

    def __init__(self, config: Config, report: str | None) -> None:
        self._config = config
        self._report = report
        self._loop = EventLoop()
        self._mailbox = Mailbox(self._loop, self._deliver)
        self._mode = mode_of(config.port_parallelability)
        self._pool = PortPool(config.port_ranges.numbers(), config.bind_addr)
        self._clients: dict[int, _Client] = {}
        self._served = 0
        self._sweep_timer: Timer | None = None
        self._sweep_due = 0.0  # monotonic seconds
        self._complained = float("-inf")  # monotonic seconds
        self._closing = False  # nothing is started or told any more, only counted
        self._figures = Figures()
        self._tests: deque[dict[str, Any]] = deque(maxlen=_TESTS_KEPT)
        self._tested = 0
        self._main: PortSet

    def run(self) -> int:
        """Serve until Ctrl-C; the exit status."""
        config = self._config
        try:
            # The port resolves its address when it is made.
            main = Port(MAIN, MainPort, (config, self._mailbox), bind=(config.bind_addr, config.bind_port))
            self._main = self._make_set([main], mode_of(config.connection_parallelibility))
            self._main.start()
        except (libcoop.Error, OSError, UnicodeError) as error:
            reason = os_reason(error)
            print(f"cannot serve at {config.bind_addr}:{config.bind_port}: {reason}", file=sys.stderr)
            self._loop.close()
            return 2
        try:
            host, port = self._main.addresses[MAIN][:2]
            print(f"Server started on {host}:{port}", flush=True)
            self._loop.run()
        except KeyboardInterrupt:
            pass
        finally:
            self._close()
        return self._print_summary()

    def _make_set(self, ports: list[Port], mode: Mode) -> PortSet:
        return PortSet(ports, mode=mode, loop=self._loop if mode is Mode.SINGLE else None, buffer_bytes=BUFFER_BYTES)

    # Events, all on the loop's thread.

    def _deliver(self, event: Event) -> None:
        if event.what is What.SUMMARY:
            self._figures.add(event.port, event.detail)
            return
        if event.what is What.RESULT:
            self._tested += 1
            self._tests.append({"client": event.client, **event.detail})
            self._log(f"client {event.client}: {event.detail}")
            return
        if self._closing:
            return
        if event.what is What.CONNECT:
            self._connect(event.detail)
            return
        client = self._clients.get(event.client)
        if client is None:
            return
        client.heard = time.monotonic()
        match event.what:
            case What.UP:
                client.up.add(event.port)
                if len(client.up) == len(PORTS):
                    self._main.send(MAIN, ("used", client.address, b""))
            case What.STARTED:
                client.silence = self._config.silence_timeout
                self._log(f"client {client.number}: test of {event.detail} s")
            case What.ACKED:
                client.silence = min(_AFTER_RESULT, self._config.silence_timeout)
                self._sweep_later()
            case What.LATENCY:
                self._log(f"client {client.number}: latency {event.port} {event.detail:.3f} ms")

    def _connect(self, address: Address) -> None:
        for _ in range(_BIND_TRIES):
            ports = self._pool.take(len(PORTS))
            if ports is None:
                break
            key = random.randint(0, MAX_HEARTBEAT_KEY)
            try:
                client = self._start_client(address, ports, key)
            except (libcoop.Error, OSError) as error:  # as too many open files: other ports would not help
                self._pool.give_back(ports)
                self._complain(f"client {address[0]}:{address[1]}: {os_reason(error)}")
                break
            if client is not None:
                self._clients[client.number] = client
                if self._sweep_timer is None:
                    self._sweep_later()
                self._log(f"client {client.number}: {address[0]}:{address[1]}, ports {ports}")
                self._main.send(MAIN, ("answer", address, encode_answer(ports, key)))
                return
            self._pool.give_back(ports)
        self._log(f"{address[0]}:{address[1]} refused: no free port in {self._config.port_ranges}")
        self._main.send(MAIN, ("refuse", address, b""))

    def _start_client(self, address: Address, ports: list[int], key: int) -> _Client | None:
        number = self._served + 1
        terms = Terms(number, address[0], key, self._config)
        kinds = {CONTROL: ServerControl, UPLOAD: ServerUpload, DOWNLOAD: ServerPort}
        host = self._config.bind_addr
        port_set = self._make_set(
            [
                Port(name, kind, (terms, self._mailbox), bind=(host, port))
                for (name, kind), port in zip(kinds.items(), ports, strict=True)
            ],
            self._mode,
        )
        try:
            port_set.start()
        except (libcoop.Error, OSError) as error:
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise
            return None
        self._served = number
        return _Client(number, address, ports, port_set, time.monotonic(), self._config.silence_timeout)

    def _sweep(self) -> None:
        """Runs while there are clients, and not without: an idle server has no timer."""
        now = time.monotonic()
        self._sweep_timer = None
        if now - self._sweep_due > _STOPPED:  # this process stood still: what came meanwhile has not been read yet
            for client in self._clients.values():
                client.heard = now
        for client in [client for client in self._clients.values() if now - client.heard > client.silence]:
            self._free(client)
            self._main.send(MAIN, ("forget", client.address, b""))
            self._log(f"client {client.number}: freed after {client.silence} s of silence")
        self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        if self._clients:
            now = time.monotonic()
            ends = min(client.heard + client.silence for client in self._clients.values())
            wait = max(ends - now, min(1.0, self._config.silence_timeout / 4))
            self._sweep_due = now + wait
            self._sweep_timer = self._loop.call_later(wait, self._sweep)

    def _free(self, client: _Client) -> None:
        del self._clients[client.number]
        try:
            client.port_set.stop()
        except libcoop.Timeout as error:  # a handler that does not return: its ports are not free yet
            print(f"client {client.number}: {os_reason(error)}", file=sys.stderr, flush=True)
            return
        self._pool.give_back(client.ports)

    def _complain(self, text: str) -> None:
        """A line on stderr, at most one a second: anyone can make a server want to say this."""
        now = time.monotonic()
        if now - self._complained >= 1.0:
            self._complained = now
            print(text, file=sys.stderr, flush=True)

    def _log(self, text: str) -> None:
        if self._config.test_verbose:
            print(text, file=sys.stderr, flush=True)

    # The end.

    def _close(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending: once more changes nothing
        self._closing = True
        self._loop.stop()
        for client in list(self._clients.values()):
            self._free(client)
        self._main.stop()
        self._mailbox.drain()
        self._loop.close()

    def _print_summary(self) -> int:
        print(f"\nClients served: {self._served}")
        print(f"Tests: {self._tested}")
        for line in self._figures.lines():
            print(line)
        sys.stdout.flush()
        if self._report is None:
            return 0
        contents = {"role": "server", "mode": self._mode.name, "clients": self._served}
        contents |= {"tested": self._tested, "tests": list(self._tests)}
        trouble = write_report(self._report, contents | self._figures.as_json())
        if trouble is not None:
            print(trouble, file=sys.stderr)
        return 0 if trouble is None else 1


def os_reason(error: BaseException) -> str:
    """One line about an error, whatever its class."""
    return " ".join(str(error).split()) or type(error).__name__
