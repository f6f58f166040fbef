"""What every port handler does alike: batches, numbering, heartbeats' figures, counting what is dropped.

Guarantees: no datagram raises; each is either taken or counted under one reason. A handler touches nothing outside
itself but `ctx` and the mailbox, so it runs the same in every mode.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libcoop._errors import Closed
from libcoop._ports import Handler

from .config import Config
from .events import Address, Event, Mailbox, PortSummary, What
from .heartbeat import Awaited, Latency, elapsed_ms
from .packet import Kind, Packet, Reason, encode, parse
from .receiving import Offsets

if TYPE_CHECKING:
    from libcoop import Batch, PortContext

CONTROL, UPLOAD, DOWNLOAD = "CONTROL", "UPLOAD", "DOWNLOAD"
PORTS = (CONTROL, UPLOAD, DOWNLOAD)
BUFFER_BYTES = 16 << 20  # of each port: what one callback may be given, so that none runs for long
_ALIVE_EVERY = 8  # times per silence limit that a port says it hears its peer
_CHANNELS = 64  # channels whose numbering is remembered


@dataclass(frozen=True)
class Terms:
    """What a set of ports was made for. `peer` is the other side's IP address, `key` the heartbeat_key."""

    client: int
    peer: str
    key: int
    config: Config


class PortHandler(Handler, ABC):
    """The common part; subclasses say what they take."""

    def __init__(self, terms: Terms, mailbox: Mailbox, silence: float) -> None:
        self.terms = terms
        self.config = terms.config
        self.dropped: Counter[str] = Counter()
        self.accepted = 0
        self.latency = Latency()
        self.awaited = Awaited()
        self.test_dropped = 0
        self._mailbox = mailbox
        self._name = ""
        self._sequences: dict[int, int] = {}
        self._alive_every = min(1.0, silence / _ALIVE_EVERY)
        self._told_alive = float("-inf")

    # What a subclass is asked.

    @abstractmethod
    def admit(self, ctx: PortContext, packet: Packet, address: Address) -> Reason | None:
        """Deal with a packet that is well formed; a reason when it is dropped instead."""

    def stranger(self, address: Address) -> bool:
        """Whether `address` is none of the peer's."""
        return address[0] != self.terms.peer

    def in_bulk(self, data: memoryview, offsets: Offsets, begin: int, end: int, address: Address) -> Iterable[int]:
        """Take what can be taken at once of datagrams begin..end-1, all from `address`; answers the indices of the
        others, in order."""
        return range(begin, end)

    # The handler protocol.

    def on_start(self, ctx: PortContext) -> None:
        """Learn the port's name."""
        self._name = ctx.name

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        """Strangers are counted, what `in_bulk` leaves is dealt with one by one."""
        self.pass_delay()
        data, offsets = batch.data, batch.offsets
        for begin, end, address in batch.senders():
            if self.stranger(address):
                self.dropped[Reason.STRANGER] += end - begin
                continue
            for index in self.in_bulk(data, offsets, begin, end, address):
                batch.index = index
                self.datagram(ctx, data[offsets[index] : offsets[index + 1]], address)

    def on_stop(self, ctx: PortContext) -> None:
        """Hand in the figures."""
        latency = self.latency
        summary = PortSummary(
            self.accepted, dict(self.dropped), self.test_dropped, latency.samples(), latency.count, latency.highest
        )
        self.tell(What.SUMMARY, summary)

    # Tools.

    def pass_on(self, ctx: PortContext, port: str, message: object) -> None:
        """A message to another port of the set. A set's ports end one by one: what one that has ended would have been
        told no longer matters."""
        with contextlib.suppress(Closed):
            ctx.send(port, message)

    def datagram(self, ctx: PortContext, data: memoryview, address: Address) -> None:
        """One datagram from the peer's IP address."""
        packet = parse(data)
        reason = packet if isinstance(packet, Reason) else self.admit(ctx, packet, address)
        if reason is None:
            self.accept(1)
        else:
            self.dropped[reason] += 1
            if self.config.test_verbose:
                self.log(f"dropped {len(data)} bytes from {address[0]}:{address[1]}: {reason}")

    def accept(self, count: int) -> None:
        """`count` packets of the peer were taken."""
        self.accepted += count
        now = time.monotonic()
        if now - self._told_alive >= self._alive_every:
            self._told_alive = now
            self.tell(What.ALIVE)

    def measured(self, timestamp: float) -> Reason | None:
        """A heartbeat came back that left at `timestamp` (seconds since the epoch)."""
        milliseconds = elapsed_ms(time.time(), timestamp)
        if milliseconds is None:
            return Reason.CLOCK
        if not self.awaited.came(timestamp):
            return Reason.UNASKED
        self.latency.add(milliseconds)
        self.tell(What.LATENCY, milliseconds)
        return None

    def next_sequence(self, channel: int) -> int:
        """The next channel_sequence_number of this port on `channel`."""
        sequence = self._sequences.pop(channel, 0)
        self._sequences[channel] = (sequence + 1) % 2**64  # the channel used last stands last
        if len(self._sequences) > _CHANNELS:
            del self._sequences[next(iter(self._sequences))]
        return sequence

    def send(
        self, ctx: PortContext, kind: Kind, channel: int, fields: dict[str, object], to: Address | None = None
    ) -> None:
        """A packet with a JSON payload, to `to` or the connected peer."""
        self.transmit(ctx, encode(kind, channel, self.next_sequence(channel), 0, fields), to)

    def transmit(self, ctx: PortContext, data: bytes, to: Address | None = None) -> None:
        """One datagram, unless --test-drop-rate takes it."""
        if self.unlucky():
            self.test_dropped += 1
        else:
            ctx.sendto(data, to)

    def unlucky(self) -> bool:
        """Whether --test-drop-rate takes the next packet."""
        rate = self.config.test_drop_rate
        return rate > 0 and random.random() < rate

    def pass_delay(self) -> None:
        """--test-delay: this port's loop is slow on purpose."""
        if self.config.test_delay:
            time.sleep(self.config.test_delay / 1000)

    def tell(self, what: What, detail: object = None) -> None:
        """An event for the main thread."""
        self._mailbox.put(Event(self.terms.client, self._name, what, detail))

    def log(self, text: str) -> None:
        """A line on stderr with --test-verbose."""
        if self.config.test_verbose:
            print(f"[{self.terms.client} {self._name}] {text}", file=sys.stderr, flush=True)
