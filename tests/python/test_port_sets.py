"""The life of port sets: starts that fail, what is refused, ends."""

from __future__ import annotations

import errno
import socket
import weakref
from typing import Any

import libcoop
import pytest
from hostkit import until
from libcoop import EventLoop, Handler, Mode, Port, PortContext, PortSet, _libcoop
from portkit import (
    DEADLINE,
    HERE,
    Address,
    Echo,
    Gate,
    Make,
    Run,
    Tell,
    Told,
    bound_again,
    get,
    run_in,
)


class Refuse(Handler):
    error = LookupError("not today")

    def __init__(self, where: str) -> None:
        self.where = where
        if where == "__init__":
            raise self.error

    def on_start(self, ctx: PortContext) -> None:
        if self.where == "on_start":
            raise self.error


@HERE
@pytest.mark.parametrize("where", ["__init__", "on_start"])
def test_a_handler_that_cannot_start_fails_the_start_and_releases_everything(
    make: Make, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    addresses: list[Address] = []

    class Note(Tell):
        def on_start(self, ctx: PortContext) -> None:
            addresses.append(ctx.address)

    ports = make(Port("fine", Note, (told,)), Port("bad", Refuse, (where,)), start=False)
    with pytest.raises(LookupError) as raised:
        ports.start()
    assert raised.value is Refuse.error
    assert raised.value.__traceback__ is not None
    for address in addresses:
        bound_again(address)
    _libcoop._flush_log(DEADLINE)
    assert not caplog.records, "it was raised, and is not reported again"
    with pytest.raises(libcoop.Exists, match="started before"):
        ports.start()
    ports.stop()


class Outer:
    class Inner(Tell):
        pass


@HERE
def test_a_handler_may_be_named(make: Make, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handlers_of_a_test.py").write_text(
        "class Outer:\n    class Inner:\n        def __init__(self, told):\n            told.put('built')\n"
        "instance = Outer()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    told = Told()
    make(Port("port", "handlers_of_a_test:Outer.Inner", (told,)))
    assert get(told) == "built"
    for name, kind, message in (
        ("no_such_module_here:X", ModuleNotFoundError, "no_such_module_here"),
        ("handlers_of_a_test:Nope", AttributeError, "module 'handlers_of_a_test' has no 'Nope'"),
        ("handlers_of_a_test:Outer.Nope", AttributeError, "has no 'Outer.Nope'"),
        ("handlers_of_a_test", ValueError, 'must be a class, "module:qualname" or "path/lib.so:symbol"'),
        (":x", ValueError, 'must be a class, "module:qualname" or "path/lib.so:symbol"'),
        ("handlers_of_a_test:instance", TypeError, "not a class"),
    ):
        ports = make(Port("port", name), start=False)
        with pytest.raises(kind, match=message):
            ports.start()


@HERE
def test_wrong_arguments_of_a_handler_are_its_own_type_error(make: Make) -> None:
    ports = make(Port("port", Tell, (1, 2, 3)), start=False)
    with pytest.raises(TypeError, match="positional arguments"):
        ports.start()


def test_instances_are_refused(make: Make) -> None:
    with pytest.raises(
        TypeError, match=r'port "port" must be a class, "module:qualname" or "path/lib.so:symbol", not the instance'
    ):
        make(Port("port", Echo()))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"made of libcoop.Port objects, not 7"):
        make(7)


def test_a_port_in_use_is_named_and_nothing_stays_bound(make: Make, peer: socket.socket) -> None:
    _, number = peer.getsockname()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        first = free.getsockname()
    ports = make(Port("first", Echo, bind=first), Port("second", Echo, bind=("127.0.0.1", number)), start=False)
    with pytest.raises(libcoop.Os, match=rf"port second: .*127\.0\.0\.1:{number}: Address already in use") as raised:
        ports.start()
    assert raised.value.errno == errno.EADDRINUSE
    assert isinstance(raised.value, OSError)
    bound_again(first)
    with pytest.raises(libcoop.Closed):
        _ = ports.addresses


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"bind": ("127.0.0.1", 70000)}, ValueError, "port 70000 is not 0 to 65535"),
        ({"bind": ("127.0.0.1", -1)}, ValueError, "port -1 is not 0 to 65535"),
        ({"bind": "127.0.0.1:80"}, TypeError, r"an address is a tuple \(host, port\) with port 0 to 65535"),
        ({"bind": ("no such host.invalid", 1)}, OSError, "no such host.invalid"),
        ({"connect": ("127.0.0.1", 0)}, ValueError, 'port "port" cannot connect to port 0'),
        ({"connect": 7}, TypeError, "an address is a tuple"),
        ({"args": 7}, TypeError, "not iterable"),
        ({"name": ""}, ValueError, "a port needs a name"),
        ({"name": 7}, TypeError, "str"),
    ],
)
def test_wrong_ports_are_refused_in_words(
    make: Make, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        make(Port(**{"name": "port", "handler": Echo, **options}))


def test_wrong_sets_are_refused_in_words(running_loop: EventLoop) -> None:
    port = Port("port", Echo)
    with pytest.raises(ValueError, match="at least one port"):
        PortSet([])
    with pytest.raises(libcoop.Exists, match='two ports of one set are named "port"'):
        PortSet([port, port])
    with pytest.raises(ValueError, match="mode SINGLE needs the event loop"):
        PortSet([port], mode=Mode.SINGLE)
    with pytest.raises(ValueError, match="mode 7 is not there"):
        PortSet([port], mode=7)  # type: ignore[arg-type]
    for size in (-1, 0, 1000):
        with pytest.raises(ValueError, match="too small: at least 65536"):
            PortSet([port], buffer_bytes=size)
    with pytest.raises(TypeError, match="EventLoop"):
        PortSet([port], mode=Mode.SINGLE, loop=7)  # type: ignore[arg-type]
    fresh = PortSet([port])
    with pytest.raises(ValueError, match="has not been started"):
        _ = fresh.addresses
    with pytest.raises(ValueError, match="has not been started"):
        fresh.send("port", 1)
    fresh.stop()
    fresh.join()


def test_an_address_that_is_not_ours_cannot_be_bound(make: Make) -> None:
    ports = make(Port("port", Echo, bind=("192.0.2.1", 0)), start=False)
    with pytest.raises(libcoop.Os, match=r"port port: .*192\.0\.2\.1:0") as raised:
        ports.start()
    assert raised.value.errno == errno.EADDRNOTAVAIL


# --- the end ----------------------------------------------------------------------------------------------------------


def test_ctx_stop_ends_the_whole_set(make: Make) -> None:
    told = Told()
    ports = make(Port("a", Run), Port("b", Tell, (told,)))
    get(told)
    run_in(ports, "a", lambda ctx: ctx.stop())
    ports.join(DEADLINE)
    assert get(told) == ("stop", "b")
    for address in ports.addresses.values():
        bound_again(address)


@HERE
def test_stopping_from_inside_is_refused(make: Make) -> None:
    ports = make(Port("port", Run))
    for call in (lambda _: ports.stop(), lambda _: ports.join()):
        with pytest.raises(libcoop.WouldDeadlock, match=r"use ctx\.stop\(\)"):
            run_in(ports, "port", call)
    assert run_in(ports, "port", lambda ctx: ctx.name) == "port", "a refused call has done nothing"


def test_join_times_out(make: Make) -> None:
    ports = make(Port("port", Run))
    with pytest.raises(libcoop.Timeout, match="ports port have not"):
        ports.join(0.01)


def test_stop_names_the_port_that_ignores_it_and_may_be_called_again() -> None:
    ports = PortSet([Port("stuck", Run), Port("fine", Run)])
    ports.start()
    gate = Gate()
    ports.send("stuck", gate)
    assert gate.began.wait(DEADLINE)

    def named() -> str:
        with pytest.raises(libcoop.Timeout) as raised:
            ports.stop(0.05)
        return str(raised.value)

    # The other one ends in its own time.
    until(lambda: "ports stuck have not ended" in named())
    gate.go.set()
    ports.stop(DEADLINE)
    ports.stop()


def test_a_with_block_starts_and_stops(mode: Mode, running_loop: EventLoop) -> None:
    told = Told()
    with PortSet([Port("port", Tell, (told,))], mode=mode, loop=running_loop) as ports:
        assert get(told) == ("start", "port")
        address = ports.addresses["port"]
    assert get(told) == ("stop", "port")
    bound_again(address)


def test_a_set_that_is_let_go_of_stops(make: Make, mode: Mode, running_loop: EventLoop) -> None:
    told = Told()
    ports = PortSet([Port("port", Tell, (told,))], mode=mode, loop=running_loop)
    ports.start()
    address = ports.addresses["port"]
    assert get(told) == ("start", "port")
    del ports
    assert get(told) == ("stop", "port")
    bound_again(address)


@HERE
def test_handlers_are_freed_when_the_set_stops(make: Make) -> None:
    """Also those that keep their context, and with their arguments and undelivered messages."""
    freed = Told()

    class Keeper(Run):
        def __init__(self, argument: object) -> None:
            self.argument = argument
            weakref.finalize(self, freed.put, "handler")

        def on_start(self, ctx: PortContext) -> None:
            self.ctx = ctx

    class Argument:
        pass

    argument = Argument()
    weakref.finalize(argument, freed.put, "argument")
    ports = make(Port("port", Keeper, (argument,)))
    del argument
    assert freed.empty()
    ports.stop(DEADLINE)
    assert sorted([get(freed), get(freed)]) == ["argument", "handler"]


@HERE
def test_a_context_outlives_its_port(make: Make) -> None:
    ports = make(Port("port", Run))
    ctx: PortContext = run_in(ports, "port", lambda ctx: ctx)
    assert repr(ctx) == f"<libcoop.PortContext of port at 127.0.0.1:{ports.addresses['port'][1]}>"
    assert (ctx.name, ctx.address, ctx.backlog) == ("port", ports.addresses["port"], 0)
    ports.stop(DEADLINE)
    for call in (lambda: ctx.sendto(b"x", ("127.0.0.1", 9)), lambda: ctx.set_timer(0), lambda: ctx.send("port", 1)):
        with pytest.raises(libcoop.Closed):
            call()
    ctx.stop()


def test_a_single_set_on_a_loop_that_nobody_runs_yet(loop: EventLoop, peer: socket.socket) -> None:
    with PortSet([Port("echo", Echo)], mode=Mode.SINGLE, loop=loop) as ports:
        peer.sendto(b"x", ports.addresses["echo"])
        loop.run(libcoop.RunMode.ONCE)
        assert peer.recv(10) == b"x"


def test_exceptions_that_are_none_leave_the_run_of_a_single_set(loop: EventLoop) -> None:
    with PortSet([Port("port", Run)], mode=Mode.SINGLE, loop=loop) as ports:

        def leave(ctx: PortContext) -> None:
            raise SystemExit(3)

        ports.send("port", leave)
        with pytest.raises(SystemExit):
            loop.run()


# --- load -------------------------------------------------------------------------------------------------------------
