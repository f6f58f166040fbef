"""The download test: by hand, over a bad line, with servers that have none."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

import pytest
from libcoop.wynd.packet import Bwdown, Kind, Packet, Reason, ResultAck, encode, encode_flow_control, parse

CONTROL, UPLOAD, DOWNLOAD = range(3)
CHANNEL = 88_888
# A download's result is told until it is acknowledged, for at most --ack-time.
QUICK = ("--duration", "1.2", "--ack-time", "30000")
RESULT: dict[str, Any] = {
    "bytes_received": 900,
    "bandwidth_bps": 7200.0,
    "retransmit_count": 1,
    "packet_count": 7,
    "duration": 1.0,
}


def test_up_and_down(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode)
    client = run(server.target, "--bwup", "--bwdown", *QUICK, "--port-parallelability", mode)
    assert client.wait() == 0, client.err.lines
    client.out.wait_for(r"^Download test:$")
    assert server.interrupt() == 0
    up, down = client.report["tests"]
    assert (up["direction"], down["direction"]) == ("upload", "download")
    for test in (up, down):
        assert 0 < test["result"]["packet_count"] <= test["sent"]["packets_sent"]
        assert test["result"]["bytes_received"] == test["result"]["packet_count"] * 938
    assert [test["result"] for test in server.report["tests"]] == [up["result"], down["result"]]
    assert server.report["tests"][1]["sent"] == down["sent"]
    assert set(client.report["series"]["rate"]) == {"upload", "download"}


@pytest.mark.parametrize(("mode", "rate"), [("SINGLE", "0.3"), ("THREAD", "0.01"), ("PROCESS", "0.3")])
def test_both_over_a_bad_line(serve: Callable[..., Any], run: Callable[..., Any], mode: str, rate: str) -> None:
    flags = ("--port-parallelability", mode, "--test-drop-rate", rate, "--adjustment-delay", "100")
    server = serve(*flags)
    # A client gives up when five CONNECT in a row are lost: its own line is better.
    own = min(rate, "0.1")
    client_flags = (*flags, "--test-drop-rate", own, "--duration", "1.5", "--flow-control-rate", "5")
    client = run(server.target, "--bwup", "--bwdown", *QUICK, *client_flags)
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    for test in client.report["tests"]:
        assert test["result"]["packet_count"] > 0
        assert test["sent"]["withheld"] > 0
        assert test["result"]["packet_count"] <= test["sent"]["packets_sent"]


@pytest.mark.parametrize("mode", ["THREAD"])
def test_a_download_by_hand(serve: Callable[..., Any], peer: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode, "--flow-control-rate", "2", "--test-verbose")
    client = peer(server.address)
    client.join()
    for _ in range(2):
        client.packet(CONTROL, Kind.CONTROL, CHANNEL, cmd="BWDOWN", channel=CHANNEL, duration=60.0, length=100)
    ack = client.receive(CONTROL, Kind.CONTROL)
    assert (ack.channel, ack.body) == (CHANNEL, Bwdown(CHANNEL, 60.0, True, None))
    # The server sends nothing to an address of which it does not know that anyone reads there.
    assert select.select([client.socks[DOWNLOAD]], [], [], 0.3)[0] == []
    client.prove(DOWNLOAD)
    first = client.receive(DOWNLOAD, Kind.BANDWIDTH_TEST)
    assert (first.channel, first.sequence, first.offset) == (CHANNEL, 0, 0)
    came_again = False
    for report in range(1000):  # more than two: it may be sent again into a buffer that is full
        client.send(DOWNLOAD, encode_flow_control(CHANNEL, report, [(0, 0), (2**40, 2**64 - 1)]))
        for _ in range(500):
            if came_again or not select.select([client.socks[DOWNLOAD]], [], [], 0.5)[0]:
                break
            packet = client.receive(DOWNLOAD, Kind.BANDWIDTH_TEST)
            came_again = packet.offset == packet.sequence
        if came_again and report:
            break
    assert came_again
    # A client that falls silent is not sent to for ever; one that is heard of again is.
    server.err.wait_for(r"download test of 60")
    deadline = time.monotonic() + 60
    # Longer than the server goes on without a word: in less it may only not have run.
    while select.select([client.socks[DOWNLOAD]], [], [], 3.0)[0]:
        client.socks[DOWNLOAD].recv(2048)
        assert time.monotonic() < deadline
    client.heartbeat(DOWNLOAD)
    assert client.receive(DOWNLOAD, Kind.BANDWIDTH_TEST).channel == CHANNEL
    for _ in range(3):
        client.packet(CONTROL, Kind.TEST_RESULT, CHANNEL, cmd="TEST_RESULT", ack=1, guid="g", channel=CHANNEL, **RESULT)
        told = client.receive(CONTROL, Kind.TEST_RESULT).body
        assert isinstance(told, ResultAck)
        assert told.guid == "g"
        assert told.sent is not None
    assert server.interrupt() == 0
    assert server.test["result"] == RESULT
    assert server.test["sent"] == dict(zip(server.test["sent"], told.sent, strict=True))
    assert server.test["sent"]["retransmitted"] >= 1
    assert server.report["dropped"] == {Reason.REPEATED: 2}


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_a_server_without_a_download_test(run: Callable[..., Any], old_server: Any, mode: str) -> None:
    client = run(old_server.target, "--bwdown", "--client-timeout", "3", "--heartbeat-rate", "100")
    old_server.serve_heartbeats(client)
    assert client.wait() == 1
    assert client.err.lines == ["BWDOWN was not acknowledged within 3 s: the server may have no download test"]


def test_lengths_are_bounded() -> None:
    for length, good in ((0, True), (1362, True), (1363, False), (-1, False), (1.5, False), ("9", False)):
        fields: dict[str, object] = {"cmd": "BWDOWN", "channel": 5, "duration": 1, "length": length}
        packet = parse(encode(Kind.CONTROL, 5, 0, 0, fields))
        assert isinstance(packet, Packet) is good, length
    for sent in ({}, {"packets_sent": 1}, {"packets_sent": -1, "bytes_sent": 1, "retransmitted": 1}):
        fields = {"cmd": "TEST_RESULT", "ack": 0, "guid": "g", "sent": sent}
        assert parse(encode(Kind.TEST_RESULT, 5, 0, 0, fields)) is Reason.BAD_FIELD
