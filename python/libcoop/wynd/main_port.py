"""The server's main port: CONNECT, and nothing else.

Guarantees: only the 7 bytes CONNECT are ever answered. What this port knows of clients is a copy of what the main
thread knows, so that one that takes its place is told again; limits are looked at here first, so that a flood costs the
main thread nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from libcoop._enums import Mode
from libcoop._ports import Handler

from .config import Config
from .events import Address, Event, PortSummary, What
from .mailbox import Outlet
from .packet import CONNECT, Reason

if TYPE_CHECKING:
    from libcoop import Batch, PortContext

MAIN = "main"
_FLUSH = 0.5  # seconds


class MainPort(Handler):
    """The answer to a new address comes from the main thread, which has the ports."""

    def __init__(self, config: Config, outlet: Outlet) -> None:
        self._config = config
        self._outlet = outlet
        self._durable = False
        self._answers: dict[Address, bytes | None] = {}  # None: being made, or no longer given
        self._in_use: set[Address] = set()
        self._of_host: Counter[str] = Counter()
        self._accepted = 0
        self._dropped: Counter[str] = Counter()

    def on_start(self, ctx: PortContext) -> None:
        """What was counted before goes on."""
        self._durable = ctx.mode == Mode.PROCESS
        saved = ctx.saved if self._durable else None
        if saved is not None:
            self._accepted, dropped = saved
            self._dropped = Counter(dropped)
            self._outlet.put(Event(0, MAIN, What.AGAIN))
        self._save(ctx)

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        """Datagrams of anyone."""
        for data, address in batch:
            reason = self._connect(ctx, address) if data == CONNECT else Reason.NOT_CONNECT
            if reason is None:
                self._accepted += 1
            else:
                self._dropped[reason] += 1
        self._save(ctx)

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
        self._note(address, None)
        self._outlet.put(Event(0, MAIN, What.CONNECT, address))
        return None

    def _note(self, address: Address, answer: bytes | None) -> None:
        if address not in self._answers:
            self._of_host[address[0]] += 1
        self._answers[address] = answer

    def on_message(self, ctx: PortContext, sender: str, message: tuple[str, Address, bytes]) -> None:
        """From the main thread: `answer`, `used` (comms are up), `known` (an answer that nobody waits for), `forget`
        (freed) or `refuse` (with the reason)."""
        what, address, answer = message
        if what in ("answer", "known"):
            self._note(address, answer)
            if what == "answer":
                ctx.sendto(answer, address)
        elif what == "used":
            self._note(address, None)
            self._in_use.add(address)
        else:
            if what == "refuse":
                self._dropped[answer.decode()] += 1
            if address in self._answers:
                del self._answers[address]
                self._of_host[address[0]] -= 1
                if self._of_host[address[0]] <= 0:
                    del self._of_host[address[0]]
            self._in_use.discard(address)
        self._save(ctx)

    def on_stop(self, ctx: PortContext) -> None:
        """Hand in the figures."""
        self._outlet.put(Event(0, MAIN, What.SUMMARY, PortSummary(self._accepted, dict(self._dropped))))
        self._outlet.close(_FLUSH)

    def _save(self, ctx: PortContext) -> None:
        if self._durable:
            ctx.save((self._accepted, dict(self._dropped)))
