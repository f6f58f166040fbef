"""wynd whose handlers die all the time: run as `python reborn.py CHANCE ARGUMENTS...`.

Every port runs a handler that is thrown away with that chance at each callback, after it has saved or before (then
nothing of it leaves but bursts and events), and made anew from pickled arguments and what was saved last, as in a
process that takes another's place. All that passes between ports is pickled, and events go to the main thread over its
socket, as from another process.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable
from typing import Any

from libcoop import Mode, Port
from libcoop._ports import Handler, resolve
from libcoop.wynd import client, joining, mailbox, server
from libcoop.wynd.__main__ import main


class Context:
    """What a handler sees; `dying` means that nothing is saved any more."""

    def __init__(self, ctx: Any, saved: bytes | None) -> None:
        self._ctx = ctx
        self._saved = saved
        self.dying = False
        self.timers: set[int] = set()
        self.mode = Mode.PROCESS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    @property
    def saved(self) -> Any:
        return None if self._saved is None else pickle.loads(self._saved)

    def save(self, state: object) -> None:
        if not self.dying:
            self._saved = pickle.dumps(state)

    def send(self, port: str, message: object) -> None:
        if not self.dying:
            self._ctx.send(port, pickle.loads(pickle.dumps(message)))

    def sendto(self, data: Any, address: Any = None, *, segment_size: int = 0) -> None:
        """Bursts leave at once, single datagrams when the callback returns."""
        if segment_size or not self.dying:
            self._ctx.sendto(data, address, segment_size=segment_size)

    def set_timer(self, delay: float, repeat: bool = False) -> int:
        timer: int = self._ctx.set_timer(delay, repeat=repeat)
        self.timers.add(timer)
        return timer

    def heir(self) -> Context:
        for timer in self.timers:
            try:
                self._ctx.cancel_timer(timer)
            except Exception:  # it has ended
                continue
        return Context(self._ctx, self._saved)


class Reborn(Handler):
    """One port's."""

    def __init__(self, name: str, arguments: bytes, chance: float) -> None:
        self._make: Callable[[], Any] = lambda: resolve(name)(*pickle.loads(arguments))
        self._chance = chance

    def on_start(self, ctx: Any) -> None:
        self._ctx = Context(ctx, None)
        self._inner = self._make()
        self._inner.on_start(self._ctx)

    def _call(self, what: str, *arguments: Any) -> None:
        dies = random.random() < self._chance
        self._ctx.dying = dies and random.random() < 0.5
        getattr(self._inner, what)(self._ctx, *arguments)
        if dies:
            self._ctx = self._ctx.heir()
            self._inner = self._make()
            self._inner.on_start(self._ctx)

    def on_batch(self, ctx: Any, batch: Any) -> None:
        self._call("on_batch", batch)

    def on_message(self, ctx: Any, sender: str, message: Any) -> None:
        self._call("on_message", sender, message)

    def on_timer(self, ctx: Any, timer: int) -> None:
        if timer in self._ctx.timers:
            self._call("on_timer", timer)

    def on_stop(self, ctx: Any) -> None:
        self._inner.on_stop(self._ctx)


class Forgetful(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        """No mailbox is found: each is reached over its socket."""


def port_of(chance: float) -> Any:
    def make(name: str, handler: str, *arguments: Any, bind: Any, connect: Any = None) -> Port:
        box = next(argument for argument in arguments if isinstance(argument, mailbox.Mailbox))
        box.listen()
        passed = pickle.dumps(tuple(each.outlet if each is box else each for each in arguments))
        return Port(name, Reborn, (handler, passed, chance), bind=bind, connect=connect)

    return make


if __name__ == "__main__":
    joining.TRIES = 60  # as patient.py
    mailbox._boxes = Forgetful()
    for module in (client, server):
        vars(module)["port_of"] = port_of(float(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
