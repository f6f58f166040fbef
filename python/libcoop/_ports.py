"""Ports, and the base class of their handlers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libcoop._libcoop import Batch, PortContext

Address = tuple[str, int]
"""A host and a port."""


class Handler:
    """What a port runs; every callback does nothing here. A handler need not inherit from it.

    It is built inside its port's worker, and its callbacks run there one at a time, in every mode. An exception in one
    of them is logged (logger `libcoop`) and counted, and the port goes on.
    """

    def on_start(self, ctx: PortContext) -> None:
        """Before anything else. An exception here fails `PortSet.start`, which raises it."""

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        """Datagrams have come: all since the last call.

        An exception skips the one that `batch.index` names; the rest comes again.
        """

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        """An object that another port has sent, or, if `sender` is empty, `PortSet.send`.

        A native handler sends bytes.
        """

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """A timer of `ctx.set_timer` has come."""

    def on_stop(self, ctx: PortContext) -> None:
        """After everything else. What it sends is still sent."""


@dataclass(frozen=True)
class Port:
    """A port to be.

    `handler` is a class or "module:qualname", built with `args` inside the worker; or "path/lib.so:symbol", a native
    handler that enters no interpreter (`coop_port_handler_init` in coop.h), with at most one bytes-like argument.
    `bind` is where the socket is bound (port 0 is any free one); `connect` is its only peer, if there is one.
    """

    name: str
    handler: type[Any] | str
    args: Sequence[Any] = ()
    bind: Address = field(default=("127.0.0.1", 0), kw_only=True)
    connect: Address | None = field(default=None, kw_only=True)


def resolve(name: str) -> Any:
    """The class that "module:qualname" names."""
    module, colon, qualname = name.partition(":")
    if not (module and colon and qualname):
        raise ValueError(f'handler {name!r} must be a class, "module:qualname" or "path/lib.so:symbol"')
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise AttributeError(f"handler {name!r}: module {module!r} has no {qualname!r}") from None
    if not isinstance(found, type):
        raise TypeError(f"handler {name!r} is {found!r} and not a class")
    return found
