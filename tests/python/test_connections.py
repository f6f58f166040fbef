"""Connections: who connects where, who accepts, and what names and addresses they have."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from pathlib import Path

import libcoop
import pytest
from conftest import DEADLINE
from libcoop import EventLoop, Listener
from streamkit import dial, wait_until


def test_connect_by_name_and_address(running_loop: EventLoop) -> None:
    with running_loop.listen("127.0.0.1", 0) as listener:
        assert isinstance(listener.local_address, tuple)
        port = listener.local_address[1]
        for host in ("127.0.0.1", "localhost"):
            connect = running_loop.connect(
                host, port, timeout=DEADLINE, nodelay=True, keepalive=(60, 10, 3), local_address=("127.0.0.1", 0)
            )
            with connect.result(DEADLINE) as stream, listener.accept().result(DEADLINE) as accepted:
                assert stream.peer_address == ("127.0.0.1", port)
                assert accepted.peer_address == stream.local_address
                assert repr(stream) == f"<libcoop.Stream to 127.0.0.1:{port}>"
                plain = socket.socket(fileno=os.dup(stream.fileno()))
                with plain:
                    assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
                    stream.set_nodelay(False)
                    stream.set_keepalive(None)
                    assert not plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    assert not plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_connect_to_nobody(running_loop: EventLoop, tmp_path: Path) -> None:
    with socket.socket() as holder:
        # Nobody listens there, and nobody else is given the port.
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        refused = running_loop.connect("127.0.0.1", port).exception(DEADLINE)
    assert isinstance(refused, libcoop.Os)
    assert refused.errno == errno.ECONNREFUSED
    assert f"127.0.0.1:{port}" in str(refused)
    missing = running_loop.connect_unix(tmp_path / "none").exception(DEADLINE)
    assert isinstance(missing, libcoop.Os)
    assert missing.errno == errno.ENOENT


def test_names_are_resolved(running_loop: EventLoop) -> None:
    assert ("127.0.0.1", 80) in running_loop.resolve("localhost", 80).result(DEADLINE)
    assert running_loop.resolve("::1").result(DEADLINE) == [("::1", 0)]
    for future in (running_loop.resolve("no.such.host.invalid"), running_loop.connect("no.such.host.invalid", 1)):
        with pytest.raises(libcoop.Resolve, match=r"no\.such\.host\.invalid"):
            future.result(DEADLINE)


def test_a_listener_hands_out_connections_in_order(listener: Listener) -> None:
    accepts = [listener.accept() for _ in range(3)]
    accepts[1].cancel()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(dial(listener))
        for future in (accepts[0], accepts[2]):
            stack.enter_context(future.result(DEADLINE))


def test_a_closed_listener(listener: Listener) -> None:
    waiting = listener.accept()
    listener.close()
    listener.close()
    with pytest.raises(libcoop.Closed, match="the listener is closed"):
        waiting.result(DEADLINE)
    with pytest.raises(libcoop.Closed, match="the listener is closed"):
        listener.accept()
    assert listener.closed
    assert repr(listener).endswith(", closed>")
    assert listener.local_address
    wait_until(lambda: not reachable(listener))


def reachable(listener: Listener) -> bool:
    with contextlib.suppress(OSError):
        dial(listener).close()
        return True
    return False


def test_unix_addresses(running_loop: EventLoop, tmp_path: Path) -> None:
    path = tmp_path / "here"
    with running_loop.listen_unix(path) as listener:
        assert listener.local_address == str(path)
        with pytest.raises(libcoop.Exists, match="the file exists"):
            running_loop.listen_unix(path)
        with (
            running_loop.connect_unix(path).result(DEADLINE) as stream,
            listener.accept().result(DEADLINE) as accepted,
        ):
            assert (stream.peer_address, accepted.peer_address) == (str(path), "")
    assert not path.exists()
    name = f"\0libcoop-test-{os.getpid()}"
    with running_loop.listen_unix(name) as listener:
        assert listener.local_address == name.encode()


def test_a_connection_that_came_as_accept_was_cancelled_is_the_next_ones(running_loop: EventLoop) -> None:
    with running_loop.listen("127.0.0.1", 0) as listener:
        for number in range(1000):
            future = listener.accept()
            with dial(listener) as plain:
                time.sleep(0 if number % 2 else 1e-5)
                if future.cancel():
                    future = listener.accept()
                with future.result(DEADLINE) as stream:
                    assert stream.peer_address == plain.getsockname()


def test_many_connections_at_once(running_loop: EventLoop) -> None:
    with running_loop.listen("127.0.0.1", 0) as listener, contextlib.ExitStack() as stack:
        assert isinstance(listener.local_address, tuple)
        port = listener.local_address[1]
        accepts = [listener.accept() for _ in range(200)]
        connects = [running_loop.connect("127.0.0.1", port) for _ in range(200)]
        near = [stack.enter_context(future.result(DEADLINE)) for future in connects]
        far = [stack.enter_context(future.result(DEADLINE)) for future in accepts]
        reads = [stream.read_exactly(4) for stream in far]
        for number, stream in enumerate(near):
            stream.write(struct.pack("!I", number))
        assert sorted(read.result(DEADLINE) for read in reads) == [struct.pack("!I", number) for number in range(200)]
