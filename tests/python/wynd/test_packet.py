"""parse: every datagram is a packet or has a named reason; nothing raises."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcoop.wynd import packet
from libcoop.wynd.packet import Bwup, Echo, Kind, Packet, Reason, Result, ResultAck, encode, parse

NUMBER = st.integers(0, packet.MAX_SEQUENCE)
CHANNEL = st.integers(1, packet.MAX_CHANNEL)


def header(kind: int, channel: int = 5, sequence: int = 0, offset: int = 0) -> bytes:
    return packet.HEADER.pack(kind << 24 | channel, sequence, offset)


def control(**fields: object) -> bytes:
    return encode(Kind.CONTROL, 5, 0, 0, fields)


RESULT: dict[str, object] = {
    "cmd": "TEST_RESULT",
    "ack": 1,
    "guid": "g",
    "channel": 5,
    "bytes_received": 10,
    "bandwidth_bps": 80.0,
    "retransmit_count": 0,
    "packet_count": 1,
    "duration": 1,
    "uid": "u",
}


@given(st.binary(max_size=1500))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert isinstance(parse(data), (Packet, Reason))


@given(st.sampled_from(Kind), CHANNEL, NUMBER, NUMBER, st.binary(max_size=200))
def test_any_payload_is_answered(kind: Kind, channel: int, sequence: int, offset: int, payload: bytes) -> None:
    answer = parse(memoryview(header(kind, channel, sequence, offset) + payload))
    if isinstance(answer, Packet):
        assert (answer.kind, answer.channel, answer.sequence, answer.offset) == (kind, channel, sequence, offset)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["timestamp", "client_timestamp", "server_timestamp", "cmd", "ack", "guid", "channel", "duration"]
)
COMMANDS = st.sampled_from(["BWUP", "BWDOWN", "TEST_RESULT"])


@given(st.sampled_from(Kind), st.dictionaries(KEYS, JSON | COMMANDS, max_size=8) | JSON)
def test_any_json_is_answered(kind: Kind, body: object) -> None:
    assert isinstance(parse(header(kind) + json.dumps(body).encode()), (Packet, Reason))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.SHORT),
        (bytes(19), Reason.SHORT),
        (header(4) + bytes(1381), Reason.OVERSIZE),
        (header(4) + bytes(65_487), Reason.OVERSIZE),
        (header(8), Reason.UNKNOWN_TYPE),
        (header(255), Reason.UNKNOWN_TYPE),
        (header(5), Reason.RESERVED),
        (header(4, sequence=3, offset=4), Reason.BAD_OFFSET),
        (header(0), Reason.BAD_JSON),
        (header(0) + b"\xff\xfe", Reason.BAD_JSON),
        (header(0) + b"[1]", Reason.BAD_JSON),
        (header(0) + b"[" * 1300, Reason.BAD_JSON),
        (header(0) + b'{"timestamp": NaN}', Reason.BAD_JSON),
        (header(0) + b'{"timestamp": 1e999}', Reason.BAD_FIELD),
        (header(0) + b'{"timestamp": 1' + b"0" * 1000 + b"}", Reason.BAD_FIELD),
        (header(0) + b'{"timestamp": true}', Reason.BAD_FIELD),
        (header(0) + b"{}", Reason.BAD_FIELD),
        (header(1) + b'{"client_timestamp": 1}', Reason.BAD_FIELD),
        (header(3), Reason.BAD_SPANS),
        (header(3) + struct.pack(">IQQ", 2, 1, 2), Reason.BAD_SPANS),
        (header(3) + struct.pack(">IQQ", 1, 2, 1), Reason.BAD_SPANS),
        (header(3) + struct.pack(">IQQQQ", 2, 1, 5, 5, 9), Reason.BAD_SPANS),
        (header(3) + struct.pack(">I", 2**32 - 1), Reason.BAD_SPANS),
        (control(cmd="NOP"), Reason.UNKNOWN_COMMAND),
        (control(cmd="BWUP"), Reason.BAD_FIELD),
        (control(cmd="BWUP", channel=6), Reason.BAD_FIELD),
        (control(cmd="BWUP", channel=5, duration=0), Reason.BAD_FIELD),
        (control(cmd="BWUP", channel=5, duration=1e9), Reason.BAD_FIELD),
        (control(cmd="BWUP", channel=5, ack="0"), Reason.BAD_FIELD),
        (encode(Kind.TEST_RESULT, 5, 0, 0, {"cmd": "TEST_RESULT"}), Reason.BAD_FIELD),
        (encode(Kind.TEST_RESULT, 5, 0, 0, RESULT | {"channel": 6}), Reason.BAD_FIELD),
        (encode(Kind.TEST_RESULT, 5, 0, 0, RESULT | {"bytes_received": -1}), Reason.BAD_FIELD),
        (encode(Kind.TEST_RESULT, 5, 0, 0, RESULT | {"ack": 2}), Reason.BAD_FIELD),
    ],
)
def test_each_fault_has_its_reason(data: bytes, reason: Reason) -> None:
    assert parse(data) is reason


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (encode(Kind.HEARTBEAT_0, 5, 0, 0, {"timestamp": 1.5}), 1.5),
        (encode(Kind.HEARTBEAT_1, 5, 0, 0, {"client_timestamp": 1, "server_timestamp": 2.5}), Echo(1.0, 2.5)),
        (control(cmd="BWUP", channel=5, duration=3), Bwup(5, 3.0, False)),
        (control(cmd="BWUP", channel=5), Bwup(5, None, False)),
        (control(cmd="BWUP", channel=5, duration=3, ack=0, uid="u"), Bwup(5, 3.0, True)),
        (encode(Kind.TEST_RESULT, 5, 0, 0, RESULT), Result("g", 5, 10, 80.0, 0, 1, 1.0)),
        (encode(Kind.TEST_RESULT, 5, 0, 0, {"cmd": "TEST_RESULT", "ack": 0, "guid": "g"}), ResultAck("g")),
        (header(4, sequence=7, offset=7) + packet.dummy_payload(1362), None),
    ],
)
def test_well_formed_packets(data: bytes, body: object) -> None:
    answer = parse(data)
    assert isinstance(answer, Packet)
    assert answer.body == body


@given(CHANNEL, NUMBER, st.lists(st.tuples(NUMBER, NUMBER), max_size=100))
def test_flow_control_round_trip(channel: int, sequence: int, pairs: list[tuple[int, int]]) -> None:
    spans: list[tuple[int, int]] = []
    for begin, end in sorted(tuple(sorted(pair)) for pair in pairs):
        if not spans or begin > spans[-1][1]:
            spans.append((begin, end))
    data = packet.encode_flow_control(channel, sequence, spans)
    assert len(data) <= packet.MAX_BYTES
    assert parse(data) == Packet(Kind.FLOW_CONTROL, channel, sequence, 0, tuple(spans[:86]))


@given(st.integers(0, 1362))
def test_dummy_payload_is_json_of_the_length_asked_for(length: int) -> None:
    payload = packet.dummy_payload(length)
    assert len(json.loads(payload)["dummy_data"]) == length
    assert len(payload) + 20 == packet.DUMMY_OVERHEAD + length


@given(st.binary(max_size=100))
def test_any_answer_to_connect_is_answered(data: bytes) -> None:
    assert isinstance(packet.parse_answer(data), (tuple, Reason))


def test_answer_to_connect() -> None:
    assert packet.encode_answer([7000, 7001, 7002], 123) == b"7000,7001,7002,123"
    assert packet.parse_answer(b"7000,7001,7002,60000") == (7000, 7001, 7002, 60000)
    for bad in (b"0,1,2,3", b"1,2,3,60001", b"1,2,65536,4", b"1,2,3", b"1,2,3,4,5", b"1,2,3,-4", b" 1,2,3,4"):
        assert packet.parse_answer(bad) is Reason.BAD_ANSWER
