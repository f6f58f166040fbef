"""Port sets in every mode: real sockets, handlers built inside their workers."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import queue
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import libcoop
import pytest
from libcoop import Batch, EventLoop, Handler, Mode, Port, PortContext, PortSet, _libcoop

DEADLINE = 30.0
Address: TypeAlias = tuple[str, int]
Told: TypeAlias = "queue.SimpleQueue[Any]"


@pytest.fixture(params=[Mode.SINGLE, Mode.THREAD], ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    return mode


Make: TypeAlias = Callable[..., PortSet]


@pytest.fixture
def make(mode: Mode, running_loop: EventLoop) -> Iterator[Make]:
    """Makes a set in this mode, on a loop if it needs one; stops it at the end."""
    with contextlib.ExitStack() as stack:

        def make(*ports: Port, start: bool = True, **options: Any) -> PortSet:
            made = PortSet(ports, mode=mode, loop=running_loop if mode == Mode.SINGLE else None, **options)
            if start:
                made.start()
            stack.callback(made.stop, DEADLINE)
            return made

        yield make


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(DEADLINE)
        yield peer


class Echo(Handler):
    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            assert ctx.sendto(data, address) == 1


class Tell(Handler):
    """Tells a queue what it is called with."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def on_start(self, ctx: PortContext) -> None:
        self.told.put(("start", ctx.name))

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        for data, address in batch:
            self.told.put(("datagram", bytes(data), address))

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        self.told.put(("message", sender, obj))

    def on_timer(self, ctx: PortContext, timer: int) -> None:
        self.told.put(("timer", timer))

    def on_stop(self, ctx: PortContext) -> None:
        self.told.put(("stop", ctx.name))


class Run(Handler):
    """Calls the functions that it is sent."""

    def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
        obj(ctx)


class OnBatch(Handler):
    """Calls a function with each batch."""

    def __init__(self, call: Callable[[PortContext, Batch], None]) -> None:
        self.call = call

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        self.call(ctx, batch)


def get(told: Told) -> Any:
    return told.get(timeout=DEADLINE)


def run_in(ports: PortSet, name: str, call: Callable[[PortContext], Any]) -> Any:
    """Has a `Run` handler call a function with its context; answers what that did."""
    answers: Told = queue.SimpleQueue()

    def answer(ctx: PortContext) -> None:
        try:
            answers.put((call(ctx), None))
        except BaseException as error:
            answers.put((None, error))

    ports.send(name, answer)
    result, error = get(answers)
    if error is not None:
        raise error
    return result


def sendto(*args: Any, **options: Any) -> Callable[[PortContext], int]:
    """For `run_in`."""
    return lambda ctx: ctx.sendto(*args, **options)


def bound_again(address: Address) -> None:
    """Proves that nobody has the address any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)


# --- datagrams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 19, 1401, 65507])
def test_echo(make: Make, peer: socket.socket, size: int) -> None:
    ports = make(Port("echo", Echo))
    data = bytes(number % 251 for number in range(size))
    peer.sendto(data, ports.addresses["echo"])
    assert peer.recvfrom(1 << 16) == (data, ports.addresses["echo"])
    ports.stop()
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
    told: dict[str, Told] = {name: queue.SimpleQueue() for name in ("CONTROL", "UPLOAD", "DOWNLOAD")}
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


class Gate:
    """Keeps a `Run` port's handler busy, so that what comes meanwhile is one batch."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self, ctx: PortContext) -> None:
        self.began.set()
        assert self.go.wait(DEADLINE)


class Batches(Run):
    """Tells its batches, and can be kept busy."""

    def __init__(self, call: Callable[[PortContext, Batch], None]) -> None:
        self.call = call

    def on_batch(self, ctx: PortContext, batch: Batch) -> None:
        self.call(ctx, batch)


def one_batch(
    make: Make, peer: socket.socket, call: Callable[[PortContext, Batch], None], data: Sequence[bytes]
) -> PortSet:
    """Sends datagrams that the handler is given as one batch."""
    ports = make(Port("port", Batches, (call,)))
    gate = Gate()
    ports.send("port", gate)
    assert gate.began.wait(DEADLINE)
    for datagram in data:
        peer.sendto(datagram, ports.addresses["port"])
    gate.go.set()
    return ports


