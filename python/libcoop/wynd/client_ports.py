"""The client's handlers, on sockets connected to the server's three ports.

Guarantees: each port opens with HEARTBEAT_0 and repeats it until the server answers; a test's data goes out in bursts
of equal packets, as fast as the socket and the pacer let it; a closed port on the other side ends nothing here.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from .events import Address, Mailbox, What
from .pacing import Pacer
from .packet import MAX_CHANNEL, Bwup, Echo, Kind, Packet, Reason, Result
from .ports import CONTROL, UPLOAD, PortHandler, Terms
from .sending import Burst, Run, Sender

if TYPE_CHECKING:
    from libcoop import PortContext

_TURN_PACKETS = 512  # handed to the socket in one turn; between turns the loop looks at what came in
_BACKLOG_PACKETS = 1024  # with so many not yet taken by the kernel a turn sends nothing
_PAUSE = 0.001  # seconds to the next turn when there is a limit


class ClientPort(PortHandler):
    """Opening and heartbeats; DOWNLOAD is this and nothing more."""

    def __init__(self, terms: Terms, mailbox: Mailbox, bwup: bool) -> None:
        super().__init__(terms, mailbox, terms.config.client_timeout)
        self.bwup = bwup
        self._up = False
        self._heartbeat_timer = 0

    def on_start(self, ctx: PortContext) -> None:
        """The first HEARTBEAT_0; again every ucm_delay until one is answered."""
        super().on_start(ctx)
        self._heartbeat_timer = ctx.set_timer(self._opening_delay(), repeat=True)
        self._heartbeat(ctx)

    def _opening_delay(self) -> float:
        return min(self.config.ucm_delay, self.config.heartbeat_rate) / 1000

    def stranger(self, address: Address) -> bool:
        """Never: the socket is connected, so the kernel passes the server's packets only."""
        return False

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """A heartbeat is due."""
        if timer == self._heartbeat_timer:
            self._heartbeat(ctx)

    def _heartbeat(self, ctx: PortContext) -> None:
        now = time.time()
        self.awaited.sent(now)
        self.send(ctx, Kind.HEARTBEAT_0, self.terms.key, {"timestamp": now})

    def admit(self, ctx: PortContext, packet: Packet, address: Address) -> Reason | None:
        """HEARTBEAT_1 here, all else to `take`."""
        if packet.kind is not Kind.HEARTBEAT_1:
            return self.take(ctx, packet)
        if packet.channel != self.terms.key or not isinstance(packet.body, Echo):
            return Reason.WRONG_KEY
        self.send(ctx, Kind.HEARTBEAT_2, self.terms.key, dict(packet.body._asdict()))
        if not self._up:
            self._up = True
            ctx.cancel_timer(self._heartbeat_timer)
            self._heartbeat_timer = ctx.set_timer(self.config.heartbeat_rate / 1000, repeat=True)
            self.tell(What.UP)
            self.on_up(ctx)
        return self.measured(packet.body.client_timestamp)

    def on_up(self, ctx: PortContext) -> None:
        """The server answers on this port."""

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """A packet that is no heartbeat."""
        return Reason.UNEXPECTED


