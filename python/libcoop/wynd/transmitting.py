"""The side of a bandwidth test that sends: the client's UPLOAD, the server's DOWNLOAD.

Guarantees: data goes out in bursts of equal packets, as fast as the socket and the pacer let it and as the settings
allow; what the reports prove lost goes out again; a test ends once, with one packet of new data.

A port that takes another's place goes on above every number that one can have used: `kept` runs ahead by a turn. What
lies between is missing at the other side, and goes out again as anything that is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .events import Address, Direction, Progress, What
from .pacing import Pacer
from .packet import Packet, Reason
from .ports import PortHandler
from .sending import Burst, Run, Sender

if TYPE_CHECKING:
    from libcoop import PortContext

PROGRESS_EVERY = 0.25  # seconds
_TURN_PACKETS = 512  # handed to the socket in one turn; between turns the loop looks at what came in
_BACKLOG_PACKETS = 1024  # with so many not yet taken by the kernel a turn sends nothing
_PAUSE = 0.001  # seconds to the next turn when there is a limit
_SHUT = 0.02  # seconds to the next turn when nothing may go out


class Transmitter:
    """One port's. `ended` is told what was sent, with the channel; `may_send` is asked before each turn."""

    def __init__(
        self,
        port: PortHandler,
        direction: Direction,
        ended: Callable[[PortContext, int, dict[str, Any]], None],
        may_send: Callable[[float], bool] = lambda now: True,
    ) -> None:
        self._port = port
        self._direction = direction
        self._on_end = ended
        self._may_send = may_send
        self.channel = 0  # of the test at hand, or of the last one
        self.started = False
        self._burst: Burst | None = None  # while a test runs
        self._length = 0
        self._to: Address | None = None
        self._sender = Sender(1)
        self._pacer = Pacer()
        self._turn_timer = 0
        self._withheld = 0  # packets that --test-drop-rate took
        self._duration = self._began = self._told = 0.0
        self._most_send_time = port.config.max_send_time / 1e6
        self._least_pause = max(port.config.send_sleep / 1e6, port.config.test_delay / 1e3)

    @property
    def running(self) -> bool:
        """Whether a test sends."""
        return self._burst is not None

    def expect(self, ctx: PortContext, channel: int) -> None:
        """A test on `channel` comes next: reports may be here before its start."""
        if channel != self.channel:
            self.end(ctx)
            self.channel, self.started, self._withheld, self._began = channel, False, 0, 0.0
            self._sender, self._pacer = Sender(self._port.config.flow_control_rate), Pacer()

    def start(self, ctx: PortContext, channel: int, duration: float, length: int, to: Address | None) -> None:
        """Send for `duration` seconds, packets whose string is `length` bytes. Once for a channel."""
        self.expect(ctx, channel)
        if not self.started:
            self.started = True
            self._duration, self._length, self._to = duration, length, to
            self._burst = Burst(channel, length)
            self._turn_timer = self._port.after(ctx, 0.0, self._turn)

    def reported(self, packet: Packet) -> Reason | None:
        """FLOW_CONTROL has come."""
        if packet.channel != self.channel:
            return Reason.STALE
        if self.started and self._burst is None:
            return Reason.LATE
        spans: tuple[tuple[int, int], ...] = packet.body  # type: ignore[assignment]
        lost = self._sender.on_flow_control(packet.sequence, spans)
        if lost is None:
            return Reason.STALE
        self._pacer.on_flow_control(time.monotonic(), spans, self._sender.unsent)
        self._port.log(f"FLOW_CONTROL {packet.sequence}: {len(spans)} spans, {lost} lost, limit {self._pacer.rate}")
        return None

    def end(self, ctx: PortContext) -> None:
        """Now, if a test runs."""
        burst, self._burst = self._burst, None
        if burst is None:
            return
        self._port.cancel(ctx, self._turn_timer)
        sender = self._sender
        if sender.last_was_again:
            self._emit(ctx, burst, sender.next_fresh())
        self._tell(time.monotonic(), burst)
        self._on_end(ctx, self.channel, self.figures(burst))

    def figures(self, burst: Burst) -> dict[str, Any]:
        """What was sent so far."""
        packets = self._sender.sequence - self._withheld
        return {
            "packets_sent": packets,
            "bytes_sent": packets * burst.size,
            "retransmitted": self._sender.retransmitted,
            "withheld": self._withheld,
            "seconds": time.monotonic() - self._began if self._began else 0.0,
        }

    def kept(self) -> Any:
        """For `resume`; None without a test."""
        if not self.channel:
            return None
        times = self._began, self._duration
        state = self.started, self._burst is not None, self._length, self._to, self._withheld
        return self.channel, times, state, self._sender.kept(_TURN_PACKETS if self._burst is not None else 0)

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """Go on with what the port before this one was at."""
        if kept is None:
            return
        self.channel, times, state, sender = kept
        self._began, self._duration = times
        self.started, running, self._length, self._to, self._withheld = state
        self._sender = Sender(self._port.config.flow_control_rate)
        self._sender.resume(sender)
        if running:
            self._burst = Burst(self.channel, self._length)
            self._turn_timer = self._port.after(ctx, 0.0, self._turn)

    def _turn(self, ctx: PortContext) -> None:
        burst = self._burst
        if burst is None:
            return
        now = time.monotonic()
        if not self._may_send(now) and not (self._began and now >= self._began + self._duration):
            self._turn_timer = self._port.after(ctx, _SHUT, self._turn)
            return
        if not self._began:
            self._began = now
            self._tell(now, burst)
        deadline = self._began + self._duration
        if now >= deadline:
            self.end(ctx)
            return
        most = _TURN_PACKETS if ctx.backlog < _BACKLOG_PACKETS else 0
        held = most == 0
        allowance = self._pacer.allowance(now)
        if allowance is not None and allowance < most:
            most = allowance
            held = True
        until = now + self._most_send_time if self._most_send_time else deadline
        count, again = 0, self._sender.retransmitted
        while count < most:
            run = self._sender.next_run(min(most - count, burst.most))
            self._emit(ctx, burst, run)
            count += run.packets
            if time.monotonic() >= until:
                break
        if count:
            self._pacer.sent(now, count, self._sender.unsent, self._sender.retransmitted - again)
        if now - self._told >= PROGRESS_EVERY:
            self._tell(now, burst)
        self._turn_timer = self._port.after(ctx, max(self._least_pause, _PAUSE if held else 0.0), self._turn)

    def _tell(self, now: float, burst: Burst) -> None:
        self._told = now
        packets = self._sender.sequence - self._withheld
        lost = self._sender.retransmitted
        self._port.tell(
            What.PROGRESS, Progress(self._direction, now, packets, packets * burst.size, lost, receiving=False)
        )

    def _emit(self, ctx: PortContext, burst: Burst, run: Run) -> None:
        data, size, to = burst.fill(run), burst.size, self._to
        if not self._port.config.test_drop_rate:
            ctx.sendto(data, to, segment_size=size)
            return
        view = memoryview(data)
        begin = 0
        for index in range(run.packets + 1):
            if index == run.packets or self._port.unlucky():
                self._withheld += index < run.packets
                if begin < index:
                    ctx.sendto(view[begin * size : index * size], to, segment_size=size)
                begin = index + 1
