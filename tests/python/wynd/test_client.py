"""The client against a hand-made server: it answers, misbehaves and goes away."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from libcoop.wynd import joining
from libcoop.wynd.packet import (
    Kind,
    Reason,
    encode,
    encode_flow_control,
)

KEY = 4321
CONTROL, UPLOAD, DOWNLOAD = range(3)


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_result_is_printed_as_the_page_has_it(run: Callable[..., Any], old_server: Any, mode: str) -> None:
    """The server closes its ports at the acknowledgement: the client lives through what the kernel says then."""
    client = run(old_server.target, "--bwup", "--duration", "0.3", "--ack-time", "1000", "--port-parallelability", mode)
    channel = old_server.accept_test()
    old_server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    old_server.result(channel)
    packet = old_server.receive(CONTROL, Kind.TEST_RESULT)
    assert (packet.channel, packet.body) == (channel, ("the-guid", None))
    for sock in old_server.socks:
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


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_bad_datagrams_are_counted(run: Callable[..., Any], old_server: Any, mode: str) -> None:
    client = run(old_server.target, "--heartbeat-rate", "3600000", "--port-parallelability", mode)
    old_server.answer_connect()
    for port in range(3):
        old_server.echo(port)
    for port in range(3):
        for size in (0, 19, 1401, 65_507):
            old_server.send(port, b"\xff" * size)
        old_server.send(port, encode(Kind.HEARTBEAT_1, KEY + 1, 0, 0, {"client_timestamp": 1, "server_timestamp": 1}))
        old_server.send(port, encode(Kind.HEARTBEAT_1, KEY, 0, 0, {"client_timestamp": 2e12, "server_timestamp": 1}))
        old_server.send(port, encode_flow_control(7, 0, [(0, 5)]))
        old_server.send(port, encode(Kind.TEST_RESULT, 7, 0, 0, {"cmd": "TEST_RESULT", "ack": 0, "guid": "g"}))
        # A heartbeat that is answered: what came before on this port has been dealt with.
        old_server.send(port, encode(Kind.HEARTBEAT_1, KEY, 0, 0, {"client_timestamp": 3, "server_timestamp": 3}))
        while old_server.receive(port, Kind.HEARTBEAT_2).body != (3, 3):
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


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_what_flow_control_misses_goes_out_again(run: Callable[..., Any], old_server: Any, mode: str) -> None:
    # A burst five times a second: a socket's buffer holds those of a second in which this process does not run.
    slow = ("--send-sleep", "200000", "--max-send-time", "1", "--bw-packet-length", "100")
    flags = ("--flow-control-rate", "2", *slow, "--port-parallelability", mode)
    client = run(old_server.target, "--bwup", "--duration", "60", "--ack-time", "0", *flags)
    channel = old_server.accept_test()
    while old_server.receive(UPLOAD, Kind.BANDWIDTH_TEST).sequence < 50:
        pass
    for report in range(2):
        old_server.send(UPLOAD, encode_flow_control(channel, report, [(3, 4), (9, 9), (2**40, 2**64 - 1)]))
    again: list[int] = []
    while len(again) < 3:
        packet = old_server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
        assert packet.offset <= packet.sequence
        if packet.sequence - packet.offset < 50 <= packet.sequence:
            again.append(packet.sequence - packet.offset)
    assert again == [3, 4, 9]
    fresh = old_server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    while fresh.sequence - fresh.offset < 50:
        fresh = old_server.receive(UPLOAD, Kind.BANDWIDTH_TEST)
    assert fresh.offset == 3
    old_server.result(channel)
    assert client.wait() == 0, client.err.lines
    assert client.test["sent"]["retransmitted"] == 3


def test_each_address_of_a_name_is_tried(old_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a `localhost` that is ::1 first, and a server that is at the second address."""
    port = old_server.main.getsockname()[1]
    kind = (socket.SOCK_DGRAM, 17, "")
    monkeypatch.setattr(joining, "INTERVAL", 0.05)
    monkeypatch.setattr(joining, "TRIES", 1000)
    for first in ((socket.AF_INET6, *kind, ("::1", port, 0, 0)), (socket.AF_INET, *kind, ("127.0.0.9", port))):
        found = [first, (socket.AF_INET, *kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, _found=found, **__: list(_found))
        joined = threading.Event()

        def answer(joined: threading.Event = joined) -> None:
            # Also what comes late of the one before.
            while not joined.is_set():
                if select.select([old_server.main], [], [], 0.05)[0]:
                    old_server.answer_connect()

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        try:
            assert joining.join(("a-name", port), 0.0).host == "127.0.0.1"
        finally:
            joined.set()
            answering.join()


def test_no_result_is_an_error(run: Callable[..., Any], old_server: Any) -> None:
    flags = ("--duration", "0.2", "--client-timeout", "3", "--heartbeat-rate", "100")
    client = run(old_server.target, "--bwup", *flags)
    old_server.accept_test()
    old_server.socks[DOWNLOAD].settimeout(0.3)
    while client.process.poll() is None:  # heartbeats go on, the result never comes
        with contextlib.suppress(TimeoutError):
            packet = old_server.receive(DOWNLOAD, Kind.HEARTBEAT_0)
            fields: dict[str, object] = {"client_timestamp": packet.body, "server_timestamp": 1.0}
            old_server.send(DOWNLOAD, encode(Kind.HEARTBEAT_1, KEY, 0, 0, fields))
    assert client.wait() == 1
    assert client.err.lines == ["no TEST_RESULT within 3 s of the end of the test"]
