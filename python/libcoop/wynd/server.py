"""The server's main thread: gives each client three ports of its own and takes them back.

Guarantees: no more than max_clients sets exist, and what is remembered of past ones is bounded; a client's ports are
freed after its silence limit, and soon after it has acknowledged its result; whatever ends the server, every set is
stopped and the summary is printed once; without clients nothing wakes it.
"""

from __future__ import annotations

import errno
import random
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import libcoop
from libcoop import EventLoop, Host, Mode, PortSet, Strategy, Supervisor, Timer

from .cli import Options
from .display import make_display
from .events import Address, Direction, Event, What
from .mailbox import Mailbox
from .main_port import MAIN
from .packet import MAX_HEARTBEAT_KEY, Reason, encode_answer
from .port_pool import PortPool
from .ports import CONTROL, DOWNLOAD, PORTS, UPLOAD, Terms
from .report import Figures, write_outputs
from .sets import make_set, mode_of, os_reason, port_of

_AFTER_RESULT = 2.0  # seconds of silence after which a client that has its result is freed
_STOPPED = 1.0  # seconds by which a timer is late only if the process did not run
_TESTS_KEPT = 1000  # the newest, for the report
_BIND_TRIES = 16  # a port that was free may be taken before the set has it
HANDLERS = {
    MAIN: "libcoop.wynd.main_port:MainPort",
    CONTROL: "libcoop.wynd.server_control:ServerControl",
    UPLOAD: "libcoop.wynd.server_ports:ServerUpload",
    DOWNLOAD: "libcoop.wynd.server_ports:ServerDownload",
}


@dataclass
class _Client:
    number: int
    address: Address
    ports: list[int]
    answer: bytes
    port_set: PortSet
    heard: float  # monotonic seconds
    silence: float  # seconds without a packet after which it is freed
    up: set[str] = field(default_factory=set)
    result_of: tuple[Direction, int] | None = None  # the last, which may be told twice

    @property
    def in_use(self) -> bool:
        """Whether all three ports have heard of the client."""
        return len(self.up) == len(PORTS)


