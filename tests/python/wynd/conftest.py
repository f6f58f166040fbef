"""Real processes for the end-to-end tests, and a hand-made peer that speaks the protocol over plain sockets.

Nothing here waits for a time to pass: a test waits for a line, a datagram or the end of a process, within WAIT.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import settings
from libcoop.wynd.packet import CONNECT, Bwup, Kind, Packet, Reason, encode, encode_answer, parse, parse_answer

# The same cases in each run: what fails fails again. `make soak` looks for others, this many per test.
MORE = int(os.environ.get("COOP_EXAMPLES", 0))
settings.register_profile("wynd", deadline=None, derandomize=not MORE, max_examples=MORE or 100)
settings.load_profile("wynd")

WAIT = 120.0  # seconds: far more than anything takes
LOOPBACK = "127.0.0.1"
PROGRAM = ("-m", "libcoop.wynd")
PATIENT = (str(Path(__file__).with_name("patient.py")),)
MODES = ["SINGLE", "THREAD", "PROCESS"]
KEY = 4321
CONTROL, UPLOAD, DOWNLOAD = range(3)


class Lines:
    """The lines of a stream, as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def close(self) -> None:
        """Once the process has ended."""
        self._thread.join(WAIT)
        self._stream.close()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line that matches, now or later."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self._more:
            self._more.wait_for(lambda: found() or self._ended, WAIT)
            match = found()
            assert match, f"no line {pattern!r} in {self.lines}"
            return match


class Wynd:
    """A running `python -m libcoop.wynd`."""

    def __init__(self, report: Path, arguments: tuple[str, ...], program: tuple[str, ...] = PROGRAM) -> None:
        command = [sys.executable, *program, *arguments, "--report", str(report)]
        self._report = report
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)

    def wait(self) -> int:
        """The exit status; nothing may have ended in a traceback."""
        status = self.process.wait(WAIT)
        self.out.close()
        self.err.close()
        assert not [line for line in self.out.lines + self.err.lines if "Traceback" in line], self.err.lines
        return status

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.wait()

    @property
    def report(self) -> dict[str, Any]:
        """What --report wrote."""
        contents: dict[str, Any] = json.loads(self._report.read_text())
        return contents

    @property
    def test(self) -> dict[str, Any]:
        """The one test of the report."""
        (test,) = self.report["tests"]
        assert isinstance(test, dict)
        return test


class Server(Wynd):
    """A server on loopback, once it has started."""

    def __init__(self, report: Path, arguments: tuple[str, ...], program: tuple[str, ...] = PROGRAM) -> None:
        super().__init__(report, arguments, program)
        self.port = int(self.out.wait_for(r"^Server started on .*:(\d+)$")[1])
        self.address = (LOOPBACK, self.port)

    @property
    def target(self) -> str:
        """As the client's command line takes it."""
        return f"{LOOPBACK}:{self.port}"