def test_the_batch_is_a_sequence_over_its_bytes(make: Make, peer: socket.socket) -> None:
    data = [b"one", b"", b"three" * 100, b"4"]
    told: Told = queue.SimpleQueue()

    def look(ctx: PortContext, batch: Batch) -> None:
        try:
            check(batch)
            told.put(None)
        except BaseException as error:
            told.put(error)
            raise

    def check(batch: Batch) -> None:
        sender = peer.getsockname()
        assert len(batch) == 4
        assert repr(batch) == "<libcoop.Batch of 4 datagrams at 0>"
        indices = []
        for number, (view, address) in enumerate(batch):
            assert (bytes(view), address) == (data[number], sender)
            indices.append(batch.index)
        assert indices == [0, 1, 2, 3]
        assert [bytes(view) for view, _ in batch] == data, "it can be iterated again"
        assert bytes(batch[0][0]) == bytes(batch[-4][0]) == b"one"
        assert (bytes(batch[-1][0]), batch[-1][1]) == (b"4", sender)
        for index in (4, -5, 1 << 40):
            for call in (batch.__getitem__, batch.address, batch.truncated):
                with pytest.raises(IndexError, match=f"datagram {index} of a batch of 4"):
                    call(index)
        with pytest.raises(TypeError):
            batch["0"]  # type: ignore[index]
        offsets = batch.offsets
        assert (offsets.format, offsets.itemsize, offsets.readonly, len(offsets)) == ("I", 4, True, 5)
        starts = offsets.tolist()
        assert [bytes(batch.data[a:b]) for a, b in itertools.pairwise(starts)] == data
        for view in (batch.data, batch[2][0], next(iter(batch))[0]):
            assert view.readonly
            assert (view.format, view.c_contiguous) == ("B", True)
            with pytest.raises(TypeError):
                view[:1] = b"x"
        assert [batch.address(index) for index in (0, -1)] == [sender, sender]
        assert batch.senders() == [(0, 4, sender)]
        assert [batch.truncated(index) for index in range(4)] == [False] * 4
        batch.index = 3
        assert batch.index == 3
        with pytest.raises(ValueError, match="index -1 is negative"):
            batch.index = -1

    one_batch(make, peer, look, data)
    error = get(told)
    if error is not None:
        raise error


def test_senders_are_told_apart(make: Make, peer: socket.socket) -> None:
    told: Told = queue.SimpleQueue()
    ports = make(Port("port", Tell, (told,)))
    get(told)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        for number in range(10):
            sender = (peer, other)[number % 2]
            sender.sendto(bytes([number]), ports.addresses["port"])
            assert get(told) == ("datagram", bytes([number]), sender.getsockname())


def test_kept_memoryviews_keep_their_bytes(make: Make, peer: socket.socket) -> None:
    kept: list[memoryview] = []
    echoed: Told = queue.SimpleQueue()

    def keep(ctx: PortContext, batch: Batch) -> None:
        for data, _ in batch:
            if len(kept) < 50:
                kept.append(data)
            echoed.put(len(data))

    ports = make(Port("port", OnBatch, (keep,)))
    sent = [bytes([number]) * (number * 20 + 1) for number in range(50)]
    for data in sent:
        peer.sendto(data, ports.addresses["port"])
        get(echoed)
    for number in range(500):
        peer.sendto(bytes([255 - number % 256]) * 3000, ports.addresses["port"])
        get(echoed)
    ports.stop(DEADLINE)
    del ports
    gc.collect()
    assert [bytes(view) for view in kept] == sent


# --- exceptions -------------------------------------------------------------------------------------------------------


def test_an_exception_skips_the_datagram_at_hand_and_the_rest_comes_again(
    make: Make, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    told: Told = queue.SimpleQueue()

    def handle(ctx: PortContext, batch: Batch) -> None:
        for data, _ in batch:
            told.put((bytes(data), len(batch), batch.index))
            if bytes(data) == b"bad":
                raise LookupError("a bad one")

    ports = one_batch(make, peer, handle, [b"0", b"bad", b"2", b"3", b"bad"])
    came = [get(told) for _ in range(5)]
    assert came == [(b"0", 5, 0), (b"bad", 5, 1), (b"2", 3, 0), (b"3", 3, 1), (b"bad", 3, 2)]
    peer.sendto(b"next", ports.addresses["port"])
    assert get(told) == (b"next", 1, 0)
    ports.stop(DEADLINE)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("libcoop", "on_batch of port port raised")
    ] * 2
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[0] is LookupError
    assert ports.stats()["port"].errors == 2


