"""The server against hand-made clients: bad datagrams, strangers, limits, repeated and late messages.

What a port takes and what it refuses is decided by the same code in each mode, so each test runs in one or two of them,
and every mode has its share.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from libcoop import EventLoop
from libcoop.wynd import server as module
from libcoop.wynd.cli import parse_args
from libcoop.wynd.events import Direction, Event, What
from libcoop.wynd.mailbox import Mailbox
from libcoop.wynd.packet import HEADER, MAX_SEQUENCE, Kind, Reason, Result, dummy_payload

WAIT = 60.0
CONTROL, UPLOAD, DOWNLOAD = range(3)
CHANNEL = 99_999


def junk() -> list[bytes]:
    """Datagrams that no port takes."""
    chance = random.Random(3)
    sized = [bytes(size) for size in (0, 19, 1401, 65_507)]
    return sized + [chance.randbytes(chance.randint(1, 1500)) for _ in range(40)]


def data_packet(sequence: int, offset: int = 0, channel: int = CHANNEL) -> bytes:
    return HEADER.pack(Kind.BANDWIDTH_TEST << 24 | channel, sequence, offset) + dummy_payload(100)


@pytest.fixture
def modes(mode: str) -> tuple[str, ...]:
    """Flags for both kinds of ports."""
    return "--port-parallelability", mode, "--connection-parallelibility", mode


@pytest.mark.parametrize("mode", ["THREAD"])
def test_bad_datagrams_on_every_port_are_counted(
    serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]
) -> None:
    server = serve(*modes)
    client = peer(server.address)
    client.join()
    for data in junk():
        for port in range(3):
            client.send(port, data)
            client.heartbeat(port)  # one at a time: the kernel drops none
        client.main.sendto(data, server.address)
    other = peer(server.address)
    other.join()
    assert server.interrupt() == 0
    dropped = server.report["dropped"]
    assert dropped[Reason.SHORT] >= 6
    assert dropped[Reason.OVERSIZE] >= 6
    assert dropped[Reason.NOT_CONNECT] == len(junk())
    assert sum(dropped.values()) == 4 * len(junk())


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_strangers_and_wrong_ports_are_counted(
    serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]
) -> None:
    server = serve(*modes)
    client = peer(server.address)
    client.connect()
    client.packet(UPLOAD, Kind.HEARTBEAT_0, client.key + 1, timestamp=1.0)  # wrong key: does not pin
    client.packet(UPLOAD, Kind.HEARTBEAT_2, client.key, client_timestamp=1.0, server_timestamp=1.0)  # before pinning
    for port in range(3):
        client.heartbeat(port)
    stranger, neighbour = peer(server.address, "127.0.0.2"), peer(server.address)
    for other in (stranger, neighbour):
        other.ports, other.key = client.ports, client.key
        for port in range(3):
            for _ in range(5):
                other.packet(port, Kind.HEARTBEAT_0, other.key, timestamp=1.0)
            client.heartbeat(port)
    client.packet(CONTROL, Kind.HEARTBEAT_2, client.key, client_timestamp=1.0, server_timestamp=2e12)
    client.packet(DOWNLOAD, Kind.CONTROL, CHANNEL, cmd="BWUP", channel=CHANNEL, duration=1)
    client.packet(CONTROL, Kind.CONTROL, CHANNEL, cmd="BWSIDEWAYS", channel=CHANNEL, duration=1)
    client.send(UPLOAD, data_packet(0))
    for port in range(3):
        client.heartbeat(port)
    assert server.interrupt() == 0
    assert server.report["dropped"] == {
        Reason.WRONG_KEY: 1,
        Reason.UNPINNED: 1,
        Reason.STRANGER: 15,
        Reason.WRONG_PORT: 15,
        Reason.CLOCK: 1,
        Reason.UNEXPECTED: 1,
        Reason.UNKNOWN_COMMAND: 1,
        Reason.STALE: 1,
    }


def test_what_is_remembered_of_past_tests_is_bounded() -> None:
    options = parse_args(["--server"])
    assert options is not None
    server = module.Server(options)
    for number in range(3 * module._TESTS_KEPT):
        server._deliver(Event(1, "CONTROL", What.RESULT, (Direction.UPLOAD, number, {"packet_count": number}, None)))
    assert len(server._tests) == module._TESTS_KEPT
    assert server._tests[-1]["result"]["packet_count"] == server._tested - 1
    server._mailbox.close()
    server._loop.close()


def test_events_without_end_do_not_keep_the_loop_from_its_timers() -> None:
    loop = EventLoop()
    mailbox = Mailbox(loop, lambda event: mailbox.put(event))
    mailbox.put(Event(1, "CONTROL", What.ALIVE))
    loop.call_later(0.05, loop.stop)
    loop.run()
    mailbox.close()
    loop.close()


@pytest.mark.parametrize("mode", ["THREAD"])
def test_a_heartbeat_that_is_replayed_is_one_sample(
    serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]
) -> None:
    server = serve(*modes)
    client = peer(server.address)
    client.join()
    echo = client.heartbeat(CONTROL).body
    for server_timestamp in (echo.server_timestamp,) * 5 + (1.0, -1.7e308):
        fields = {"client_timestamp": echo.client_timestamp, "server_timestamp": server_timestamp}
        client.packet(CONTROL, Kind.HEARTBEAT_2, client.key, **fields)
    client.heartbeat(CONTROL)
    assert server.interrupt() == 0
    assert server.report["latency_ms"]["CONTROL"]["samples"] == 1
    assert server.report["latency_ms"]["CONTROL"]["highest"] < 60_000
    assert server.report["dropped"] == {Reason.UNASKED: 6}


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_the_same_answer_until_all_ports_are_in_use(
    serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]
) -> None:
    server = serve(*modes)
    client = peer(server.address)
    answer = client.connect()
    assert client.connect() == answer
    client.heartbeat(CONTROL)
    client.heartbeat(UPLOAD)
    assert client.connect() == answer
    client.heartbeat(DOWNLOAD)
    assert server.interrupt() == 0
    assert server.report["clients"] == 1


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_limits(serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]) -> None:
    server = serve(*modes, "--max-clients", "3", "--max-clients-per-address", "2")
    kept = [peer(server.address), peer(server.address), peer(server.address, "127.0.0.2")]
    kept[0].connect()
    kept[1].connect()
    refused = peer(server.address)
    refused.main.sendto(b"CONNECT", server.address)
    kept[2].connect(WAIT)
    refused.main.sendto(b"CONNECT", server.address)
    kept[2].connect(WAIT)  # answered after the one before was dealt with
    assert server.interrupt() == 0
    assert server.report["clients"] == 3
    assert server.report["dropped"] == {Reason.LIMIT_ADDRESS: 1, Reason.LIMIT_ALL: 1}


@pytest.mark.parametrize("mode", ["THREAD"])
def test_no_free_port_and_ports_come_back(
    serve: Callable[..., Any], peer: Callable[..., Any], free_range: Callable[[int], str], modes: tuple[str, ...]
) -> None:
    ports = free_range(5)
    taken = int(ports.split("-")[0]) + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign:
        foreign.bind(("127.0.0.1", taken))
        server = serve(*modes, "--port-ranges", ports, "--silence-timeout", "0.5", "--test-verbose")
        client = peer(server.address)
        client.connect()
        assert taken not in client.ports
        second = peer(server.address)
        deadline = time.monotonic() + 60
        while not any("refused: no free port" in line for line in server.err.lines):
            assert time.monotonic() < deadline
            second.main.sendto(b"CONNECT", server.address)
            client.connect()  # it is there still, or once more
        server.err.wait_for(r"client 1: freed")
        second.connect()
        assert server.interrupt() == 0
    assert server.report["dropped"][Reason.NO_PORTS] >= 1
    assert server.report["clients"] >= 2


@pytest.mark.parametrize("mode", ["SINGLE", "PROCESS"])
def test_a_test_by_hand(serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]) -> None:
    """Every figure of the result is what was sent; repeated and late messages change nothing."""
    server = serve(*modes)  # at its default pace the reports of a whole test fit a socket's buffer, unread
    client = peer(server.address)
    client.join()
    for _ in range(3):  # a repeated BWUP is acknowledged and restarts nothing
        client.packet(CONTROL, Kind.CONTROL, CHANNEL, cmd="BWUP", channel=CHANNEL, duration=3.0)
    ack = client.receive(CONTROL, Kind.CONTROL)
    assert (ack.channel, ack.body) == (CHANNEL, (CHANNEL, 3.0, True))
    assert client.receive(UPLOAD, Kind.FLOW_CONTROL).body == ((0, MAX_SEQUENCE),)
    client.packet(CONTROL, Kind.CONTROL, CHANNEL + 1, cmd="BWUP", channel=CHANNEL + 1, duration=3.0)
    for sequence in (0, 1, 2, 5, 6, 6):
        client.send(UPLOAD, data_packet(sequence))
    client.send(UPLOAD, data_packet(7, 3))  # number 4, sent again
    client.send(UPLOAD, data_packet(8, 9))
    client.send(UPLOAD, data_packet(0, channel=CHANNEL + 1))
    while client.receive(UPLOAD, Kind.FLOW_CONTROL).body != ((3, 3), (7, MAX_SEQUENCE)):
        pass
    results = [client.receive(CONTROL, Kind.TEST_RESULT) for _ in range(3)]  # sent until acknowledged
    result = results[0].body
    assert isinstance(result, Result)
    assert {packet.body for packet in results} == {result}
    assert [packet.sequence for packet in results] == sorted({packet.sequence for packet in results})
    assert (result.channel, result.packet_count, result.bytes_received) == (CHANNEL, 7, 7 * len(data_packet(0)))
    assert result.retransmit_count == 3
    assert result.duration >= 3.0
    assert result.bandwidth_bps == pytest.approx(result.bytes_received * 8 / result.duration)
    client.send(UPLOAD, data_packet(9))
    client.packet(CONTROL, Kind.TEST_RESULT, CHANNEL, cmd="TEST_RESULT", ack=0, guid="another")
    for _ in range(2):
        client.packet(CONTROL, Kind.TEST_RESULT, CHANNEL, cmd="TEST_RESULT", ack=0, guid=result.guid)
    client.packet(CONTROL, Kind.CONTROL, CHANNEL, cmd="BWUP", channel=CHANNEL, duration=3.0)
    client.receive(CONTROL, Kind.CONTROL)
    client.heartbeat(UPLOAD)
    client.heartbeat(CONTROL)
    assert server.interrupt() == 0
    assert len(server.report["tests"]) == 1
    dropped = server.report["dropped"]
    assert dropped == {
        Reason.BUSY: 1,
        Reason.BAD_OFFSET: 1,
        Reason.STALE: 2,
        Reason.LATE: 1,
        Reason.REPEATED: 1,
    }


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_a_second_test_of_the_same_client(
    serve: Callable[..., Any], peer: Callable[..., Any], modes: tuple[str, ...]
) -> None:
    server = serve(*modes)
    client = peer(server.address)
    client.join()
    for channel in (5, 6):
        client.packet(CONTROL, Kind.CONTROL, channel, cmd="BWUP", channel=channel, duration=2.0)
        client.receive(CONTROL, Kind.CONTROL)
        client.send(UPLOAD, data_packet(0, channel=channel))
        result = client.receive(CONTROL, Kind.TEST_RESULT)
        while result.channel != channel:  # the first test's result was never acknowledged
            result = client.receive(CONTROL, Kind.TEST_RESULT)
        assert isinstance(result.body, Result)
        assert result.body.packet_count == 1
    assert server.interrupt() == 0
    assert len(server.report["tests"]) == 2
