"""Port sets as both sides make them: the mode is one argument that is passed on.

Guarantees: a handler is named and its arguments pickle, in every mode; the mailbox hears of ports in other processes.
"""

from __future__ import annotations

from typing import Any

from libcoop import EventLoop, Mode, Port, PortSet, Supervisor

from .config import Parallel
from .events import Address
from .mailbox import Mailbox
from .ports import BUFFER_BYTES

_PRELOAD = ("libcoop.wynd.main_port", "libcoop.wynd.server_control", "libcoop.wynd.client_control")
"""With them come all handlers: a worker finds them imported."""


def mode_of(parallel: Parallel) -> Mode:
    """libcoop's name for it."""
    return Mode[parallel.value]


def port_of(
    name: str,
    handler: str,
    terms: object,
    mailbox: Mailbox,
    *more: Any,
    bind: Address,
    connect: Address | None = None,
) -> Port:
    """A port with an outlet of its own."""
    return Port(name, handler, (terms, mailbox.outlet, *more), bind=bind, connect=connect)


def make_set(
    ports: list[Port],
    mode: Mode,
    loop: EventLoop,
    mailbox: Mailbox,
    name: str,
    supervisor: Supervisor | None = None,
) -> PortSet:
    """The set, not started. `name` and `supervisor` are for process mode: what the set is called in events, and what it
    is a child of, instead of a host of its own."""
    if mode is not Mode.PROCESS:
        return PortSet(ports, mode=mode, loop=loop if mode is Mode.SINGLE else None, buffer_bytes=BUFFER_BYTES)
    mailbox.listen()
    return PortSet(
        ports,
        mode=mode,
        buffer_bytes=BUFFER_BYTES,
        name=name,
        supervisor=supervisor,
        preload=_PRELOAD,
        output="inherit",
    )


def os_reason(error: BaseException) -> str:
    """One line about an error, whatever its class."""
    return " ".join(str(error).split()) or type(error).__name__