def test_the_index_that_the_handler_sets_is_skipped(
    make: Make, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    told: Told = queue.SimpleQueue()

    def handle(ctx: PortContext, batch: Batch) -> None:
        told.put([bytes(batch[index][0]) for index in range(len(batch))])
        if len(batch) == 4:
            batch.index = 2
            raise LookupError

    one_batch(make, peer, handle, [b"0", b"1", b"2", b"3"])
    assert get(told) == [b"0", b"1", b"2", b"3"]
    assert get(told) == [b"3"]


@pytest.mark.parametrize("what", ["on_message", "on_timer"])
def test_an_exception_elsewhere_is_logged_and_the_port_goes_on(
    make: Make, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: Told = queue.SimpleQueue()

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


def test_messages_between_ports_and_from_outside(make: Make) -> None:
    told: Told = queue.SimpleQueue()
    ports = make(Port("a", Run), Port("b", Tell, (told,)))
    get(told)
    thing = object()
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
    told: Told = queue.SimpleQueue()

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
    told: Told = queue.SimpleQueue()

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


def test_what_may_be_sent(make: Make, peer: socket.socket) -> None:
    ports = make(Port("port", Run))
    address = peer.getsockname()
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), b""):
        assert run_in(ports, "port", sendto(data, address)) == 1
        assert peer.recv(100) == bytes(data)
    for wrong_data in ("text", 7, None, memoryview(b"abcdef")[::2]):
        with pytest.raises(TypeError, match="a datagram is a contiguous bytes-like object, not "):
            run_in(ports, "port", sendto(wrong_data, address))
    with pytest.raises(ValueError, match="a datagram of 65528 bytes is too long"):
        run_in(ports, "port", sendto(bytes(65528), address))
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
    # What only IPv6 could carry is the kernel's to refuse, and is counted.
    run_in(ports, "port", sendto(bytes(65508), address))
    ports.stop(DEADLINE)
    stats = ports.stats()["port"]
    assert (stats.sent, stats.send_dropped) == (4, 1)


@pytest.mark.parametrize(
    ("size", "segment", "lengths"),
    [(3500, 1000, [1000, 1000, 1000, 500]), (3000, 1000, [1000] * 3), (10, 1000, [10]), (60000, 600, [600] * 100)],
)
def test_segments(make: Make, peer: socket.socket, size: int, segment: int, lengths: list[int]) -> None:
    ports = make(Port("port", Run))
    data = bytes(number % 253 for number in range(size))
    count = run_in(ports, "port", lambda ctx: ctx.sendto(data, peer.getsockname(), segment_size=segment))
    assert count == len(lengths)
    received = [peer.recv(1 << 16) for _ in lengths]
    assert [len(datagram) for datagram in received] == lengths
    assert b"".join(received) == data


def test_a_connected_port_hears_and_sends_to_its_peer_only(make: Make, peer: socket.socket) -> None:
    told: Told = queue.SimpleQueue()

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
    told: Told = queue.SimpleQueue()

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
    class Bye(Handler):
        def on_stop(self, ctx: PortContext) -> None:
            ctx.sendto(b"bye", peer.getsockname())

    ports = make(Port("port", Bye))
    ports.stop(DEADLINE)
    assert peer.recv(10) == b"bye"


# --- start ------------------------------------------------------------------------------------------------------------


class Refuse(Handler):
    error = LookupError("not today")

    def __init__(self, where: str) -> None:
        self.where = where
        if where == "__init__":
            raise self.error

    def on_start(self, ctx: PortContext) -> None:
        if self.where == "on_start":
            raise self.error


