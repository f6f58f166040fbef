"""Ports that take connections, in each mode."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from hostkit import until
from libcoop import EventLoop, Handler, Mode, Port, PortSet
from portkit import Told
from portstreamkit import Bare, Few, Late, Shy, Stream

LONG = 60.0
LOCAL = ("127.0.0.1", 0)


@pytest.fixture(params=list(Mode), ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    return mode


@pytest.fixture
def make(mode: Mode) -> Iterator[Callable[..., PortSet]]:
    made: list[PortSet] = []
    with EventLoop() as loop:
        loop.start()

        def make(handler: type[Any] = Stream, *args: Any, listen: Any = LOCAL, **options: Any) -> PortSet:
            if mode == Mode.SINGLE:
                options["loop"] = loop
            elif mode == Mode.PROCESS:
                options.setdefault("liveness", None)
            ports = PortSet([Port("web", handler, args, listen=listen)], mode=mode, **options)
            made.append(ports)
            ports.start()
            return ports

        yield make
        for ports in made:
            ports.stop(LONG)


def connect(address: Any) -> socket.socket:
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(LONG)
    client.connect(address)
    return client


def client_of(ports: PortSet) -> socket.socket:
    return connect(ports.addresses["web"])


def exactly(client: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        more = client.recv(length - len(got))
        assert more, f"ended after {got!r}"
        got += more
    return got


def rest(client: socket.socket) -> bytes:
    got = b""
    while more := client.recv(1 << 16):
        got += more
    return got


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return exactly(client, len(data))


def why(told: Told) -> str:
    """Why the next connection was closed."""
    while True:
        what = told.get(timeout=LONG)
        if what[0] == "close":
            return str(what[1])


def test_connections_are_served_and_counted(make: Any, mode: Mode) -> None:
    told = Told()
    ports = make(Stream, told)
    with client_of(ports) as one, client_of(ports) as other:
        assert ask(one, b"one") == b"one"
        assert ask(other, b"other") == b"other"
        assert told.get(timeout=LONG) == ("connect", one.getsockname(), 1)
        assert told.get(timeout=LONG) == ("connect", other.getsockname(), 2)
        one.sendall(b"pid")
        assert (int(one.recv(100)) == os.getpid()) == (mode != Mode.PROCESS)
        stats = ports.stats()["web"]
        assert (stats.accepted, stats.open, stats.refused, stats.errors) == (2, 2, 0, 0)
        assert (stats.received_bytes, stats.received) == (11, 0)
        other.close()
        assert why(told) == "ended"
        until(lambda: ports.stats()["web"].open == 1)
        ports.stop(LONG)
        assert rest(one) == b"stopped"
        assert why(told) == "stopped"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(ports.addresses["web"])


def test_ends_of_each_kind(make: Any) -> None:
    told = Told()
    ports = make(Stream, told)
    with client_of(ports) as client:
        client.sendall(b"close")
        assert (rest(client), why(told)) == (b"bye", "asked")
    with client_of(ports) as client:
        client.sendall(b"abort")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert why(told) == "aborted"
    with client_of(ports) as other, client_of(ports) as client:
        client.sendall(b"raise")
        assert (rest(client), why(told)) == (b"", "fault")
        assert ask(other, b"on") == b"on"
    assert why(told) == "ended"
    with client_of(ports) as client:
        client.sendall(b"half")
        assert rest(client) == b"half"
        client.sendall(b"raise")
        assert why(told) == "fault"
    assert ports.stats()["web"].errors == 2


def test_half_close(make: Any) -> None:
    with client_of(make(Late)) as client:
        client.sendall(b"x" * 1_000_000)
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b"1000000"


def test_a_handler_need_not_inherit(make: Any) -> None:
    with client_of(make(Bare)) as client:
        assert ask(client, b"bare") == b"bare"
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b""


def test_one_whose_connect_raises_is_refused(make: Any) -> None:
    ports = make(Shy)
    with client_of(ports) as client:
        assert client.recv(1) == b""
    until(lambda: (ports.stats()["web"].refused, ports.stats()["web"].open) == (1, 0))


def test_one_that_does_not_read_waits_alone(make: Any) -> None:
    told = Told()
    ports = make(Stream, told, buffer_bytes=8 << 20)
    with client_of(ports) as slow, client_of(ports) as other:
        slow.sendall(b"flood")
        while (what := told.get(timeout=LONG))[0] != "full":
            pass
        assert (1 << 20) - 4096 < what[1] <= 1 << 20, "an eighth of buffer_bytes"
        assert ask(other, b"on") == b"on"
        slow.shutdown(socket.SHUT_WR)
        assert len(rest(slow)) >= what[1]
        assert why(told) == "ended"


def test_one_that_was_refused_hears_when_there_is_room(make: Any) -> None:
    told = Told()
    ports = make(Stream, told, buffer_bytes=8 << 20)
    with client_of(ports) as client:
        for _ in range(2):
            client.sendall(b"fill")
            got = b""
            while not got.endswith(b"room"):
                more = client.recv(1 << 16)
                assert more
                got = got[-4:] + more
            while (what := told.get(timeout=LONG))[0] != "drained":
                pass
            assert what[1] <= 1 << 18, "a quarter of an eighth of buffer_bytes"
        assert ask(client, b"on") == b"on"


def test_what_cannot_be_written(make: Any) -> None:
    told = Told()
    with client_of(make(Stream, told)) as client:
        client.sendall(b"text")
        while (what := told.get(timeout=LONG))[0] != "refused":
            pass
        assert what[1] == "what is written to a connection is a contiguous bytes-like object, not str"
        assert ask(client, b"on") == b"on"


def test_paused(make: Any) -> None:
    with client_of(make()) as client:
        client.sendall(b"pause")
        assert exactly(client, 6) == b"paused"
        client.sendall(b"later")
        assert exactly(client, 14) == b" resumed later"


def test_more_than_may_be_open_wait(make: Any) -> None:
    ports = make(connections=1)
    with client_of(ports) as first, client_of(ports) as second:
        assert ask(first, b"in") == b"in"
        second.sendall(b"waits")
        assert ports.stats()["web"].accepted == 1
        first.close()
        assert exactly(second, 5) == b"waits"


def test_much_goes_both_ways(make: Any) -> None:
    data = os.urandom(3 << 20)
    with client_of(make()) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        assert exactly(client, len(data)) == data
        sender.join()


def test_unix_sockets_and_sockets_that_listen_already(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "web"
    ports = make(listen=path)
    assert ports.addresses == {"web": str(path)}
    with client_of(ports) as client:
        assert ask(client, b"unix") == b"unix"
    ports.stop(LONG)
    assert not path.exists()
    with socket.create_server(LOCAL) as listener, connect(listener.getsockname()) as early:
        ports = make(listen=listener)
        assert ports.addresses["web"] == listener.getsockname()
        assert ask(early, b"early") == b"early"
        ports.stop(LONG)
        assert listener.fileno() >= 0, "it stays the caller's"


def test_a_handler_stops_its_set(make: Any) -> None:
    ports = make()
    with client_of(ports) as client:
        client.sendall(b"stop")
        ports.join(LONG)
        assert rest(client) == b"stopped"


def test_a_worker_that_is_killed_refuses_nobody() -> None:
    with PortSet([Port("web", Stream, listen=LOCAL)], mode=Mode.PROCESS, liveness=None) as ports:
        for restarts in range(1, 4):
            with client_of(ports) as client, client_of(ports) as other:
                assert ask(other, b"here") == b"here"
                client.sendall(b"pid")
                os.kill(int(client.recv(100)), signal.SIGKILL)
                assert other.recv(1) == b"", "closed"
                with client_of(ports) as new:
                    assert ask(new, b"new") == b"new", "by the successor"
            assert ports.stats()["web"].restarts == restarts


PASSED = """
import libcoop, sys
sys.path.insert(0, sys.argv[1])
from portstreamkit import Stream
if __name__ == "__main__":
    mode = libcoop.Mode[sys.argv[3]]
    with libcoop.EventLoop() as loop:
        loop.start()
        ports = libcoop.PortSet([libcoop.Port("web", Stream, passed=sys.argv[2])], mode=mode, loop=loop)
        ports.start()
        ports.join(60)
