"""Ports in processes, the set's side: what each worker is given to run, and what makes the workers.

A worker is made by a zygote, as that of a process service is: it has no thread, lock or object of this process.
Whatever a handler could not be given there is refused here, when the set is made, and names the port.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from libcoop import _entry, _libcoop, _logs, _options, _zygote
from libcoop._errors import Invalid

if TYPE_CHECKING:
    from libcoop._ports import Port

_NATIVE = "libcoop._port_worker:native"
"""What is built in the place of a native handler, with its name."""


class Workers(NamedTuple):
    """What the processes of a set are made of."""

    zygote: _libcoop.NativeZygote
    preloads: bool
    """Whether it imports modules beforehand."""
    command: _libcoop.NativeCommand
    payloads: list[bytes]
    """Of the ports, in their order."""
    logs: _libcoop.LogChannel
    """Where their log records come from."""
    name: str
    ready: float
    liveness: float | None
    supervisor: Any
    """The native supervisor that the set is a child of, if there is one."""


def prepare(ports: Sequence[Port], natives: Iterable[str], options: dict[str, Any]) -> Workers:
    """Checks what a set is given, and makes its workers ready to be started. Raises Invalid, TypeError."""
    preload = options["preload"]
    if isinstance(preload, str) or not isinstance(preload, Iterable):
        raise Invalid(f"preload {preload!r}: allowed is a list of modules' names")
    preload = [_options.text("preload", name) for name in preload]
    worker_init = options["worker_init"]
    if worker_init is not None:
        worker_init = _options.named("worker_init", worker_init)
    name = _options.text("name", options["name"])
    if not name or "/" in name or "\0" in name:
        raise Invalid(f"name {name!r}: allowed is a text without '/'")
    natives = sorted(natives)
    command = _options.command(["worker"], {**_options.PROCESS, "output": options["output"]})
    supervisor = options["supervisor"]
    return Workers(
        _libcoop.NativeZygote(_zygote.command(preload)),
        bool(preload),
        command,
        [_payload(port, natives, worker_init, preload) for port in ports],
        _logs.channel(),
        name,
        _options.seconds("ready_within", options["ready_within"], zero=False),
        _options.optional_seconds("liveness", options["liveness"]),
        None if supervisor is None else _native(supervisor),
    )


def _payload(port: Port, natives: list[str], worker_init: str | None, preload: list[str]) -> bytes:
    entry, args = port.handler, tuple(port.args)
    if port.name in natives:
        entry, args = _NATIVE, (port.handler, *(bytes(arg) for arg in args))
    try:
        return _entry.prepare(
            entry,
            args,
            {"natives": natives},
            worker_init=worker_init,
            preload=preload,
            log=_entry.BY_ENVIRONMENT,
            runner="libcoop._port_worker:run",
        )
    except Invalid as error:
        raise Invalid(f"port {port.name!r}: {error}") from error


def _native(supervisor: Any) -> Any:
    from libcoop._supervisor import Supervisor

    if not isinstance(supervisor, Supervisor):
        raise TypeError(f"supervisor must be a libcoop.Supervisor of a host, not {supervisor!r}")
    return supervisor._native