class Server:
    """One run of the server."""

    def __init__(self, options: Options) -> None:
        self._config = config = options.config
        self._outputs = options.outputs
        self._loop = EventLoop()
        self._mailbox = Mailbox(self._loop, self._deliver)
        self._mode = mode_of(config.port_parallelability)
        self._pool = PortPool(config.port_ranges.numbers(), config.bind_addr)
        self._clients: dict[int, _Client] = {}
        self._by_address: dict[Address, _Client] = {}
        self._served = 0
        self._sweep_timer: Timer | None = None
        self._sweep_due = 0.0  # monotonic seconds
        self._complained = float("-inf")  # monotonic seconds
        self._closing = False  # nothing is started or told any more, only counted
        self._figures = Figures()
        self._tests: deque[dict[str, Any]] = deque(maxlen=_TESTS_KEPT)
        self._tested = 0
        self._main: PortSet
        self._host: Host | None = None  # of the sets in process mode
        self._sets: Supervisor | None = None  # of the clients', which come and go
        self._display = make_display(options.outputs.json, server=True, latencies=False)

    def run(self) -> int:
        """Serve until Ctrl-C; the exit status."""
        config = self._config
        try:
            # The port resolves its address when it is made.
            bind = config.bind_addr, config.bind_port
            main = port_of(MAIN, HANDLERS[MAIN], config, self._mailbox, bind=bind)
            mode = mode_of(config.connection_parallelibility)
            if Mode.PROCESS in (mode, self._mode):
                self._host = Host("wynd", intensity=None)
                self._host.start()
                self._sets = self._host.supervisor("clients", strategy=Strategy.SIMPLE_ONE_FOR_ONE, intensity=None)
            self._main = make_set([main], mode, self._loop, self._mailbox, MAIN, self._host)
            self._main.start()
        except (libcoop.Error, OSError, UnicodeError) as error:
            self._display.close()
            reason = os_reason(error)
            print(f"cannot serve at {config.bind_addr}:{config.bind_port}: {reason}", file=sys.stderr)
            self._stop_host()
            self._mailbox.close()
            self._loop.close()
            return 2
        try:
            host, port = self._main.addresses[MAIN][:2]
            self._display.line(f"Server started on {host}:{port}")
            self._loop.run()
        except KeyboardInterrupt:
            pass
        finally:
            self._display.close()
            self._close()
        return self._print_summary()

    # Events, all on the loop's thread.

    def _deliver(self, event: Event) -> None:
        what, detail = event.what, event.detail
        if what is What.SUMMARY:
            self._figures.add(event.port, detail)
            return
        if what is What.RESULT:
            self._have_result(event.client, *detail)
            return
        if self._closing:
            return
        if what is What.CONNECT:
            self._connect(detail)
            return
        if what is What.AGAIN:
            for client in self._clients.values():
                self._main.send(MAIN, ("used" if client.in_use else "known", client.address, client.answer))
            return
        found = self._clients.get(event.client)
        if found is not None:
            self._of_client(found, event)

    def _of_client(self, client: _Client, event: Event) -> None:
        what, detail = event.what, event.detail
        if what is not What.PROGRESS:  # which a timer tells, not the client
            client.heard = time.monotonic()
        match what:
            case What.UP:
                client.up.add(event.port)
                if client.in_use:
                    self._main.send(MAIN, ("used", client.address, b""))
            case What.STARTED:
                client.silence = self._config.silence_timeout
                self._display.started(client.number, detail)
                self._log(f"client {client.number}: {detail.direction} test of {detail.duration} s")
            case What.PROGRESS:
                rate = self._figures.series.progress(client.number, detail)
                if rate is not None:
                    self._display.progress(client.number, detail.direction, rate)
            case What.ACKED:
                client.silence = min(_AFTER_RESULT, self._config.silence_timeout)
                self._sweep_later()
            case What.LATENCY:
                self._figures.series.latency(event.port, detail)
                self._display.latency(event.port, detail)
                self._log(f"client {client.number}: latency {event.port} {detail:.3f} ms")

    def _have_result(
        self, number: int, direction: Direction, channel: int, result: dict[str, Any], sent: dict[str, Any] | None
    ) -> None:
        client = self._clients.get(number)
        if client is not None and client.result_of == (direction, channel):
            return
        self._tested += 1
        if client is not None:
            client.result_of = direction, channel
        self._tests.append({"client": number, "direction": direction, "sent": sent, "result": result})
        self._figures.series.ended(number, direction)
        self._display.ended(number, direction)
        self._log(f"client {number}: {result}")

    def _connect(self, address: Address) -> None:
        known = self._by_address.get(address)
        if known is not None:  # the main port has forgotten it
            self._main.send(MAIN, ("used" if known.in_use else "answer", address, known.answer))
            return
        reason: str = Reason.NO_PORTS
        if len(self._clients) >= self._config.max_clients:
            reason = Reason.LIMIT_ALL
        elif sum(host == address[0] for host, _ in self._by_address) >= self._config.max_clients_per_address:
            reason = Reason.LIMIT_ADDRESS
        else:
            new = self._new_client(address)
            if new is not None:
                self._clients[new.number] = self._by_address[address] = new
                if self._sweep_timer is None:
                    self._sweep_later()
                self._log(f"client {new.number}: {address[0]}:{address[1]}, ports {new.ports}")
                self._main.send(MAIN, ("answer", address, new.answer))
                return
            self._log(f"{address[0]}:{address[1]} refused: no free port in {self._config.port_ranges}")
        self._main.send(MAIN, ("refuse", address, reason.encode()))

    def _new_client(self, address: Address) -> _Client | None:
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
                return client
            self._pool.give_back(ports)
        return None

    def _start_client(self, address: Address, ports: list[int], key: int) -> _Client | None:
        number = self._served + 1
        terms = Terms(number, address[0], key, self._config)
        host = self._config.bind_addr
        port_set = make_set(
            [
                port_of(name, HANDLERS[name], terms, self._mailbox, bind=(host, port))
                for name, port in zip(PORTS, ports, strict=True)
            ],
            self._mode,
            self._loop,
            self._mailbox,
            f"client-{number}",
            self._sets,
        )
        try:
            port_set.start()
        except (libcoop.Error, OSError) as error:
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise
            return None
        self._served = number
        now, silence = time.monotonic(), self._config.silence_timeout
        return _Client(number, address, ports, encode_answer(ports, key), port_set, now, silence)

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
        del self._clients[client.number], self._by_address[client.address]
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
        self._stop_host()
        self._mailbox.drain()
        self._mailbox.close()
        self._loop.close()

    def _stop_host(self) -> None:
        if self._host is not None:
            self._host.stop()

    def _print_summary(self) -> int:
        if not self._outputs.json:
            for line in ("", f"Clients served: {self._served}", f"Tests: {self._tested}", *self._figures.lines()):
                print(line)
            sys.stdout.flush()
        contents = {"version": libcoop.__version__, "role": "server", "mode": self._mode.name, "clients": self._served}
        contents |= {"tested": self._tested, "tests": list(self._tests)}
        title = f"wynd server, {self._mode.name}"
        contents |= self._figures.as_json()
        return 0 if write_outputs(self._outputs, contents, self._figures.series, title) else 1