"""


def test_one_without_descriptors_goes_on_when_some_come_free() -> None:
    """Connections wait in the system meanwhile."""
    told = Told()
    with PortSet([Port("web", Few, (told, 6), listen=LOCAL)], mode=Mode.PROCESS, liveness=None) as ports:
        pid, limit = told.get(LONG)
        clients = [client_of(ports) for _ in range(40)]
        for client in clients:
            client.sendall(b"x")
        until(lambda: {str(number) for number in range(limit)} <= set(os.listdir(f"/proc/{pid}/fd")))
        left = set(clients)
        while left:
            answered, _, _ = select.select(list(left), [], [], LONG)
            assert answered, f"{len(left)} are not answered"
            for client in answered:
                assert client.recv(10) == b"x"
                client.close()
            left -= set(answered)
        stats = ports.stats()["web"]
        assert (stats.accepted, stats.refused, stats.restarts) == (40, 0, 0)


def test_a_socket_that_the_process_was_started_with(mode: Mode, tmp_path: Path) -> None:
    program = tmp_path / "served.py"
    program.write_text(PASSED)
    for name in "web", "0":
        with socket.create_server(LOCAL) as listener, connect(listener.getsockname()) as early:
            early.sendall(b"early")
            shell = 'exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$0" "$@"'
            server = subprocess.Popen(
                ["sh", "-c", shell, sys.executable, str(program), str(Path(__file__).parent), name, mode.name],
                stdin=listener.fileno(),
                env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"},
            )
            assert exactly(early, 5) == b"early"
            early.sendall(b"stop")
            assert server.wait(LONG) == 0


def test_what_is_refused(tmp_path: Path) -> None:
    def start(**port: Any) -> None:
        PortSet([Port("web", Handler, **port)]).start()

    with pytest.raises(ValueError, match="not both"):
        start(listen=LOCAL, passed="web")
    with pytest.raises(TypeError, match="listen"):
        start(listen=7)
    with pytest.raises(ValueError, match="single peer"):
        start(listen=LOCAL, connect=("127.0.0.1", 9))
    with pytest.raises(ValueError, match="connections"):
        PortSet([Port("web", Handler, listen=LOCAL)], connections=0)
    with pytest.raises(ValueError, match='"web"'):
        start(passed="web")
    (tmp_path / "file").write_text("")
    with pytest.raises(libcoop.Exists):
        start(listen=tmp_path / "file")
    with socket.socket() as deaf, pytest.raises(ValueError, match="does not listen"):
        start(listen=deaf)