class ClientControl(ClientPort):
    """CONTROL: asks for the test, has the result, acknowledges it."""

    def __init__(self, terms: Terms, mailbox: Mailbox, bwup: bool) -> None:
        super().__init__(terms, mailbox, bwup)
        self._channel = _channel_other_than(terms.key)
        self._upload_up = False
        self._started = False
        self._result: Result | None = None
        self._timer = 0  # repeats BWUP, later the acknowledgement

    def on_up(self, ctx: PortContext) -> None:
        """CONTROL answers."""
        self._ask(ctx)

    def on_message(self, ctx: PortContext, sender: str, message: Any) -> None:
        """UPLOAD answers: the test can begin."""
        self._upload_up = True
        self._ask(ctx)

    def _ask(self, ctx: PortContext) -> None:
        if self.bwup and self._up and self._upload_up and not self._timer:
            self.pass_on(ctx, UPLOAD, ("channel", self._channel, 0.0))
            self._timer = ctx.set_timer(self.config.ucm_delay / 1000, repeat=True)
            self._send_bwup(ctx)

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """BWUP again until it is acknowledged; the result's acknowledgement again until the client leaves."""
        super().on_timer(ctx, timer)
        if timer == self._timer:
            if self._result is not None:
                self._send_ack(ctx)
            elif not self._started:
                self._send_bwup(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """The acknowledgement of BWUP, and TEST_RESULT."""
        if packet.channel != self._channel:
            return Reason.STALE
        body = packet.body
        if isinstance(body, Bwup) and body.ack:
            if self._started:
                return Reason.REPEATED
            self._start(ctx)
            return None
        if isinstance(body, Result):
            if self._result is None:
                self._result = body
                self._started = True
                self.pass_on(ctx, UPLOAD, ("stop", 0, 0.0))
                self.tell(What.RESULT, body)
            elif body.guid != self._result.guid:
                return Reason.STALE
            self._send_ack(ctx)
            return None
        return Reason.UNEXPECTED

    def _start(self, ctx: PortContext) -> None:
        self._started = True
        self.tell(What.STARTED, self.config.duration)
        self.pass_on(ctx, UPLOAD, ("start", self._channel, self.config.duration))

    def _send_bwup(self, ctx: PortContext) -> None:
        fields: dict[str, object] = {"cmd": "BWUP", "channel": self._channel, "duration": self.config.duration}
        self.send(ctx, Kind.CONTROL, self._channel, fields)

    def _send_ack(self, ctx: PortContext) -> None:
        assert self._result is not None
        fields: dict[str, object] = {"cmd": "TEST_RESULT", "ack": 0, "guid": self._result.guid}
        self.send(ctx, Kind.TEST_RESULT, self._channel, fields)


class ClientUpload(ClientPort):
    """UPLOAD: the test's data out, FLOW_CONTROL in."""

    def __init__(self, terms: Terms, mailbox: Mailbox, bwup: bool) -> None:
        super().__init__(terms, mailbox, bwup)
        self._channel = 0
        self._sender = Sender(terms.config.flow_control_rate)
        self._pacer = Pacer()
        self._burst: Burst | None = None  # while a test runs
        self._turn_timer = 0
        self._withheld = 0  # packets that --test-drop-rate took
        self._began = self._deadline = 0.0
        self._ended = False
        self._most_send_time = terms.config.max_send_time / 1e6
        self._least_pause = max(terms.config.send_sleep / 1e6, terms.config.test_delay / 1e3)

    def on_up(self, ctx: PortContext) -> None:
        """CONTROL waits for this before it asks for a test."""
        self.pass_on(ctx, CONTROL, "up")

    def on_message(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL names the channel, then starts and stops the test. The channel comes first, because FLOW_CONTROL
        may be here before the acknowledgement of BWUP."""
        what, channel, duration = message
        if what == "channel":
            self._channel = channel
        elif what == "start" and not self._began:
            self._burst = Burst(self._channel, self.config.bw_packet_length)
            self._began = time.monotonic()
            self._deadline = self._began + duration
            self._turn(ctx)
        elif what == "stop":
            self._end(ctx)

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """The next turn of sending."""
        super().on_timer(ctx, timer)
        if timer == self._turn_timer:
            self._turn(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """FLOW_CONTROL."""
        if packet.kind is not Kind.FLOW_CONTROL:
            return Reason.UNEXPECTED
        if packet.channel != self._channel:
            return Reason.STALE
        if self._ended:
            return Reason.LATE
        spans: tuple[tuple[int, int], ...] = packet.body  # type: ignore[assignment]
        lost = self._sender.on_flow_control(packet.sequence, spans)
        if lost is None:
            return Reason.STALE
        self._pacer.on_flow_control(time.monotonic(), spans, self._sender.unsent)
        self.log(f"FLOW_CONTROL {packet.sequence}: {len(spans)} spans, {lost} lost, limit {self._pacer.rate}")
        return None

    def _turn(self, ctx: PortContext) -> None:
        burst = self._burst
        if burst is None:
            return
        now = time.monotonic()
        if now >= self._deadline:
            self._end(ctx)
            return
        most = _TURN_PACKETS if ctx.backlog < _BACKLOG_PACKETS else 0
        held = most == 0
        allowance = self._pacer.allowance(now)
        if allowance is not None and allowance < most:
            most = allowance
            held = True
        until = now + self._most_send_time if self._most_send_time else self._deadline
        count, again = 0, self._sender.retransmitted
        while count < most:
            run = self._sender.next_run(min(most - count, burst.most))
            self._emit(ctx, burst, run)
            count += run.packets
            if time.monotonic() >= until:
                break
        if count:
            self._pacer.sent(now, count, self._sender.unsent, self._sender.retransmitted - again)
        self._turn_timer = ctx.set_timer(max(self._least_pause, _PAUSE if held else 0.0))

    def _emit(self, ctx: PortContext, burst: Burst, run: Run) -> None:
        data, size = burst.fill(run), burst.size
        if not self.config.test_drop_rate:
            ctx.sendto(data, segment_size=size)
            return
        view = memoryview(data)
        begin = 0
        for index in range(run.packets + 1):
            if index == run.packets or self.unlucky():
                self._withheld += index < run.packets
                if begin < index:
                    ctx.sendto(view[begin * size : index * size], segment_size=size)
                begin = index + 1

    def _end(self, ctx: PortContext) -> None:
        self._ended = True
        burst, self._burst = self._burst, None
        if burst is None:
            return
        sender = self._sender
        if sender.last_was_again:
            self._emit(ctx, burst, sender.next_fresh())
        sent = {
            "packets_sent": sender.sequence - self._withheld,
            "bytes_sent": (sender.sequence - self._withheld) * burst.size,
            "retransmitted": sender.retransmitted,
            "withheld": self._withheld,
            "seconds": time.monotonic() - self._began,
        }
        self.tell(What.SENT, sent)


def _channel_other_than(key: int) -> int:
    channel = random.randrange(1, MAX_CHANNEL)
    return channel if channel < key or key == 0 else channel + 1
