"""The server's CONTROL port of one client: requests for tests, and their results.

Guarantees: a test starts once however often it is asked for, one at a time; an upload's result is sent until it is
acknowledged; a download's is acknowledged as often as it comes.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from .events import Direction, Trial, What
from .mailbox import Outlet
from .packet import Bwdown, Bwup, Kind, Packet, Reason, Result, ResultAck
from .ports import DOWNLOAD, UPLOAD, Terms
from .server_ports import ServerPort

if TYPE_CHECKING:
    from libcoop import PortContext

_REMEMBERED = 64  # finished tests whose late messages are acknowledged
_OVERDUE = 0.5  # seconds after a test's end at which its result is asked for again


class ServerControl(ServerPort):
    """CONTROL: one test at a time, from the request to the acknowledged result."""

    def __init__(self, terms: Terms, outlet: Outlet) -> None:
        super().__init__(terms, outlet)
        self._test: Trial | None = None  # at hand, until its result is acknowledged
        self._length = 0
        self._asked = 0.0  # monotonic seconds
        self._started = False
        self._result: dict[str, Any] | None = None  # an upload's, as sent; a download's, once it has come
        self._sent: dict[str, Any] | None = None  # a download's
        self._timer = 0
        self._finished: deque[tuple[Direction, int]] = deque(maxlen=_REMEMBERED)
        self._acknowledged: deque[tuple[str, Any]] = deque(maxlen=_REMEMBERED)  # guid, what went back with it

    def keep(self) -> Any:
        """The test, and what is remembered of past ones."""
        test = self._test, self._length, self._asked, self._started, self._result, self._sent
        return super().keep(), test, list(self._finished), list(self._acknowledged)

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """A test at hand goes on."""
        peer, test, finished, acknowledged = kept
        super().resume(ctx, peer)
        self._test, self._length, self._asked, self._started, self._result, self._sent = test
        self._finished.extend(finished)
        self._acknowledged.extend(acknowledged)
        if self._test is not None:
            self._timer = self.every(ctx, self.config.ucm_rate / 1000, self._again)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """Requests for tests, results of downloads, acknowledgements of uploads'."""
        body = packet.body
        if isinstance(body, Bwup) and not body.ack:
            return self._request(ctx, Direction.UPLOAD, body.channel, body.duration, 0)
        if isinstance(body, Bwdown) and not body.ack:
            length = self.config.bw_packet_length if body.length is None else body.length
            return self._request(ctx, Direction.DOWNLOAD, body.channel, body.duration, length)
        if isinstance(body, ResultAck):
            return self._acked(ctx, body.guid)
        if isinstance(body, Result):
            return self._came(ctx, packet.channel, body)
        return Reason.UNEXPECTED

    def _request(
        self, ctx: PortContext, direction: Direction, channel: int, duration: float | None, length: int
    ) -> Reason | None:
        if channel == self.terms.key:
            return Reason.BAD_FIELD
        test = self._test
        if test is not None and (test.direction, test.channel) == (direction, channel):
            if self._started:
                self._ack_request(ctx, test)
            else:
                self._ask(ctx)
            return None
        if (direction, channel) in self._finished:
            self._ack_request(ctx, Trial(direction, channel, duration or self.config.duration))
            return None
        now = time.monotonic()
        if test is not None and not self._ended() and now < self._asked + test.duration + self.config.silence_timeout:
            return Reason.BUSY
        self._close_test(ctx)  # a new test gives up an unacknowledged result
        self._test = Trial(direction, channel, duration or self.config.duration)
        self._length, self._asked = length, now
        self._timer = self.every(ctx, self.config.ucm_rate / 1000, self._again)
        self._ask(ctx)
        return None

    def _ended(self) -> bool:
        return self._result is not None or self._sent is not None

    def _ask(self, ctx: PortContext) -> None:
        """The test's port to start it, or to say again what it has said."""
        test = self._test
        if test is not None and test.direction is Direction.UPLOAD:
            self.pass_on(ctx, UPLOAD, "start", test.channel, test.duration)
        elif test is not None:
            self.pass_on(ctx, DOWNLOAD, "start", test.channel, test.duration, self._length)

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """From the test's port: it has started, or ended. A request is acknowledged only once that port knows the
        channel, so that no packet of the test can come before."""
        what, channel, fields = message
        test = self._test
        if test is None or channel != test.channel:
            return
        if not self._started:
            self._started = True
            self.tell(What.STARTED, test)
            self._ack_request(ctx, test)
        if what == "result" and self._result is None:
            self._result = {"cmd": "TEST_RESULT", "ack": 1, "guid": str(uuid.uuid4()), "channel": channel, **fields}
            self._result["uid"] = str(uuid.uuid4())
            self.tell(What.RESULT, (Direction.UPLOAD, channel, fields, None))
            self._send_result(ctx)
        elif what == "sent" and self._sent is None:
            self._sent = fields
            if self._result is not None:
                self._finish_download(ctx)

    def _again(self, ctx: PortContext) -> None:
        """An upload's result until it is acknowledged; and what the test's port should have said long ago."""
        test = self._test
        if test is None:
            return
        if test.direction is Direction.UPLOAD and self._result is not None:
            self._send_result(ctx)
        elif not self._ended() and time.monotonic() > self._asked + test.duration + _OVERDUE:
            self._ask(ctx)

    def _acked(self, ctx: PortContext, guid: str) -> Reason | None:
        result = self._result
        if self._test is not None and self._test.direction is Direction.UPLOAD and result and guid == result["guid"]:
            self._acknowledged.append((guid, None))
            self._close_test(ctx)
            self.tell(What.ACKED, Direction.UPLOAD)
            return None
        return Reason.REPEATED if guid in dict(self._acknowledged) else Reason.STALE

    def _came(self, ctx: PortContext, channel: int, result: Result) -> Reason | None:
        """The result of a download, from the client."""
        before = dict(self._acknowledged)
        if result.guid in before:
            self._ack_result(ctx, channel, result.guid, before[result.guid])
            return Reason.REPEATED
        test = self._test
        if test is None or test.direction is not Direction.DOWNLOAD or channel != test.channel:
            return Reason.STALE
        self._result = result._asdict()
        if self._sent is None:
            self.pass_on(ctx, DOWNLOAD, "stop", channel)
        else:
            self._finish_download(ctx)
        return None

    def _finish_download(self, ctx: PortContext) -> None:
        assert self._test is not None
        assert self._result is not None
        channel, guid = self._test.channel, self._result.pop("guid")
        self._result.pop("channel")
        self.tell(What.RESULT, (Direction.DOWNLOAD, channel, self._result, self._sent))
        self.tell(What.ACKED, Direction.DOWNLOAD)
        self._acknowledged.append((guid, self._sent))
        self._ack_result(ctx, channel, guid, self._sent)
        self._close_test(ctx)

    def _close_test(self, ctx: PortContext) -> None:
        if self._test is None:
            return
        self._finished.append((self._test.direction, self._test.channel))
        self._test, self._result, self._sent, self._started = None, None, None, False
        self.cancel(ctx, self._timer)

    def _ack_request(self, ctx: PortContext, test: Trial) -> None:
        command = "BWUP" if test.direction is Direction.UPLOAD else "BWDOWN"
        fields = {"cmd": command, "channel": test.channel, "duration": test.duration, "ack": 0}
        self.send(ctx, Kind.CONTROL, test.channel, {**fields, "uid": str(uuid.uuid4())}, self.pinned)

    def _ack_result(self, ctx: PortContext, channel: int, guid: str, sent: dict[str, Any] | None) -> None:
        fields = {"cmd": "TEST_RESULT", "ack": 0, "guid": guid, "sent": sent}
        self.send(ctx, Kind.TEST_RESULT, channel, fields, self.pinned)

    def _send_result(self, ctx: PortContext) -> None:
        assert self._test is not None
        assert self._result is not None
        self.send(ctx, Kind.TEST_RESULT, self._test.channel, self._result, self.pinned)
