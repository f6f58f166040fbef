"""The client against a hand-made server: it answers, misbehaves and goes away."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from libcoop.wynd import joining
from libcoop.wynd.packet import (
    Bwup,
    Kind,
    Packet,
    Reason,
    encode,
    encode_answer,
    encode_flow_control,
    parse,
)

MODES = ["SINGLE", "THREAD"]
WAIT = 60.0
KEY = 4321
CONTROL, UPLOAD, DOWNLOAD = range(3)


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


@pytest.fixture
def server() -> Iterator[HandMade]:
    with contextlib.ExitStack() as stack:
        yield HandMade(stack)


@pytest.mark.parametrize("mode", MODES)
def test_result_is_printed_as_the_page_has_it(run: Callable[..., Any], server: HandMade, mode: str) -> None:
    """The server closes its ports at the acknowledgement: the client lives through what the kernel says then."""
    client = run(server.target, "--bwup", "--duration", "0.3", "--ack-time", "1000", "--port-parallelability", mode)
    channel = server.accept_test()
    server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    server.result(channel)
    packet = server.receive(CONTROL, Kind.TEST_RESULT)
    assert (packet.channel, packet.body) == (channel, ("the-guid",))
    for sock in server.socks:
        sock.close()
    assert client.wait() == 0, client.err.lines
    assert client.out.lines[-5:] == [
        "Duration: 2.00 seconds",
        "Packets Received: 1066",
        "Bytes Received: 1000000",
        "Bandwidth: 4000000.00 bps (4.00 Mbps)",
        "Retransmitted Packets: 3",
    ]
    assert client.report["dropped"] == {Reason.BAD_ANSWER: 1}


@pytest.mark.parametrize("mode", MODES)
def test_bad_datagrams_are_counted(run: Callable[..., Any], server: HandMade, mode: str) -> None:
    client = run(server.target, "--heartbeat-rate", "3600000", "--port-parallelability", mode)
    server.answer_connect()
    for port in range(3):
        server.echo(port)
    for port in range(3):
        for size in (0, 19, 1401, 65_507):
            server.send(port, b"\xff" * size)
        server.send(port, encode(Kind.HEARTBEAT_1, KEY + 1, 0, 0, {"client_timestamp": 1, "server_timestamp": 1}))
        server.send(port, encode(Kind.HEARTBEAT_1, KEY, 0, 0, {"client_timestamp": 2e12, "server_timestamp": 1}))
        server.send(port, encode_flow_control(7, 0, [(0, 5)]))
        server.send(port, encode(Kind.TEST_RESULT, 7, 0, 0, {"cmd": "TEST_RESULT", "ack": 0, "guid": "g"}))
        # A heartbeat that is answered: what came before on this port has been dealt with.
        server.send(port, encode(Kind.HEARTBEAT_1, KEY, 0, 0, {"client_timestamp": 3, "server_timestamp": 3}))
        while server.receive(port, Kind.HEARTBEAT_2).body != (3, 3):
            pass
    assert client.interrupt() == 130
    assert client.report["dropped"] == {
        Reason.BAD_ANSWER: 1,
        Reason.SHORT: 6,
        Reason.OVERSIZE: 6,
        Reason.WRONG_KEY: 3,
        Reason.CLOCK: 3,
        Reason.UNASKED: 3,  # what was never sent is no sample
        Reason.STALE: 3,  # both on CONTROL, FLOW_CONTROL on UPLOAD
        Reason.UNEXPECTED: 3,  # the result on UPLOAD, both on DOWNLOAD
    }


@pytest.mark.parametrize("mode", MODES)
def test_what_flow_control_misses_goes_out_again(run: Callable[..., Any], server: HandMade, mode: str) -> None:
    flags = ("--flow-control-rate", "2", "--send-sleep", "2000", "--max-send-time", "1", "--port-parallelability", mode)
    client = run(server.target, "--bwup", "--duration", "60", "--ack-time", "0", *flags)
    channel = server.accept_test()
    while server.receive(UPLOAD, Kind.BANDWIDTH_TEST).sequence < 50:
        pass
    for report in range(2):
        server.send(UPLOAD, encode_flow_control(channel, report, [(3, 4), (9, 9), (2**40, 2**64 - 1)]))
    again: list[int] = []
    while len(again) < 3:
        packet = server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
        assert packet.offset <= packet.sequence
        if packet.sequence - packet.offset < 50 <= packet.sequence:
            again.append(packet.sequence - packet.offset)
    assert again == [3, 4, 9]
    fresh = server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    while fresh.sequence - fresh.offset < 50:
        fresh = server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    assert fresh.offset == 3
    server.result(channel)
    assert client.wait() == 0, client.err.lines
    assert client.report["sent"]["retransmitted"] == 3


def test_each_address_of_a_name_is_tried(server: HandMade, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a `localhost` that is ::1 first, and a server that is at the second address."""
    port = server.main.getsockname()[1]
    kind = (socket.SOCK_DGRAM, 17, "")
    monkeypatch.setattr(joining, "INTERVAL", 0.05)
    for first in ((socket.AF_INET6, *kind, ("::1", port, 0, 0)), (socket.AF_INET, *kind, ("127.0.0.9", port))):
        found = [first, (socket.AF_INET, *kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, _found=found, **__: list(_found))
        answering = threading.Thread(target=server.answer_connect, daemon=True)
        answering.start()
        assert joining.join(("a-name", port), 0.0).host == "127.0.0.1"
        answering.join()


def test_no_result_is_an_error(run: Callable[..., Any], server: HandMade) -> None:
    flags = ("--duration", "0.2", "--client-timeout", "1", "--heartbeat-rate", "100")
    client = run(server.target, "--bwup", *flags)
    server.accept_test()
    server.socks[DOWNLOAD].settimeout(0.3)
    while client.process.poll() is None:  # heartbeats go on, the result never comes
        with contextlib.suppress(TimeoutError):
            packet = server.receive(DOWNLOAD, Kind.HEARTBEAT_0)
            fields: dict[str, object] = {"client_timestamp": packet.body, "server_timestamp": 1.0}
            server.send(DOWNLOAD, encode(Kind.HEARTBEAT_1, KEY, 0, 0, fields))
    assert client.wait() == 1
    assert client.err.lines == ["no TEST_RESULT within 1 s of the end of the test"]