class Peer:
    """A client made by hand: one socket for CONNECT and one for each port."""

    def __init__(self, server: tuple[str, int], host: str = LOOPBACK) -> None:
        self._server = server
        self.main = self._socket(host)
        self.socks = [self._socket(host) for _ in range(3)]
        self.ports: list[int] = []
        self.key = -1
        self._sequences: dict[tuple[int, int], int] = {}

    @staticmethod
    def _socket(host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        sock.settimeout(WAIT)
        return sock

    def close(self) -> None:
        """All sockets."""
        for sock in [self.main, *self.socks]:
            sock.close()

    def connect(self, again_after: float = 1.0) -> bytes:
        """CONNECT until it is answered; the answer. One that is sent twice is answered twice, to the next call, too."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            self.main.sendto(CONNECT, self._server)
            if select.select([self.main], [], [], again_after)[0]:
                data = self.main.recv(2048)
                answer = parse_answer(data)
                assert not isinstance(answer, Reason)
                self.ports, self.key = list(answer[:3]), answer[3]
                return data
        raise AssertionError("CONNECT was not answered")

    def send(self, port: int, data: bytes) -> None:
        """To the server's port 0, 1 or 2, from the socket that belongs to it."""
        self.socks[port].sendto(data, (self._server[0], self.ports[port]))

    def packet(self, port: int, kind: Kind, channel: int, /, **fields: object) -> None:
        """A JSON packet with the next sequence number."""
        sequence = self._sequences.get((port, channel), 0)
        self._sequences[port, channel] = sequence + 1
        self.send(port, encode(kind, channel, sequence, 0, fields))

    def heartbeat(self, port: int) -> Packet:
        """HEARTBEAT_0 and its own echo: all that was sent on this port before has been dealt with."""
        now = time.time()
        self.packet(port, Kind.HEARTBEAT_0, self.key, timestamp=now)
        while True:
            echo = self.receive(port, Kind.HEARTBEAT_1)
            if echo.body.client_timestamp == now:  # type: ignore[union-attr]
                return echo

    def prove(self, port: int) -> None:
        """A heartbeat and the answer to its echo: the server knows that this is where its packets arrive."""
        echo = self.heartbeat(port).body
        self.packet(port, Kind.HEARTBEAT_2, self.key, **echo._asdict())  # type: ignore[union-attr]

    def receive(self, port: int, kind: Kind) -> Packet:
        """The next packet of this kind; others are passed over."""
        while True:
            packet = parse(self.socks[port].recv(65_536))
            assert isinstance(packet, Packet), packet
            if packet.kind is kind:
                return packet

    def join(self) -> None:
        """CONNECT and a heartbeat on each port."""
        self.connect()
        for port in range(3):
            self.heartbeat(port)


class HandMade:
    """A server on four plain sockets."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(4)]
        for sock in self.socks:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(WAIT)
        self.main = self.socks.pop()
        self.target = f"127.0.0.1:{self.main.getsockname()[1]}"
        self.clients: list[Any] = [None] * 3

    def answer_connect(self) -> None:
        data, address = self.main.recvfrom(100)
        assert data == b"CONNECT"
        self.main.sendto(b"nonsense", address)
        self.main.sendto(encode_answer([sock.getsockname()[1] for sock in self.socks], KEY), address)

    def receive(self, port: int, kind: Kind) -> Packet:
        while True:
            data, self.clients[port] = self.socks[port].recvfrom(65_536)
            packet = parse(data)
            assert isinstance(packet, Packet)
            if packet.kind is kind:
                return packet

    def send(self, port: int, data: bytes) -> None:
        self.socks[port].sendto(data, self.clients[port])

    def echo(self, port: int) -> None:
        """HEARTBEAT_0 .. HEARTBEAT_2."""
        packet = self.receive(port, Kind.HEARTBEAT_0)
        assert packet.channel == KEY
        fields: dict[str, object] = {"client_timestamp": packet.body, "server_timestamp": time.time()}
        self.send(port, encode(Kind.HEARTBEAT_1, KEY, 0, 0, fields))
        self.receive(port, Kind.HEARTBEAT_2)

    def accept_test(self) -> int:
        """Up to the acknowledgement of BWUP; the channel."""
        self.answer_connect()
        for port in range(3):
            self.echo(port)
        self.receive(CONTROL, Kind.CONTROL)
        packet = self.receive(CONTROL, Kind.CONTROL)  # again: it was not acknowledged
        assert isinstance(packet.body, Bwup)
        assert packet.channel != KEY
        fields = {"cmd": "BWUP", "channel": packet.channel, "duration": packet.body.duration, "ack": 0, "uid": "u"}
        self.send(CONTROL, encode(Kind.CONTROL, packet.channel, 0, 0, fields))
        return packet.channel

    def result(self, channel: int) -> None:
        fields: dict[str, object] = {
            "cmd": "TEST_RESULT",
            "ack": 1,
            "guid": "the-guid",
            "channel": channel,
            "bytes_received": 1_000_000,
            "bandwidth_bps": 4_000_000.0,
            "retransmit_count": 3,
            "packet_count": 1066,
            "duration": 2.0,
            "uid": "u",
        }
        self.send(CONTROL, encode(Kind.TEST_RESULT, channel, 0, 0, fields))

    def serve_heartbeats(self, client: Any) -> None:
        """As a server that knows nothing but heartbeats, until the client has ended."""
        self.answer_connect()
        while client.process.poll() is None:
            for sock in select.select(self.socks, [], [], 0.1)[0]:
                data, address = sock.recvfrom(65_536)
                packet = parse(data)
                if isinstance(packet, Packet) and packet.kind is Kind.HEARTBEAT_0:
                    fields: dict[str, object] = {"client_timestamp": packet.body, "server_timestamp": time.time()}
                    sock.sendto(encode(Kind.HEARTBEAT_1, KEY, 0, 0, fields), address)


def _free_range(size: int) -> str:
    """A range of ports that nobody has now, none of which the system gives away by itself."""
    for _ in range(100):
        first = random.randrange(10_000, 32_000)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + size):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return f"{first}-{first + size - 1}"
    raise AssertionError("no free range of ports")


@pytest.fixture
def free_range() -> Callable[[int], str]:
    """free_range(size): `a-b`."""
    return _free_range


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """A test that takes this runs in each."""
    mode: str = request.param
    return mode


@pytest.fixture
def other(mode: str) -> str:
    """Another mode."""
    return MODES[MODES.index(mode) - 1]


@pytest.fixture(scope="session")
def fonts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where matplotlib keeps what fonts there are, which takes it long to find out: pytest's cache, if it has one."""
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    return cache.mkdir("matplotlib") if cache else tmp_path_factory.getbasetemp()


@pytest.fixture
def started(tmp_path: Path, fonts: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Wynd]]:
    """What was started in this test; whatever still runs afterwards is killed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MPLCONFIGDIR", str(fonts))
    running: list[Wynd] = []
    yield running
    for wynd in running:
        if wynd.process.poll() is None:
            wynd.process.kill()
        wynd.process.wait()
        wynd.out.close()
        wynd.err.close()


@pytest.fixture
def serve(started: list[Wynd], tmp_path: Path) -> Callable[..., Server]:
    """serve(*flags, program=...): a server on loopback."""

    def start(*flags: str, program: tuple[str, ...] = PROGRAM) -> Server:
        ranges = () if "--port-ranges" in flags else ("--port-ranges", _free_range(48))
        report = tmp_path / f"server-{len(started)}.json"
        server = Server(report, ("--server", f"{LOOPBACK}:0", *ranges, *flags), program)
        started.append(server)
        return server

    return start


@pytest.fixture
def run(started: list[Wynd], tmp_path: Path) -> Callable[..., Wynd]:
    """run(*arguments, program=...): any other process; it is not waited for. A client is patient."""

    def start(*arguments: str, program: tuple[str, ...] = PATIENT) -> Wynd:
        wynd = Wynd(tmp_path / f"run-{len(started)}.json", arguments, program)
        started.append(wynd)
        return wynd

    return start


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """peer(server address, own host): a client made by hand."""
    peers: list[Peer] = []

    def make(server: tuple[str, int], host: str = LOOPBACK) -> Peer:
        peers.append(Peer(server, host))
        return peers[-1]

    yield make
    for each in peers:
        each.close()


@pytest.fixture
def old_server() -> Iterator[HandMade]:
    """A server made by hand, which does what it is told and has no download test."""
    with contextlib.ExitStack() as stack:
        yield HandMade(stack)
