"""What every port handler does alike: batches, timers, numbering, heartbeats' figures, counting what is dropped.

Guarantees: no datagram raises; each is either taken or counted under one reason. A handler touches nothing outside
itself but `ctx` and its outlet, and is built from arguments that pickle, so it runs the same in every mode.

Where a port is a process of its own, the handler saves what it needs after each callback, and the one that takes its
place goes on from there: figures, numbering, its peer, a test in the middle. At most the callback in hand is lost.
Events are put before it saves, so that each arrives, perhaps twice; messages to other ports leave after it, so that
none says what is forgotten; and what one port wants of another is asked for until it is answered.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libcoop._enums import Mode
from libcoop._errors import Closed, QueueFull, Stale
from libcoop._ports import Handler

from .config import Config
from .events import Address, Event, PortSummary, What
from .heartbeat import Awaited, Histogram, elapsed_ms
from .mailbox import Outlet
from .packet import Kind, Packet, Reason, encode, parse
from .receiving import Offsets

if TYPE_CHECKING:
    from libcoop import Batch, PortContext

CONTROL, UPLOAD, DOWNLOAD = "CONTROL", "UPLOAD", "DOWNLOAD"
PORTS = (CONTROL, UPLOAD, DOWNLOAD)
BUFFER_BYTES = 16 << 20  # of each port: what one callback may be given, so that none runs for long
_ALIVE_EVERY = 8  # times per silence limit that a port says it hears its peer
_CHANNELS = 64  # channels whose numbering is remembered
_FLUSH = 0.5  # seconds for the last events of a port that ends


@dataclass(frozen=True)
class Terms:
    """What a set of ports was made for. `peer` is the other side's IP address, `key` the heartbeat_key."""

    client: int
    peer: str
    key: int
    config: Config


class PortHandler(Handler, ABC):
    """The common part; subclasses say what they take."""

    def __init__(self, terms: Terms, outlet: Outlet, silence: float) -> None:
        self.terms = terms
        self.config = terms.config
        self.dropped: Counter[str] = Counter()
        self.accepted = 0
        self.latency = Histogram()
        self.awaited = Awaited()
        self.test_dropped = 0
        self._outlet = outlet
        self._name = ""
        self._durable = False
        self._timers: dict[int, tuple[Callable[[PortContext], None], bool]] = {}
        self._letters: list[tuple[str, object]] = []
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

    def begin(self, ctx: PortContext) -> None:
        """At the start, and again in a process that takes another's place, after `resume`."""

    def told(self, ctx: PortContext, sender: str, message: Any) -> None:
        """A message of another port."""

    def keep(self) -> Any:
        """What `resume` needs; it must pickle."""
        return None

    def resume(self, ctx: PortContext, kept: Any) -> None:
        """Go on where `keep` was."""

    # The handler protocol.

    def on_start(self, ctx: PortContext) -> None:
        """Learn the port's name, and what the one before had saved."""
        self._name = ctx.name
        self._durable = ctx.mode == Mode.PROCESS
        saved = ctx.saved if self._durable else None
        if saved is not None:
            common, kept = saved
            self.accepted, dropped, self.test_dropped, self.latency, self._sequences = common
            self.dropped = Counter(dropped)
            self.resume(ctx, kept)
        self.begin(ctx)
        self._done(ctx)

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
        self._done(ctx)

    def on_message(self, ctx: PortContext, sender: str, message: Any) -> None:
        """From another port of the set."""
        self.told(ctx, sender, message)
        self._done(ctx)

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """One of `after` or `every`."""
        call, repeat = self._timers.get(timer, (None, True))
        if not repeat:
            del self._timers[timer]
        if call is not None:
            call(ctx)
            self._done(ctx)

    def on_stop(self, ctx: PortContext) -> None:
        """Hand in the figures."""
        self.tell(What.SUMMARY, PortSummary(self.accepted, dict(self.dropped), self.test_dropped, self.latency))
        self._outlet.close(_FLUSH)

    def _done(self, ctx: PortContext) -> None:
        if self._durable:
            common = self.accepted, dict(self.dropped), self.test_dropped, self.latency, self._sequences
            ctx.save((common, self.keep()))
        letters, self._letters = self._letters, []
        for port, message in letters:
            # A set's ports end one by one: what one that has ended would have been told no longer matters. One that
            # does not read for long loses it, and is asked again.
            with contextlib.suppress(Closed, QueueFull):
                ctx.send(port, message)

    # Tools.

    def after(self, ctx: PortContext, seconds: float, call: Callable[[PortContext], None]) -> int:
        """Call once; the timer's number."""
        timer = ctx.set_timer(seconds)
        self._timers[timer] = call, False
        return timer

    def every(self, ctx: PortContext, seconds: float, call: Callable[[PortContext], None]) -> int:
        """Call again and again; the timer's number."""
        timer = ctx.set_timer(seconds, repeat=True)
        self._timers[timer] = call, True
        return timer

    def cancel(self, ctx: PortContext, timer: int) -> None:
        """End a timer, if it has not ended."""
        if self._timers.pop(timer, None) is not None:
            with contextlib.suppress(Stale):  # it is due
                ctx.cancel_timer(timer)

    def pass_on(self, ctx: PortContext, port: str, *message: object) -> None:
        """A message to another port of the set, at the end of this callback."""
        self._letters.append((port, message))

    def datagram(self, ctx: PortContext, data: memoryview, address: Address) -> None:
        """One datagram from the peer's IP address."""
        packet = parse(data)
        reason = packet if isinstance(packet, Reason) else self.admit(ctx, packet, address)
        if reason is None:
            self.accept(1)
        else:
            self.dropped[reason] += 1

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
        self._outlet.put(Event(self.terms.client, self._name, what, detail))

    def log(self, text: str) -> None:
        """A line on stderr with --test-verbose."""
        if self.config.test_verbose:
            print(f"[{self.terms.client} {self._name}] {text}", file=sys.stderr, flush=True)
