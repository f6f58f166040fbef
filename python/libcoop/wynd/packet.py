"""The wynd datagram: header, payloads, and why one is refused.

Guarantees: `parse` raises nothing, whatever the bytes are; it answers a `Packet` whose body has been checked field by
field, or the `Reason` to count. Sizes are bytes, timestamps seconds since the epoch, latencies elsewhere milliseconds.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, NoReturn, TypeAlias

HEADER = struct.Struct(">IQQ")  # type and data_channel share the first word
HEADER_BYTES = 20
MAX_BYTES = 1400
MAX_PAIRS = 86
MAX_CHANNEL = 2**24 - 1
MAX_SEQUENCE = 2**64 - 1
MAX_HEARTBEAT_KEY = 60_000
MAX_DURATION = 86_400.0  # seconds a test may be asked to last
CONNECT = b"CONNECT"
SENT = ("packets_sent", "bytes_sent", "retransmitted", "withheld", "seconds")

_DUMMY_BEGIN, _DUMMY_END = b'{"dummy_data": "', b'"}'
DUMMY_OVERHEAD = HEADER_BYTES + len(_DUMMY_BEGIN) + len(_DUMMY_END)
_COUNT = struct.Struct(">I")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Span: TypeAlias = tuple[int, int]  # begin and end, inclusive


class Kind(IntEnum):
    """The message type, the first byte."""

    HEARTBEAT_0 = 0
    HEARTBEAT_1 = 1
    HEARTBEAT_2 = 2
    FLOW_CONTROL = 3
    BANDWIDTH_TEST = 4
    DATA = 5
    CONTROL = 6
    TEST_RESULT = 7


class Reason(StrEnum):
    """Why a datagram was dropped. The first group comes from `parse`, the second from whoever was handed the packet."""

    SHORT = "shorter than a header"
    OVERSIZE = "longer than 1400 bytes"
    UNKNOWN_TYPE = "unknown message type"
    RESERVED = "reserved message type"
    BAD_JSON = "payload is not a JSON object"
    BAD_FIELD = "missing or bad field"
    UNKNOWN_COMMAND = "unknown command"
    BAD_SPANS = "bad list of spans"
    BAD_OFFSET = "offset above the sequence number"

    STRANGER = "from another address"
    UNPINNED = "before the first heartbeat"
    WRONG_PORT = "from another port of the client"
    WRONG_KEY = "wrong heartbeat key"
    UNEXPECTED = "type that this port does not take"
    STALE = "not of the test at hand"
    LATE = "after the end of its test"
    REPEATED = "repeated acknowledgement"
    BUSY = "another test is running"
    CLOCK = "timestamp ahead of the clock"
    UNASKED = "echo of no heartbeat at hand"
    NOT_CONNECT = "not CONNECT"
    CONNECTED = "CONNECT after the ports were in use"
    LIMIT_ADDRESS = "too many clients of one address"
    LIMIT_ALL = "too many clients"
    NO_PORTS = "no free port"
    BAD_ANSWER = "bad answer to CONNECT"


class Echo(NamedTuple):
    """Body of HEARTBEAT_1 and HEARTBEAT_2."""

    client_timestamp: float
    server_timestamp: float


class Bwup(NamedTuple):
    """Body of CONTROL BWUP: a request, or the acknowledgement of one."""

    channel: int
    duration: float | None  # seconds; None where the peer does not say
    ack: bool


class Bwdown(NamedTuple):
    """Body of CONTROL BWDOWN, as Bwup. `length` is of the string in the packets asked for."""

    channel: int
    duration: float | None
    ack: bool
    length: int | None


class Result(NamedTuple):
    """Body of TEST_RESULT from the side that received."""

    guid: str
    channel: int
    bytes_received: int
    bandwidth_bps: float
    retransmit_count: int
    packet_count: int
    duration: float


class ResultAck(NamedTuple):
    """Body of TEST_RESULT from the side that sent. Ours says after a download what it has sent: the fields of SENT."""

    guid: str
    sent: tuple[float, ...] | None = None


Body: TypeAlias = float | Echo | Bwup | Bwdown | Result | ResultAck | tuple[Span, ...] | None


class Packet(NamedTuple):
    """A well-formed packet. `body` is the timestamp of HEARTBEAT_0, the spans of FLOW_CONTROL, None for
    BANDWIDTH_TEST, else one of the classes above."""

    kind: Kind
    channel: int
    sequence: int
    offset: int
    body: Body


class _Bad(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


def parse(data: bytes | bytearray | memoryview) -> Packet | Reason:
    """The packet in `data`, or the reason why it is none."""
    size = len(data)
    if size < HEADER_BYTES:
        return Reason.SHORT
    if size > MAX_BYTES:
        return Reason.OVERSIZE
    word, sequence, offset = HEADER.unpack_from(data)
    kind, channel = word >> 24, word & MAX_CHANNEL
    if kind > Kind.TEST_RESULT:
        return Reason.UNKNOWN_TYPE
    if kind == Kind.DATA:
        return Reason.RESERVED
    if kind == Kind.BANDWIDTH_TEST:
        return Reason.BAD_OFFSET if offset > sequence else Packet(Kind.BANDWIDTH_TEST, channel, sequence, offset, None)
    payload = bytes(data[HEADER_BYTES:])
    try:
        body: Body = _spans(payload) if kind == Kind.FLOW_CONTROL else _json_body(Kind(kind), channel, payload)
    except _Bad as bad:
        return bad.reason
    return Packet(Kind(kind), channel, sequence, offset, body)


def _spans(payload: bytes) -> tuple[Span, ...]:
    if len(payload) < _COUNT.size:
        raise _Bad(Reason.BAD_SPANS)
    (count,) = _COUNT.unpack_from(payload)
    if count > MAX_PAIRS or len(payload) != _COUNT.size + 16 * count:
        raise _Bad(Reason.BAD_SPANS)
    numbers = struct.unpack_from(f">{2 * count}Q", payload, _COUNT.size)
    last = -1
    for at in range(0, 2 * count, 2):
        begin, end = numbers[at], numbers[at + 1]
        if not last < begin <= end:
            raise _Bad(Reason.BAD_SPANS)
        last = end
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _json_body(kind: Kind, channel: int, payload: bytes) -> Body:
    try:
        fields = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        raise _Bad(Reason.BAD_JSON) from None
    if not isinstance(fields, dict):
        raise _Bad(Reason.BAD_JSON)
    if kind == Kind.HEARTBEAT_0:
        return _number(fields, "timestamp")
    if kind in (Kind.HEARTBEAT_1, Kind.HEARTBEAT_2):
        return Echo(_number(fields, "client_timestamp"), _number(fields, "server_timestamp"))
    if kind == Kind.CONTROL:
        return _request(fields, channel)
    return _result(fields, channel)


def _request(fields: dict[str, Any], channel: int) -> Bwup | Bwdown:
    command = fields.get("cmd")
    if command not in ("BWUP", "BWDOWN"):
        raise _Bad(Reason.UNKNOWN_COMMAND)
    named = _integer(fields, "channel")
    if named != channel or channel == 0:
        raise _Bad(Reason.BAD_FIELD)
    duration = _number(fields, "duration") if "duration" in fields else None
    if duration is not None and not 0 < duration <= MAX_DURATION:
        raise _Bad(Reason.BAD_FIELD)
    ack = _is_ack(fields, absent=1)
    if command == "BWUP":
        return Bwup(channel, duration, ack)
    length = _integer(fields, "length") if "length" in fields else None
    if length is not None and length > MAX_BYTES - DUMMY_OVERHEAD:
        raise _Bad(Reason.BAD_FIELD)
    return Bwdown(channel, duration, ack, length)


def _result(fields: dict[str, Any], channel: int) -> Result | ResultAck:
    if fields.get("cmd") != "TEST_RESULT":
        raise _Bad(Reason.UNKNOWN_COMMAND)
    guid = fields.get("guid")
    if not isinstance(guid, str) or not 0 < len(guid) <= 128:
        raise _Bad(Reason.BAD_FIELD)
    if _is_ack(fields, absent=None):
        return ResultAck(guid, _sent(fields.get("sent")))
    if _integer(fields, "channel") != channel:
        raise _Bad(Reason.BAD_FIELD)
    bandwidth, duration = _number(fields, "bandwidth_bps"), _number(fields, "duration")
    if bandwidth < 0 or duration < 0:
        raise _Bad(Reason.BAD_FIELD)
    return Result(
        guid,
        channel,
        _integer(fields, "bytes_received"),
        bandwidth,
        _integer(fields, "retransmit_count"),
        _integer(fields, "packet_count"),
        duration,
    )


def _sent(fields: object) -> tuple[float, ...] | None:
    if not isinstance(fields, dict):
        return None
    return *(_integer(fields, key) for key in SENT[:-1]), _number(fields, SENT[-1])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _number(fields: dict[str, Any], key: str) -> float:
    value = fields.get(key)
    # Integers are bounded before the conversion: float() of one past 1e308 raises.
    if type(value) is int and abs(value) <= MAX_SEQUENCE:
        return float(value)
    if type(value) is float and math.isfinite(value):
        return value
    raise _Bad(Reason.BAD_FIELD)


def _integer(fields: dict[str, Any], key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or not 0 <= value <= MAX_SEQUENCE:
        raise _Bad(Reason.BAD_FIELD)
    return value


def _is_ack(fields: dict[str, Any], absent: int | None) -> bool:
    value = fields.get("ack", absent)
    if type(value) is not int or value not in (0, 1):
        raise _Bad(Reason.BAD_FIELD)
    return value == 0


def encode(kind: Kind, channel: int, sequence: int, offset: int, fields: dict[str, object]) -> bytes:
    """A packet with a JSON payload."""
    return HEADER.pack(kind << 24 | channel, sequence, offset) + json.dumps(fields).encode()


def encode_flow_control(channel: int, sequence: int, spans: Sequence[Span]) -> bytes:
    """FLOW_CONTROL with at most MAX_PAIRS missing spans, lowest first."""
    numbers = [number for span in spans[:MAX_PAIRS] for number in span]
    head = HEADER.pack(Kind.FLOW_CONTROL << 24 | channel, sequence, 0)
    return head + struct.pack(f">I{len(numbers)}Q", len(numbers) // 2, *numbers)


def dummy_payload(length: int) -> bytes:
    """The JSON payload of BANDWIDTH_TEST whose string is `length` bytes."""
    text = _ALPHABET * (length // len(_ALPHABET) + 1)
    return _DUMMY_BEGIN + text[:length] + _DUMMY_END


def encode_answer(ports: Iterable[int], key: int) -> bytes:
    """The answer to CONNECT: three ports and the heartbeat key."""
    return ",".join(str(number) for number in (*ports, key)).encode("ascii")


def parse_answer(data: bytes) -> tuple[int, int, int, int] | Reason:
    """Control, upload and download port and the heartbeat key of an answer to CONNECT."""
    parts = data.split(b",") if len(data) <= 64 else []
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 5 for part in parts):
        return Reason.BAD_ANSWER
    control, upload, download, key = (int(part) for part in parts)
    if not all(1 <= port <= 65_535 for port in (control, upload, download)) or key > MAX_HEARTBEAT_KEY:
        return Reason.BAD_ANSWER
    return control, upload, download, key
