"""What port sets do in every mode: datagrams, messages, timers."""

from __future__ import annotations

import socket
import threading
from typing import Any

import libcoop
import pytest
from libcoop import EventLoop, Handler, Mode, Port, PortContext
from portkit import DEADLINE, Echo, Make, Run, Tell, Told, bound_again, get, run_in, sendto


@pytest.mark.parametrize("size", [0, 1, 19, 1401, 65507])
def test_echo(make: Make, peer: socket.socket, size: int) -> None:
    ports = make(Port("echo", Echo))
    data = bytes(number % 251 for number in range(size))
    peer.sendto(data, ports.addresses["echo"])
    assert peer.recvfrom(1 << 16) == (data, ports.addresses["echo"])
    ports.stop(DEADLINE)
    stats = ports.stats()["echo"]
    assert (stats.received, stats.received_bytes, stats.sent, stats.sent_bytes) == (1, size, 1, size)
    assert (stats.dropped, stats.truncated, stats.errors, stats.send_dropped) == (0, 0, 0, 0)


def test_nothing_is_lost_or_reordered_within_a_window(make: Make, peer: socket.socket) -> None:
    ports = make(Port("echo", Echo))
    address, window = ports.addresses["echo"], 64
    for start in range(0, 2048, window):
        numbers = [number.to_bytes(4) * (1 + number % 5) for number in range(start, start + window)]
        for number in numbers:
            peer.sendto(number, address)
        assert [peer.recv(100) for _ in range(window)] == numbers


def test_ports_of_a_set_have_handlers_of_their_own(make: Make, peer: socket.socket) -> None:
    told: dict[str, Told] = {name: Told() for name in ("CONTROL", "UPLOAD", "DOWNLOAD")}
    ports = make(*(Port(name, Tell, (told[name],)) for name in told))
    for name, queued in told.items():
        assert get(queued) == ("start", name)
        peer.sendto(name.encode(), ports.addresses[name])
        assert get(queued) == ("datagram", name.encode(), peer.getsockname())
    assert repr(ports) == "<libcoop.PortSet of CONTROL, UPLOAD, DOWNLOAD>"
    ports.stop(DEADLINE)
    for name, queued in told.items():
        assert get(queued) == ("stop", name)
        bound_again(ports.addresses[name])


@pytest.mark.parametrize("what", ["on_message", "on_timer"])
def test_an_exception_elsewhere_is_logged_and_the_port_goes_on(
    make: Make, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

    class Fail(Handler):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            if obj == "timer":
                ctx.set_timer(0)
            elif obj == "fail":
                raise LookupError
            else:
                told.put(obj)

        def on_timer(self, ctx: PortContext, timer: int) -> None:
            ctx.send("port", "after the timer")
            raise LookupError

    ports = make(Port("port", Fail))
    if what == "on_message":
        ports.send("port", "fail")
        ports.send("port", "after the message")
    else:
        ports.send("port", "timer")
    assert get(told).startswith("after")
    ports.stop(DEADLINE)
    assert [record.getMessage() for record in caplog.records] == [f"{what} of port port raised"]
    assert ports.stats()["port"].errors == 1


# --- messages, timers -------------------------------------------------------------------------------------------------


def test_messages_between_ports_and_from_outside(make: Make, mode: Mode) -> None:
    told = Told()
    ports = make(Port("a", Run), Port("b", Tell, (told,)))
    get(told)
    # As it is, but for another process.
    thing = ["a", "copy"] if mode == Mode.PROCESS else object()
    ports.send("b", thing)
    assert get(told) == ("message", "", thing)

    def send_all(ctx: PortContext) -> None:
        for number in range(100):
            ctx.send("b", number)

    run_in(ports, "a", send_all)
    assert [get(told) for _ in range(100)] == [("message", "a", number) for number in range(100)]
    for send in (ports.send, lambda name, obj: run_in(ports, "a", lambda ctx: ctx.send(name, obj))):
        with pytest.raises(ValueError, match='no port "c" in this set: its ports are a, b'):
            send("c", 1)
    ports.stop(DEADLINE)
    assert ports.stats()["b"].messages == 101
    with pytest.raises(libcoop.Closed):
        ports.send("b", 1)


def test_timers(make: Make) -> None:
    told = Told()

    class Timers(Tell):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            obj(ctx)

    ports = make(Port("port", Timers, (told,)))
    get(told)
    now = run_in(ports, "port", lambda ctx: ctx.set_timer(0))
    assert get(told) == ("timer", now)
    with pytest.raises(libcoop.Stale):
        run_in(ports, "port", lambda ctx: ctx.cancel_timer(now))
    repeating = run_in(ports, "port", lambda ctx: ctx.set_timer(0.001, repeat=True))
    assert [get(told) for _ in range(5)] == [("timer", repeating)] * 5

    def cancel(ctx: PortContext) -> None:
        ctx.cancel_timer(repeating)
        ctx.cancel_timer(ctx.set_timer(0))
        ctx.set_timer(0.005)

    run_in(ports, "port", cancel)
    last = get(told)
    while last == ("timer", repeating):
        last = get(told)
    assert last[0] == "timer"
    with pytest.raises(ValueError, match="delay must be at least 0 seconds, not -1"):
        run_in(ports, "port", lambda ctx: ctx.set_timer(-1))
    with pytest.raises(ValueError, match="longer than 0"):
        run_in(ports, "port", lambda ctx: ctx.set_timer(0, repeat=True))
    with pytest.raises(libcoop.Stale):
        run_in(ports, "port", lambda ctx: ctx.cancel_timer(12345))


def test_callbacks_of_a_port_come_on_one_thread(make: Make, mode: Mode, running_loop: EventLoop) -> None:
    told = Told()

    class Where(Handler):
        def __init__(self) -> None:
            self.thread = threading.get_ident()

        def on_start(self, ctx: PortContext) -> None:
            ctx.set_timer(0)

        def on_timer(self, ctx: PortContext, timer: int) -> None:
            told.put((self.thread, threading.get_ident(), ctx.mode))

    make(Port("port", Where))
    built, called, seen = get(told)
    assert built == called != threading.get_ident()
    assert seen is mode
    if mode == Mode.SINGLE:
        running_loop.post(lambda: told.put(threading.get_ident()))
        assert get(told) == built


# --- sending ----------------------------------------------------------------------------------------------------------


def test_what_may_be_sent(make: Make, mode: Mode, peer: socket.socket) -> None:
    ports = make(Port("port", Run))
    address = peer.getsockname()
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), b""):
        assert run_in(ports, "port", sendto(data, address)) == 1
        assert peer.recv(100) == bytes(data)
    # A memoryview that goes to another process is contiguous there.
    strided = memoryview(b"abcdef")[::2] if mode != Mode.PROCESS else [1]
    for wrong_data in ("text", 7, None, strided):
        with pytest.raises(TypeError, match="a datagram is a contiguous bytes-like object, not "):
            run_in(ports, "port", sendto(wrong_data, address))
    with pytest.raises(ValueError, match="a datagram of 65508 bytes is too long: at most 65507 over IPv4"):
        run_in(ports, "port", sendto(bytes(65508), address))
    with pytest.raises(ValueError, match="port port is not connected: an address is needed"):
        run_in(ports, "port", sendto(b"x"))
    with pytest.raises(ValueError, match='host "localhost" is not an IP address'):
        run_in(ports, "port", sendto(b"x", ("localhost", 1)))
    with pytest.raises(ValueError, match="port 65536 is not 0 to 65535"):
        run_in(ports, "port", sendto(b"x", ("127.0.0.1", 65536)))
    for wrong in ("127.0.0.1:1", ("127.0.0.1",), ("127.0.0.1", "x"), 7):
        with pytest.raises(TypeError, match=r"an address is a tuple \(host, port\)"):
            run_in(ports, "port", sendto(b"x", wrong))
    with pytest.raises(ValueError, match="segment_size must be at least 0, not -1"):
        run_in(ports, "port", sendto(b"x", address, segment_size=-1))
    ports.stop(DEADLINE)
    stats = ports.stats()["port"]
    assert (stats.sent, stats.send_dropped) == (4, 0)


