"""The server's ports of one client: what all three do, UPLOAD and DOWNLOAD. CONTROL is in server_control.

Guarantees: a client's ports take packets from the IP address that sent CONNECT only, and from one port of it: the one
that sent the first HEARTBEAT_0 with the right key. A download goes only to a peer that has shown, by a HEARTBEAT_2,
that it reads what is sent to its address, and only while it is heard of: nobody can have the server flood another.
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

_QUIET = 2.0  # seconds without a packet of the peer after which a download pauses


class ServerPort(PortHandler):
    """Pinning and heartbeats."""

    def __init__(self, terms: Terms, outlet: Outlet) -> None:
        super().__init__(terms, outlet, terms.config.silence_timeout)
        self.pinned: Address | None = None
        self.proven = False  # the peer reads what is sent to its address

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
            reason = self.measured(packet.body.server_timestamp)
            self.proven = self.proven or reason is None
            return reason
        return self.take(ctx, packet)

    def on_pinned(self, ctx: PortContext) -> None:
        """The port has its peer."""

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """A packet of the peer that is no heartbeat."""
        return Reason.UNEXPECTED

    def keep(self) -> Any:
        """The peer."""
        return self.pinned, self.proven

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """The peer stays."""
        self.pinned, self.proven = kept


class ServerUpload(ServerPort):
    """UPLOAD: takes BANDWIDTH_TEST a batch at a time and reports what is missing."""

    def __init__(self, terms: Terms, outlet: Outlet) -> None:
        super().__init__(terms, outlet)
        interval = self.config.flow_control_interval
        self._collector = Collector(self, Direction.UPLOAD, interval, self._peer, self._ended)

    def _peer(self) -> tuple[bool, Address | None]:
        return self.pinned is not None, self.pinned

    def keep(self) -> Any:
        """The peer and the test."""
        return super().keep(), self._collector.kept()

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """A test goes on, with what is missing by then."""
        super().resume(ctx, kept[0])
        self._collector.resume(ctx, kept[1])

    def in_bulk(self, data: memoryview, offsets: Offsets, begin: int, end: int, address: Address) -> Iterable[int]:
        """The test's packets are counted by runs."""
        return self._collector.in_bulk(data, offsets, begin, end) if address == self.pinned else range(begin, end)

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """What the scan left."""
        return self._collector.left(packet) if packet.kind is Kind.BANDWIDTH_TEST else Reason.UNEXPECTED

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL starts a test, or asks for its result again."""
        _, channel, duration = message
        if self._collector.expect(ctx, channel, duration):
            self._collector.start(ctx, time.monotonic())
            self.pass_on(ctx, CONTROL, "started", channel, {})
        else:
            self.pass_on(ctx, CONTROL, "result", channel, self._collector.result(channel))

    def _ended(self, ctx: PortContext, channel: int, fields: dict[str, Any]) -> None:
        self.pass_on(ctx, CONTROL, "result", channel, fields)

    def on_pinned(self, ctx: PortContext) -> None:
        """A test that began before the port had its peer reports now."""
        self._collector.report(ctx)


class ServerDownload(ServerPort):
    """DOWNLOAD: the data of a download test out, FLOW_CONTROL in."""

    def __init__(self, terms: Terms, outlet: Outlet) -> None:
        super().__init__(terms, outlet)
        self._heard = float("-inf")  # monotonic seconds
        self._sent: dict[str, Any] = {}
        self._transmitter = Transmitter(self, Direction.DOWNLOAD, self._ended, self._may_send)

    def keep(self) -> Any:
        """The peer and the test."""
        return super().keep(), self._sent, self._transmitter.kept()

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """A test goes on."""
        peer, self._sent, test = kept
        super().resume(ctx, peer)
        self._transmitter.resume(ctx, test)

    def _may_send(self, now: float) -> bool:
        return self.proven and now - self._heard < _QUIET

    def admit(self, ctx: PortContext, packet: Packet, address: Address) -> Reason | None:
        """What the pinned peer sends shows that it is there."""
        reason = super().admit(ctx, packet, address)
        if reason is None:
            self._heard = time.monotonic()
        return reason

    def take(self, ctx: PortContext, packet: Packet) -> Reason | None:
        """FLOW_CONTROL."""
        return self._transmitter.reported(packet) if packet.kind is Kind.FLOW_CONTROL else Reason.UNEXPECTED

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """CONTROL starts and stops a test; `start` once more asks what became of it."""
        what, channel, *more = message
        transmitter = self._transmitter
        if what == "start":
            if self.pinned is None:  # a peer that skipped its heartbeat asks again
                return
            if channel != transmitter.channel:
                self._sent = {}
            duration, length = more
            transmitter.start(ctx, channel, duration, length, self.pinned)
            self.pass_on(ctx, CONTROL, "started", channel, {})
        elif channel == transmitter.channel:
            transmitter.end(ctx)
        if channel == transmitter.channel and not transmitter.running:
            self.pass_on(ctx, CONTROL, "sent", channel, self._sent)

    def _ended(self, ctx: PortContext, channel: int, fields: dict[str, Any]) -> None:
        self._sent = fields
        self.pass_on(ctx, CONTROL, "sent", channel, fields)