@pytest.mark.parametrize("where", ["__init__", "on_start"])
def test_a_handler_that_cannot_start_fails_the_start_and_releases_everything(
    make: Make, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: Told = queue.SimpleQueue()
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


def test_a_handler_may_be_named(make: Make, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handlers_of_a_test.py").write_text(
        "class Outer:\n    class Inner:\n        def __init__(self, told):\n            told.put('built')\n"
        "instance = Outer()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    told: Told = queue.SimpleQueue()
    make(Port("port", "handlers_of_a_test:Outer.Inner", (told,)))
    assert get(told) == "built"
    for name, kind, message in (
        ("no_such_module_here:X", ModuleNotFoundError, "no_such_module_here"),
        ("handlers_of_a_test:Nope", AttributeError, "module 'handlers_of_a_test' has no 'Nope'"),
        ("handlers_of_a_test:Outer.Nope", AttributeError, "has no 'Outer.Nope'"),
        ("handlers_of_a_test", ValueError, 'must be a class or "module:qualname"'),
        (":x", ValueError, 'must be a class or "module:qualname"'),
        ("handlers_of_a_test:instance", TypeError, "not a class"),
    ):
        ports = make(Port("port", name), start=False)
        with pytest.raises(kind, match=message):
            ports.start()


def test_wrong_arguments_of_a_handler_are_its_own_type_error(make: Make) -> None:
    ports = make(Port("port", Tell, (1, 2, 3)), start=False)
    with pytest.raises(TypeError, match="positional arguments"):
        ports.start()


def test_instances_are_refused(make: Make) -> None:
    with pytest.raises(TypeError, match=r'port "port" must be a class or "module:qualname", not the instance'):
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
    told: Told = queue.SimpleQueue()
    ports = make(Port("a", Run), Port("b", Tell, (told,)))
    get(told)
    run_in(ports, "a", lambda ctx: ctx.stop())
    ports.join(DEADLINE)
    assert get(told) == ("stop", "b")
    for address in ports.addresses.values():
        bound_again(address)


def test_stopping_from_inside_is_refused(make: Make) -> None:
    ports = make(Port("port", Run))
    for call in (lambda _: ports.stop(), lambda _: ports.join()):
        with pytest.raises(libcoop.WouldDeadlock, match=r"use ctx\.stop\(\)"):
            run_in(ports, "port", call)
    assert run_in(ports, "port", lambda ctx: ctx.name) == "port", "a refused call has done nothing"


def test_join_times_out(make: Make) -> None:
    ports = make(Port("port", Run))
    with pytest.raises(libcoop.Timeout, match="ports port have not ended"):
        ports.join(0.01)


def test_stop_names_the_port_that_ignores_it_and_may_be_called_again() -> None:
    ports = PortSet([Port("stuck", Run), Port("fine", Run)])
    ports.start()
    gate = Gate()
    ports.send("stuck", gate)
    assert gate.began.wait(DEADLINE)
    with pytest.raises(libcoop.Timeout, match="ports stuck have not ended"):
        ports.stop(0.05)
    gate.go.set()
    ports.stop(DEADLINE)
    ports.stop()


def test_a_with_block_starts_and_stops(mode: Mode, running_loop: EventLoop) -> None:
    told: Told = queue.SimpleQueue()
    with PortSet([Port("port", Tell, (told,))], mode=mode, loop=running_loop) as ports:
        assert get(told) == ("start", "port")
        address = ports.addresses["port"]
    assert get(told) == ("stop", "port")
    bound_again(address)


def test_a_set_that_is_let_go_of_stops(make: Make, mode: Mode, running_loop: EventLoop) -> None:
    told: Told = queue.SimpleQueue()
    ports = PortSet([Port("port", Tell, (told,))], mode=mode, loop=running_loop)
    ports.start()
    address = ports.addresses["port"]
    assert get(told) == ("start", "port")
    del ports
    assert get(told) == ("stop", "port")
    bound_again(address)


def test_handlers_are_freed_when_the_set_stops(make: Make) -> None:
    """Also those that keep their context, and with their arguments and undelivered messages."""
    freed: Told = queue.SimpleQueue()

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


def test_a_full_buffer_is_counted() -> None:
    handled: Told = queue.SimpleQueue()

    def count(ctx: PortContext, batch: Batch) -> None:
        handled.put(len(batch))

    with (
        PortSet([Port("port", Batches, (count,))], buffer_bytes=1 << 16) as ports,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        gate = Gate()
        ports.send("port", gate)
        assert gate.began.wait(DEADLINE)
        offered = 200
        for number in range(1, offered + 1):
            peer.sendto(bytes(1000), ports.addresses["port"])
            # Paced by what has come, so that the kernel's buffer loses none.
            while (stats := ports.stats()["port"]).received + stats.dropped < number:
                pass
        assert stats.received * 1000 <= 1 << 16
        assert stats.dropped == offered - stats.received > 0
        gate.go.set()
        assert get(handled) == stats.received


def test_receiving_goes_on_while_the_interpreter_is_busy(tmp_path: Any, program: Any) -> None:
    """The receiving side needs no interpreter: all is received while one thread holds it."""
    program(
        """
        import ctypes, socket, threading
        from libcoop import Handler, Port, PortSet

        class Count(Handler):
            total = 0
            done = threading.Event()
            def on_batch(self, ctx, batch):
                Count.total += len(batch)
                if Count.total == 2000:
                    Count.done.set()

        libc = ctypes.PyDLL(None)  # holds the interpreter while it calls
        with PortSet([Port("port", Count)]) as ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(ports.addresses["port"])
            fd = peer.fileno()
            for _ in range(2000):
                assert libc.send(fd, b"x" * 100, 100, 0) == 100
                libc.usleep(50)
            # Not one line of Python ran on another thread meanwhile.
            before = ports.stats()["port"]
            assert Count.done.wait(30)
            after = ports.stats()["port"]
            assert (after.received, after.dropped) == (2000, 0), after
            assert before.received >= 1990, before
        """
    )


def test_python_threads_and_ports_and_drops_do_not_deadlock() -> None:
    """Sets are started, used and dropped by several threads that all want the interpreter."""

    def churn() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(10):
                ports = PortSet([Port("a", Echo), Port("b", Run)])
                ports.start()
                for _ in range(20):
                    peer.sendto(b"x", ports.addresses["a"])
                    ports.send("b", lambda ctx: ctx.send("a", 1))
                del ports

    threads = [threading.Thread(target=churn, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a deadlock"
