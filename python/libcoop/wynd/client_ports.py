"""The client's ports, on sockets connected to the server's three: what all do, UPLOAD and DOWNLOAD. CONTROL is in
client_control.

Guarantees: each port opens with HEARTBEAT_0 and repeats it until the server answers; a closed port on the other side
ends nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .collecting import Collector
from .events import Address, Direction, What
from .mailbox import Outlet
from .packet import Echo, Kind, Packet, Reason
from .ports import CONTROL, PortHandler, Terms
from .receiving import Offsets
from .transmitting import Transmitter

if TYPE_CHECKING:
    from libcoop import PortContext

_MOST_INTERVAL = 0.5  # seconds between reports of a download: the server pauses when it hears nothing
_NO_DATA = 1.0  # seconds after a download was agreed on at which its clock runs though nothing has come


class ClientPort(PortHandler):
    """Opening and heartbeats."""

    def __init__(self, terms: Terms, outlet: Outlet, tests: tuple[Direction, ...]) -> None:
        super().__init__(terms, outlet, terms.config.client_timeout)
        self.tests = tests
        self._up = False
        self._heartbeat_timer = 0

    def begin(self, ctx: PortContext) -> None:
        """The first HEARTBEAT_0; again every ucm_delay until one is answered."""
        rate = self.config.heartbeat_rate if self._up else min(self.config.ucm_delay, self.config.heartbeat_rate)
        self._beat_every(ctx, rate)
        self.heartbeat(ctx)

    def keep(self) -> Any:
        """Whether the server has answered."""
        return self._up

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """As `keep` has it."""
        self._up = kept

    def stranger(self, address: Address) -> bool:
        """Never: the socket is connected, so the kernel passes the server's packets only."""
        return False

    def _beat_every(self, ctx: PortContext, milliseconds: float) -> None:
        self.cancel(ctx, self._heartbeat_timer)
        self._heartbeat_timer = self.every(ctx, milliseconds / 1000, self.heartbeat)

    def heartbeat(self, ctx: PortContext) -> None:
        """HEARTBEAT_0 now."""
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
            self._beat_every(ctx, self.config.heartbeat_rate)
            self.tell(What.UP)
            self.on_up(ctx)
        return self.measured(packet.body.client_timestamp)

    def on_up(self, ctx: PortContext) -> None:
        """The server answers on this port: CONTROL waits for this before it asks for a test."""
        self.pass_on(ctx, CONTROL, "up", 0, {})

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL asks whether the server answers here."""
        if message[0] == "up" and self._up:
            self.on_up(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """A packet that is no heartbeat."""
        return Reason.UNEXPECTED


class ClientUpload(ClientPort):
    """UPLOAD: an upload test's data out, FLOW_CONTROL in."""

    def __init__(self, terms: Terms, outlet: Outlet, tests: tuple[Direction, ...]) -> None:
        super().__init__(terms, outlet, tests)
        self._transmitter = Transmitter(self, Direction.UPLOAD, self._ended)

    def keep(self) -> Any:
        """With the test."""
        return super().keep(), self._transmitter.kept()

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """A test goes on."""
        super().resume(ctx, kept[0])
        self._transmitter.resume(ctx, kept[1])

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL names the channel, then starts and stops the test. The channel comes first, because FLOW_CONTROL may
        be here before the acknowledgement of BWUP."""
        super().told(ctx, sender, message)
        what, channel, duration = message
        transmitter = self._transmitter
        if what == "channel":
            transmitter.expect(ctx, channel)
        elif what == "start":
            transmitter.start(ctx, channel, duration, self.config.bw_packet_length, None)
            self.pass_on(ctx, CONTROL, "started", channel, {})
        elif what == "stop" and channel == transmitter.channel:
            transmitter.end(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """FLOW_CONTROL."""
        return self._transmitter.reported(packet) if packet.kind is Kind.FLOW_CONTROL else Reason.UNEXPECTED

    def _ended(self, ctx: PortContext, channel: int, fields: dict[str, Any]) -> None:
        self.tell(What.SENT, (Direction.UPLOAD, fields))


class ClientDownload(ClientPort):
    """DOWNLOAD: a download test's data in, FLOW_CONTROL out."""

    def __init__(self, terms: Terms, outlet: Outlet, tests: tuple[Direction, ...]) -> None:
        super().__init__(terms, outlet, tests)
        interval = min(self.config.flow_control_interval, _MOST_INTERVAL)
        self._collector = Collector(self, Direction.DOWNLOAD, interval, lambda: (True, None), self._ended)
        self._proof_timer = 0

    def keep(self) -> Any:
        """With the test."""
        return super().keep(), self._collector.kept()

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """A test goes on."""
        super().resume(ctx, kept[0])
        self._collector.resume(ctx, kept[1])

    def in_bulk(self, data: memoryview, offsets: Offsets, begin: int, end: int, address: Address) -> Iterable[int]:
        """The test's packets are counted by runs; its clock runs from the first."""
        return self._collector.in_bulk(data, offsets, begin, end)

    def on_batch(self, ctx: PortContext, batch: Any) -> None:
        """The clock of a test runs from the first of its packets."""
        super().on_batch(ctx, batch)
        if self._collector.has_data and not self._collector.clock_runs:
            self._collector.start(ctx, time.monotonic())
            self.cancel(ctx, self._proof_timer)

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL names a test, says that it was agreed on, and asks for its result."""
        super().told(ctx, sender, message)
        what, channel, duration = message
        if what == "up":
            return
        if not self._collector.expect(ctx, channel, duration):
            self.pass_on(ctx, CONTROL, "result", channel, self._collector.result(channel))
        elif what == "channel" and not self._proof_timer:
            # The server sends nothing before a HEARTBEAT_2 has come, and one may be lost.
            self._proof_timer = self.every(ctx, self.config.ucm_delay / 1000, self._prove)
        elif what == "start":
            self.after(ctx, _NO_DATA, lambda ctx: self._collector.start(ctx, time.monotonic()))

    def _prove(self, ctx: PortContext) -> None:
        if self._collector.clock_runs:
            self.cancel(ctx, self._proof_timer)
        else:
            self.heartbeat(ctx)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """What the scan left."""
        return self._collector.left(packet) if packet.kind is Kind.BANDWIDTH_TEST else Reason.UNEXPECTED

    def _ended(self, ctx: PortContext, channel: int, fields: dict[str, Any]) -> None:
        self.pass_on(ctx, CONTROL, "result", channel, fields)
