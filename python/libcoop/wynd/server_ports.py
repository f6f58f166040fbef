"""The server's handlers: the main port, and CONTROL, UPLOAD and DOWNLOAD of one client.

Guarantees: a client's ports take packets from the IP address that sent CONNECT only, and from one port of it: the one
that sent the first HEARTBEAT_0 with the right key. A test starts once however often BWUP comes; its result is sent
until it is acknowledged.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .config import Config
from .events import Address, Event, Mailbox, PortSummary, What
from .packet import CONNECT, Bwup, Echo, Kind, Packet, Reason, ResultAck, encode_flow_control
from .ports import CONTROL, UPLOAD, PortHandler, Terms
from .receiving import Offsets, Receiver

if TYPE_CHECKING:
    from libcoop import Batch, PortContext

MAIN = "main"
_REMEMBERED = 64  # finished tests whose late BWUP is acknowledged


class MainPort:
    """Answers CONNECT and nothing else. The answer to a new address comes from the main thread, which has the ports."""

    def __init__(self, config: Config, mailbox: Mailbox) -> None:
        self._config = config
        self._mailbox = mailbox
        self._answers: dict[Address, bytes | None] = {}  # None: being made, or no longer given
        self._in_use: set[Address] = set()
        self._of_host: Counter[str] = Counter()
        self._summary = PortSummary()
        self._dropped: Counter[str] = Counter()

    def on_start(self, ctx: PortContext) -> None:
        """Nothing to prepare."""

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        """Datagrams of anyone."""
        for data, address in batch:
            reason = self._connect(ctx, address) if data == CONNECT else Reason.NOT_CONNECT
            if reason is None:
                self._summary.accepted += 1
            else:
                self._dropped[reason] += 1

    def _connect(self, ctx: PortContext, address: Address) -> Reason | None:
        config = self._config
        if address in self._answers:
            answer = self._answers[address]
            if answer is not None:
                ctx.sendto(answer, address)
            return Reason.CONNECTED if address in self._in_use else None
        if len(self._answers) >= config.max_clients:
            return Reason.LIMIT_ALL
        if self._of_host[address[0]] >= config.max_clients_per_address:
            return Reason.LIMIT_ADDRESS
        self._answers[address] = None
        self._of_host[address[0]] += 1
        self._mailbox.put(Event(0, MAIN, What.CONNECT, address))
        return None

    def on_message(self, ctx: PortContext, sender: str, message: tuple[str, Address, bytes]) -> None:
        """From the main thread: `answer`, `used` (comms are up), `forget` (freed) or `refuse` (no ports)."""
        what, address, answer = message
        if what == "answer":
            self._answers[address] = answer
            ctx.sendto(answer, address)
        elif what == "used":
            self._answers[address] = None
            self._in_use.add(address)
        else:
            if what == "refuse":
                self._dropped[Reason.NO_PORTS] += 1
            self._answers.pop(address, None)
            self._in_use.discard(address)
            self._of_host[address[0]] -= 1
            if self._of_host[address[0]] <= 0:
                del self._of_host[address[0]]

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """No timers."""

    def on_stop(self, ctx: PortContext) -> None:
        """Hand in the figures."""
        self._summary.dropped = dict(self._dropped)
        self._mailbox.put(Event(0, MAIN, What.SUMMARY, self._summary))


class ServerPort(PortHandler):
    """Pinning and heartbeats; DOWNLOAD is this and nothing more."""

    def __init__(self, terms: Terms, mailbox: Mailbox) -> None:
        super().__init__(terms, mailbox, terms.config.silence_timeout)
        self.pinned: Address | None = None

    def admit(self, ctx: PortContext, packet: Packet, address: Address) -> Reason | None:
        """Heartbeats here, all else to `take`."""
        key = self.terms.key
        if self.pinned is None:
            if packet.kind is not Kind.HEARTBEAT_0:
                return Reason.UNPINNED
            if packet.channel != key:
                return Reason.WRONG_KEY
            self.pinned = address
            self.tell(What.UP)
            self.on_pinned(ctx)
        elif address != self.pinned:
            return Reason.WRONG_PORT
        if packet.kind is Kind.HEARTBEAT_0:
            if packet.channel != key:
                return Reason.WRONG_KEY
            now = time.time()
            self.awaited.sent(now)
            echo: dict[str, object] = {"client_timestamp": packet.body, "server_timestamp": now}
            self.send(ctx, Kind.HEARTBEAT_1, key, echo, address)
            return None
        if packet.kind is Kind.HEARTBEAT_2:
            if packet.channel != key or not isinstance(packet.body, Echo):
                return Reason.WRONG_KEY
            return self.measured(packet.body.server_timestamp)
        return self.take(ctx, packet)

    def on_pinned(self, ctx: PortContext) -> None:
        """The port has its peer."""

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """A packet of the peer that is no heartbeat."""
        return Reason.UNEXPECTED


class ServerControl(ServerPort):
    """CONTROL: one test at a time, from BWUP to the acknowledged result."""

    def __init__(self, terms: Terms, mailbox: Mailbox) -> None:
        super().__init__(terms, mailbox)
        self._channel: int | None = None  # of the test at hand, until its result is acknowledged
        self._duration = 0.0
        self._started = False
        self._result: dict[str, object] | None = None
        self._timer = 0
        self._finished: deque[int] = deque(maxlen=_REMEMBERED)
        self._acknowledged: deque[str] = deque(maxlen=_REMEMBERED)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """BWUP and the acknowledgement of the result."""
        body = packet.body
        if isinstance(body, Bwup) and not body.ack:
            return self._bwup(ctx, body)
        if isinstance(body, ResultAck):
            return self._acked(ctx, body.guid)
        return Reason.UNEXPECTED

    def _bwup(self, ctx: PortContext, body: Bwup) -> Reason | None:
        if body.channel == self.terms.key:
            return Reason.BAD_FIELD
        if body.channel == self._channel:
            if self._started:
                self._ack_bwup(ctx, body.channel)
            return None
        if body.channel in self._finished:
            self._ack_bwup(ctx, body.channel)
            return None
        if self._channel is not None and self._result is None:
            return Reason.BUSY
        self._close_test(ctx)  # a new test gives up an unacknowledged result
        self._channel = body.channel
        self._duration = body.duration or self.config.duration
        self.pass_on(ctx, UPLOAD, ("start", body.channel, self._duration))
        return None

    def on_message(self, ctx: PortContext, sender: str, message: Any) -> None:
        """From UPLOAD: the test has started, or ended. BWUP is acknowledged only once UPLOAD knows the channel, so
        that no packet of the test can come before."""
        what, channel, fields = message
        if channel != self._channel:
            return
        if what == "started":
            self._started = True
            self.tell(What.STARTED, self._duration)
            self._ack_bwup(ctx, channel)
        else:
            self._result = {"cmd": "TEST_RESULT", "ack": 1, "guid": str(uuid.uuid4()), "channel": channel, **fields}
            self._result["uid"] = str(uuid.uuid4())
            self.tell(What.RESULT, fields)
            self._send_result(ctx)
            self._timer = ctx.set_timer(self.config.ucm_rate / 1000, repeat=True)

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """The result again, until it is acknowledged."""
        if timer == self._timer and self._result is not None:
            self._send_result(ctx)

    def _acked(self, ctx: PortContext, guid: str) -> Reason | None:
        if self._result is not None and guid == self._result["guid"]:
            self._acknowledged.append(guid)
            self._close_test(ctx)
            self.tell(What.ACKED)
            return None
        return Reason.REPEATED if guid in self._acknowledged else Reason.STALE

    def _close_test(self, ctx: PortContext) -> None:
        if self._channel is None:
            return
        self._finished.append(self._channel)
        self._channel, self._result, self._started = None, None, False
        if self._timer:
            ctx.cancel_timer(self._timer)
            self._timer = 0

    def _ack_bwup(self, ctx: PortContext, channel: int) -> None:
        fields = {"cmd": "BWUP", "channel": channel, "duration": self._duration, "ack": 0, "uid": str(uuid.uuid4())}
        self.send(ctx, Kind.CONTROL, channel, fields, self.pinned)

    def _send_result(self, ctx: PortContext) -> None:
        assert self._channel is not None
        assert self._result is not None
        self.send(ctx, Kind.TEST_RESULT, self._channel, self._result, self.pinned)


class ServerUpload(ServerPort):
    """UPLOAD: takes BANDWIDTH_TEST a batch at a time and reports what is missing."""

    def __init__(self, terms: Terms, mailbox: Mailbox) -> None:
        super().__init__(terms, mailbox)
        self._receiver: Receiver | None = None
        self._ended: Receiver | None = None  # of the last test: its totals are out, it only finds what comes late
        self._finished: deque[int] = deque(maxlen=_REMEMBERED)
        self._end_timer = 0
        self._report_timer = 0

    def in_bulk(self, data: memoryview, offsets: Offsets, begin: int, end: int, address: Address) -> Iterable[int]:
        """The test's packets are counted by runs."""
        scanner = self._receiver or self._ended
        if scanner is None or address != self.pinned:
            return range(begin, end)
        rest = scanner.scan(data, offsets, begin, end)
        taken = end - begin - len(rest)
        if taken and scanner is self._receiver:
            self.accept(taken)
        elif taken:
            self.dropped[Reason.LATE] += taken
        return rest

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """What the scan left: packets of no test, or of a finished one."""
        if packet.kind is not Kind.BANDWIDTH_TEST:
            return Reason.UNEXPECTED
        return Reason.LATE if packet.channel in self._finished else Reason.STALE

    def on_message(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL starts a test."""
        _, channel, duration = message
        self._receiver = Receiver(channel, time.monotonic())
        self._end_timer = ctx.set_timer(duration)
        self._report_timer = ctx.set_timer(self.config.flow_control_interval, repeat=True)
        self.pass_on(ctx, CONTROL, ("started", channel, {}))
        self._report(ctx)  # the peer's client sends nothing before it has seen one

    def on_pinned(self, ctx: PortContext) -> None:
        """A test that began before the port had its peer reports now."""
        self._report(ctx)

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """FLOW_CONTROL, and the end of the test."""
        if timer == self._report_timer:
            self._report(ctx)
        elif timer == self._end_timer and self._receiver is not None:
            ctx.cancel_timer(self._report_timer)
            self._end_timer = self._report_timer = 0
            receiver, self._receiver = self._receiver, None
            self._ended = receiver
            totals = receiver.finish(time.monotonic())
            self._finished.append(receiver.channel)
            self.log(f"test ended: {totals}, {receiver.distinct} distinct, {receiver.gaps.forgotten} forgotten")
            self.pass_on(ctx, CONTROL, ("result", receiver.channel, totals._asdict()))

    def _report(self, ctx: PortContext) -> None:
        receiver = self._receiver
        if receiver is None or self.pinned is None:
            return
        channel = receiver.channel
        spans = receiver.gaps.lowest()
        self.transmit(ctx, encode_flow_control(channel, self.next_sequence(channel), spans), self.pinned)
