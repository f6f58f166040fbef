"""The client's CONTROL port: asks for the tests one after the other, has or sends each result, acknowledges.

Guarantees: what is wanted of the server is asked for every ucm_delay until it is answered, what is wanted of another
port of the set until that has said it; a result counts once, however often it comes.
"""

from __future__ import annotations

import random
import time
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .client_ports import ClientPort
from .events import Direction, Trial, What
from .mailbox import Outlet
from .packet import MAX_CHANNEL, SENT, Bwdown, Bwup, Kind, Packet, Reason, Result, ResultAck
from .ports import DOWNLOAD, UPLOAD, Terms

if TYPE_CHECKING:
    from libcoop import PortContext

_PORT_OF = {Direction.UPLOAD: UPLOAD, Direction.DOWNLOAD: DOWNLOAD}


class Phase(StrEnum):
    """Of the test at hand."""

    WAITING = "waiting"  # for the ports to be up
    ASKING = "asking"  # BWUP or BWDOWN again and again
    RUNNING = "running"
    TELLING = "telling"  # a download's result again and again
    OVER = "over"  # an upload's result is acknowledged again and again; a download's is known to be


class ClientControl(ClientPort):
    """CONTROL."""

    def __init__(self, terms: Terms, outlet: Outlet, tests: tuple[Direction, ...]) -> None:
        super().__init__(terms, outlet, tests)
        self._number = 0  # of the test at hand, in `tests`
        self._phase = Phase.WAITING
        self._channel = _channel_other_than(terms.key)
        self._began = 0.0  # monotonic seconds
        self._others_up: set[str] = set()
        self._port_started = False
        self._result: dict[str, Any] | None = None  # a download's, as sent
        self._guids: dict[str, int] = {}  # of uploads' results, with their channels

    def keep(self) -> Any:
        """Where the tests are."""
        test = self._number, self._phase, self._channel, self._began, self._others_up, self._port_started, self._result
        return super().keep(), test, self._guids

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """Go on there."""
        up, test, self._guids = kept
        super().resume(ctx, up)
        self._number, self._phase, self._channel, self._began = test[:4]
        self._others_up, self._port_started, self._result = test[4:]

    def begin(self, ctx: PortContext) -> None:
        """The heartbeat, and what is asked for again and again."""
        super().begin(ctx)
        if self.tests:
            self.every(ctx, self.config.ucm_delay / 1000, self._tick)

    @property
    def _direction(self) -> Direction:
        return self.tests[self._number]

    @property
    def _test(self) -> Trial:
        return Trial(self._direction, self._channel, self.config.duration)

    def on_up(self, ctx: PortContext) -> None:
        """CONTROL answers."""
        self._ask(ctx)

    def _ask(self, ctx: PortContext) -> None:
        if self.tests and self._phase is Phase.WAITING and self._up and self._others_up >= {UPLOAD, DOWNLOAD}:
            self._phase = Phase.ASKING
            self._tell_port(ctx, "channel")
            self._send_request(ctx)

    def _tell_port(self, ctx: PortContext, what: str) -> None:
        self.pass_on(ctx, _PORT_OF[self._direction], what, self._channel, self.config.duration)

    def _tick(self, ctx: PortContext) -> None:
        now = time.monotonic()
        match self._phase:
            case Phase.WAITING:
                for port in {UPLOAD, DOWNLOAD} - self._others_up:
                    self.pass_on(ctx, port, "up", 0, 0.0)
            case Phase.ASKING:
                self._tell_port(ctx, "channel")
                self._send_request(ctx)
            case Phase.RUNNING:
                if self._direction is Direction.UPLOAD and not self._port_started:
                    self._tell_port(ctx, "start")
                elif self._direction is Direction.DOWNLOAD and now > self._began + self.config.duration:
                    self._tell_port(ctx, "result")
            case Phase.TELLING:
                self._send_result(ctx)
            case Phase.OVER:
                self._acknowledge(ctx)

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """From the other ports: up, started, or a download's result."""
        what, channel, fields = message
        if what == "up":
            self._others_up.add(sender)
            self._ask(ctx)
        elif channel != self._channel:
            return
        elif what == "started":
            self._port_started = True
        elif what == "result" and self._phase in (Phase.ASKING, Phase.RUNNING):
            self._result = {"cmd": "TEST_RESULT", "ack": 1, "guid": str(uuid.uuid4()), "channel": channel, **fields}
            self._result["uid"] = str(uuid.uuid4())
            self._phase = Phase.TELLING
            self.tell(What.RESULT, (Direction.DOWNLOAD, channel, fields))
            self._send_result(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """Acknowledgements, and an upload's TEST_RESULT."""
        body = packet.body
        if isinstance(body, Result) and body.guid in self._guids:
            self._send_ack(ctx, body.guid)
            return None
        if packet.channel != self._channel or not self.tests:
            return Reason.STALE
        upload = self._direction is Direction.UPLOAD
        if isinstance(body, Bwup if upload else Bwdown) and body.ack:
            return self._agreed(ctx)
        if isinstance(body, Result) and upload:
            if self._phase is Phase.OVER:
                return Reason.STALE
            self._have_result(ctx, body)
            return None
        if isinstance(body, ResultAck) and not upload:
            return self._told_result(ctx, body)
        return Reason.UNEXPECTED

    def _agreed(self, ctx: PortContext) -> Reason | None:
        if self._phase is not Phase.ASKING:
            return Reason.REPEATED
        self._phase, self._began = Phase.RUNNING, time.monotonic()
        self.tell(What.STARTED, self._test)
        self._tell_port(ctx, "start")
        return None

    def _have_result(self, ctx: PortContext, result: Result) -> None:
        """The server has spoken: what is still being sent is in vain."""
        self._tell_port(ctx, "stop")
        self._guids[result.guid] = self._channel
        self._send_ack(ctx, result.guid)
        fields = result._asdict()
        del fields["guid"], fields["channel"]
        self.tell(What.RESULT, (Direction.UPLOAD, self._channel, fields))
        self._next(ctx)

    def _told_result(self, ctx: PortContext, body: ResultAck) -> Reason | None:
        if self._result is None or body.guid != self._result["guid"]:
            return Reason.STALE
        if self._phase is not Phase.TELLING:
            return Reason.REPEATED
        if body.sent is not None:
            self.tell(What.SENT, (Direction.DOWNLOAD, dict(zip(SENT, body.sent, strict=True))))
        self.tell(What.ACKED, Direction.DOWNLOAD)
        self._next(ctx)
        return None

    def _next(self, ctx: PortContext) -> None:
        if self._number + 1 == len(self.tests):
            self._phase = Phase.OVER
            return
        self._number += 1
        self._channel = _channel_other_than(self.terms.key)
        self._phase, self._port_started, self._result = Phase.WAITING, False, None
        self._ask(ctx)

    def _send_request(self, ctx: PortContext) -> None:
        fields: dict[str, object] = {"channel": self._channel, "duration": self.config.duration}
        if self._direction is Direction.UPLOAD:
            fields = {"cmd": "BWUP", **fields}
        else:
            fields = {"cmd": "BWDOWN", **fields, "length": self.config.bw_packet_length}
        self.send(ctx, Kind.CONTROL, self._channel, fields)

    def _send_result(self, ctx: PortContext) -> None:
        assert self._result is not None
        self.send(ctx, Kind.TEST_RESULT, self._channel, self._result)

    def _acknowledge(self, ctx: PortContext) -> None:
        for guid in self._guids:
            self._send_ack(ctx, guid)

    def _send_ack(self, ctx: PortContext, guid: str) -> None:
        fields: dict[str, object] = {"cmd": "TEST_RESULT", "ack": 0, "guid": guid}
        self.send(ctx, Kind.TEST_RESULT, self._guids[guid], fields)


def _channel_other_than(key: int) -> int:
    channel = random.randrange(1, MAX_CHANNEL)
    return channel if channel < key or key == 0 else channel + 1
