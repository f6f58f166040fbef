"""Ports, and the base class of their handlers."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

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

    def on_connect(self, ctx: PortContext, connection: int) -> None:
        """A peer has connected, which `connection` names. After an exception here it is closed at once."""

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        """Bytes have come from a connection, in their order. An exception closes it, here and in `on_end`."""

    def on_drained(self, ctx: PortContext, connection: int) -> None:
        """A connection has room again: a `write` to it raised QueueFull, or its peer had fallen far behind.

        Once for each time, when no more than a quarter of what may wait for it does; not if it is written to no more.
        An exception closes it.
        """

    def on_end(self, ctx: PortContext, connection: int) -> None:
        """The peer sends nothing more. Here it is closed when all is sent; one that is not done does that later."""
        ctx.close(connection)

    def on_close(self, ctx: PortContext, connection: int, why: str) -> None:
        """A connection is no more; nothing can be written to it, unless `why` is "stopped".

        `why` is "asked" by `ctx.close`, "ended" if the peer had ended before, "aborted", "fault" after an exception,
        "lost" if it was reset or failed, "stopped" when the port ends.
        """

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        """An object that another port has sent, or, if `sender` is empty, `PortSet.send`.

        A native handler sends bytes.
        """

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        """A timer of `ctx.set_timer` has come."""

    def on_hand_over(self, ctx: PortContext) -> None:
        """Another worker is about to take over, in `PortSet.reload`: what it is to find must be saved now.

        From here on `ctx.save` and `ctx.send` raise Closed; connections, timers and what is sent to peers go on, until
        `on_stop`. If the other one cannot start, this one has the port again.
        """

    def on_stop(self, ctx: PortContext) -> None:
        """After everything else. What it sends is still sent."""


@dataclass(frozen=True)
class Port:
    """A port to be.

    `handler` is a class or "module:qualname", built with `args` inside the worker; or "path/lib.so:symbol", a native
    handler that enters no interpreter (`coop_port_handler_init` in coop.h), with at most one bytes-like argument.
    `bind` is where the socket is bound (port 0 is any free one); `connect` is its only peer, if there is one.

    With `listen` it takes connections instead of datagrams: at `(host, port)`, over TCP; at the path of a Unix socket;
    or at a socket that listens already, of which it takes a copy. With `passed` too: at the socket of that name, or
    number, that the process was started with, as systemd does it (`LISTEN_FDS`).
    """

    name: str
    handler: type[Any] | str
    args: Sequence[Any] = ()
    bind: Address = field(default=("127.0.0.1", 0), kw_only=True)
    connect: Address | None = field(default=None, kw_only=True)
    listen: Address | str | os.PathLike[str] | socket.socket | None = field(default=None, kw_only=True)
    passed: str | None = field(default=None, kw_only=True)


def pickled(obj: object) -> bytes:
    """An object for another process, or for later: by pickle, or by cloudpickle, if it is there."""
    import pickle

    try:
        return pickle.dumps(obj, 5)
    except Exception:
        try:
            import cloudpickle  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            pass
        else:
            return bytes(cloudpickle.dumps(obj, 5))
        raise


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