@pytest.mark.parametrize(
    ("size", "segment", "lengths"),
    [(3500, 1000, [1000, 1000, 1000, 500]), (3000, 1000, [1000] * 3), (10, 1000, [10]), (60000, 600, [600] * 100)],
)
def test_segments(make: Make, peer: socket.socket, size: int, segment: int, lengths: list[int]) -> None:
    ports = make(Port("port", Run))
    data = bytes(number % 253 for number in range(size))
    count = run_in(ports, "port", sendto(data, peer.getsockname(), segment_size=segment))
    assert count == len(lengths)
    received = [peer.recv(1 << 16) for _ in lengths]
    assert [len(datagram) for datagram in received] == lengths
    assert b"".join(received) == data


def test_a_connected_port_hears_and_sends_to_its_peer_only(make: Make, peer: socket.socket) -> None:
    told = Told()

    class Both(Tell):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            obj(ctx)

    ports = make(Port("port", Both, (told,), connect=peer.getsockname()))
    get(told)
    assert run_in(ports, "port", lambda ctx: ctx.sendto(b"to the peer")) == 1
    assert peer.recvfrom(100) == (b"to the peer", ports.addresses["port"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"from a stranger", ports.addresses["port"])
    peer.sendto(b"from the peer", ports.addresses["port"])
    assert get(told) == ("datagram", b"from the peer", peer.getsockname())


def test_a_peer_that_vanishes_is_counted_and_does_no_harm(make: Make, peer: socket.socket) -> None:
    told = Told()

    class Both(Tell):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            obj(ctx)

    address = peer.getsockname()
    ports = make(Port("port", Both, (told,), connect=address))
    get(told)
    peer.close()

    def counted() -> bool:
        stats = ports.stats()["port"]
        return stats.peer_errors + stats.send_dropped > 0

    while not counted():
        run_in(ports, "port", lambda ctx: ctx.sendto(b"anybody?"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
        again.settimeout(DEADLINE)
        again.sendto(b"back", ports.addresses["port"])
        assert get(told) == ("datagram", b"back", address)
        run_in(ports, "port", lambda ctx: (ctx.sendto(b"x"), ctx.sendto(b"x")))
        # The last one to nobody may have left after the new peer came.
        while (data := again.recv(10)) == b"anybody?":
            pass
        assert data == b"x"
    assert ports.stats()["port"].errors == 0


def test_what_on_stop_sends_is_sent(make: Make, peer: socket.socket) -> None:
    address = peer.getsockname()

    class Bye(Handler):
        def on_stop(self, ctx: PortContext) -> None:
            ctx.sendto(b"bye", address)

    ports = make(Port("port", Bye))
    ports.stop(DEADLINE)
    assert peer.recv(10) == b"bye"


# --- start ------------------------------------------------------------------------------------------------------------
