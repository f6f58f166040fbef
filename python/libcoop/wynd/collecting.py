"""The side of a bandwidth test that receives: the server's UPLOAD, the client's DOWNLOAD.

Guarantees: a test is counted from its start for its duration, whatever comes; what is missing is reported at equal
intervals from the moment the test is known; each of the last results can be asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .events import Address, Direction, Progress, What
from .packet import Packet, Reason, encode_flow_control
from .ports import PortHandler
from .receiving import Offsets, Receiver

if TYPE_CHECKING:
    from libcoop import PortContext

PROGRESS_EVERY = 0.25  # seconds
_REMEMBERED = 16  # tests that have ended


class Collector:
    """One port's. `interval` is the seconds between reports; `peer` is asked whom they go to: (whether there is one
    yet, its address, None on a connected socket)."""

    def __init__(
        self,
        port: PortHandler,
        direction: Direction,
        interval: float,
        peer: Callable[[], tuple[bool, Address | None]],
        ended: Callable[[PortContext, int, dict[str, Any]], None],
    ) -> None:
        self._port = port
        self._direction = direction
        self._interval = interval
        self._peer = peer
        self._on_end = ended
        self._receiver: Receiver | None = None
        self._late: Receiver | None = None  # of the last test: its totals are out, it only finds what comes late
        self._results: dict[int, dict[str, Any]] = {}
        self._duration = 0.0
        self._clock = 0.0  # monotonic seconds at which the test began; 0: not yet
        self._timers: list[int] = []

    def expect(self, ctx: PortContext, channel: int, duration: float) -> bool:
        """Be ready for a test; False if it has ended already. Its clock runs from `start` on."""
        if channel in self._results:
            return False
        if self._receiver is None or self._receiver.channel != channel:
            self._stop_timers(ctx)
            self._receiver, self._duration, self._clock = Receiver(channel, 0.0), duration, 0.0
            self._arm(ctx)
            self.report(ctx)  # the peer's client sends nothing before it has seen one
        return True

    def start(self, ctx: PortContext, now: float) -> None:
        """The clock of the expected test runs from now on, if it does not yet."""
        if self._receiver is not None and not self._clock:
            self._clock = self._receiver.started = now
            self._tell(ctx)
            self._timers.append(self._port.after(ctx, self._duration, self._end))

    def result(self, channel: int) -> dict[str, Any] | None:
        """Of a test that has ended."""
        return self._results.get(channel)

    def knows(self, channel: int) -> bool:
        """Whether there is or was a test on this channel."""
        return channel in self._results or (self._receiver is not None and self._receiver.channel == channel)

    @property
    def clock_runs(self) -> bool:
        """Whether the test at hand has started."""
        return self._clock > 0

    @property
    def has_data(self) -> bool:
        """Whether anything of the test at hand has come."""
        return self._receiver is not None and self._receiver.packet_count > 0

    def in_bulk(self, data: memoryview, offsets: Offsets, begin: int, end: int) -> Iterable[int]:
        """The test's packets are counted by runs; the others' indices are answered."""
        scanner = self._receiver or self._late
        if scanner is None:
            return range(begin, end)
        rest = scanner.scan(data, offsets, begin, end)
        taken = end - begin - len(rest)
        if taken and scanner is self._receiver:
            self._port.accept(taken)
        elif taken:
            self._port.dropped[Reason.LATE] += taken
        return rest

    def left(self, packet: Packet) -> Reason:
        """Why the scan left a packet of BANDWIDTH_TEST: it is of no test, or of a finished one."""
        return Reason.LATE if packet.channel in self._results else Reason.STALE

    def report(self, ctx: PortContext) -> None:
        """FLOW_CONTROL now."""
        receiver = self._receiver
        known, to = self._peer()
        if receiver is None or not known:
            return
        channel = receiver.channel
        spans = receiver.gaps.lowest()
        self._port.transmit(ctx, encode_flow_control(channel, self._port.next_sequence(channel), spans), to)

    def kept(self) -> Any:
        """For `resume`."""
        receiver = self._receiver
        return receiver and receiver.kept(), self._duration, self._clock, self._results

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """Go on with what the port before this one was at."""
        receiver, self._duration, self._clock, self._results = kept
        if receiver is not None:
            self._receiver = Receiver.resumed(receiver)
            self._arm(ctx)
            if self._clock:
                left = max(self._clock + self._duration - time.monotonic(), 0.0)
                self._timers.append(self._port.after(ctx, left, self._end))

    def _arm(self, ctx: PortContext) -> None:
        self._timers.append(self._port.every(ctx, self._interval, self.report))
        self._timers.append(self._port.every(ctx, PROGRESS_EVERY, self._tell))

    def _stop_timers(self, ctx: PortContext) -> None:
        for timer in self._timers:
            self._port.cancel(ctx, timer)
        self._timers.clear()

    def _tell(self, ctx: PortContext) -> None:
        receiver = self._receiver
        if receiver is not None and self._clock:
            lost = max(receiver.highest + 1 - receiver.packet_count, 0)
            at = time.monotonic()
            self._port.tell(
                What.PROGRESS,
                Progress(self._direction, at, receiver.packet_count, receiver.bytes_received, lost, receiving=True),
            )

    def _end(self, ctx: PortContext) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        self._tell(ctx)
        self._stop_timers(ctx)
        self._receiver, self._late = None, receiver
        totals = receiver.finish(time.monotonic())
        self._results[receiver.channel] = totals._asdict()
        if len(self._results) > _REMEMBERED:
            del self._results[next(iter(self._results))]
        self._port.log(f"test ended: {totals}, {receiver.distinct} distinct, {receiver.gaps.forgotten} forgotten")
        self._on_end(ctx, receiver.channel, totals._asdict())
