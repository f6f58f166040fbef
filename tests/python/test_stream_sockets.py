"""The sockets of streams: descriptors that are passed, sockets that are adopted, and what is set on them."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import libcoop
import pytest
from conftest import DEADLINE
from libcoop import EventLoop
from streamkit import dial, wait_until


def test_descriptors_are_passed(running_loop: EventLoop, tmp_path: Path) -> None:
    with (
        running_loop.listen_unix(tmp_path / "socket") as listener,
        running_loop.connect_unix(tmp_path / "socket").result(DEADLINE) as near,
        listener.accept().result(DEADLINE) as far,
    ):
        reader, writer = os.pipe()
        receive = far.receive_descriptors(100, 4)
        assert near.send_descriptors(b"two", [reader, writer]).result(DEADLINE) is None
        data, (got_reader, got_writer) = receive.result(DEADLINE)
        assert data == b"two"
        os.write(got_writer, b"through")
        assert os.read(reader, 100) == b"through"
        for fd in (reader, writer, got_reader, got_writer):
            os.close(fd)
        near.send_descriptors(b"none", []).result(DEADLINE)
        assert far.receive_descriptors().result(DEADLINE) == (b"none", [])
        near.send_descriptors(b"too many", [0, 1, 2]).result(DEADLINE)
        with pytest.raises(libcoop.Failed, match="more than 1 descriptors"):
            far.receive_descriptors(100, 1).result(DEADLINE)
        with pytest.raises(libcoop.Os, match="send fd"):
            near.send_descriptors(b"x", [1 << 20])
        near.close()
        assert far.receive_descriptors().result(DEADLINE) == (b"", [])


def test_descriptors_that_came_as_it_was_cancelled_are_the_next_ones(running_loop: EventLoop) -> None:
    near, far = map(running_loop.adopt, socket.socketpair())
    reader, writer = os.pipe()
    with near, far:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(1000):
            future = far.receive_descriptors(100, 4)
            near.send_descriptors(b"x", [writer]).result(DEADLINE)
            time.sleep(0 if number % 2 else 1e-5)
            if future.cancel():
                future = far.receive_descriptors(100, 4)
            data, (got,) = future.result(DEADLINE)
            assert data == b"x"
            os.close(got)
        # What others in this process had may be closed meanwhile.
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    os.close(reader)
    os.close(writer)


def test_a_socket_is_adopted(running_loop: EventLoop) -> None:
    left, right = socket.socketpair()
    stream = running_loop.adopt(left)
    assert left.fileno() == -1
    with right, stream, running_loop.adopt(right.detach()) as other:
        other.write(b"hello").result(DEADLINE)
        assert stream.read().result(DEADLINE) == b"hello"
        with pytest.raises(libcoop.Exists):
            running_loop.adopt(stream.fileno())


def test_what_is_not_adopted_stays_the_callers(running_loop: EventLoop, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        with pytest.raises(libcoop.Invalid, match="a stream's is needed"):
            running_loop.adopt(udp)
        assert udp.fileno() >= 0
    with open(tmp_path / "file", "wb") as file:
        with pytest.raises(TypeError, match="or the number of a descriptor"):
            running_loop.adopt(file)  # type: ignore[arg-type]
        with pytest.raises(libcoop.Os, match="fd"):
            running_loop.adopt(file.fileno())
        file.write(b"still open")
    with pytest.raises(ValueError, match="-1"):
        running_loop.adopt(-1)
    with pytest.raises(libcoop.Os, match=str(1 << 20)):
        running_loop.adopt(1 << 20)
    left, right = socket.socketpair()
    with left, right:
        running_loop.stop()
        with pytest.raises(libcoop.Closed):
            running_loop.adopt(left)
        right.send(b"x")
        assert left.recv(1) == b"x"


def test_linger_is_set_on_a_stream(running_loop: EventLoop) -> None:
    with running_loop.listen("127.0.0.1", 0) as listener:
        for linger, end in ((0, ConnectionResetError), (None, None), (5, None)):
            with dial(listener) as plain, listener.accept().result(DEADLINE) as stream:
                stream.set_linger(linger)
                stream.close()
                if end is None:
                    assert plain.recv(1) == b""
                else:
                    with pytest.raises(end):
                        plain.recv(1)
                with pytest.raises(libcoop.Closed):
                    stream.set_linger(0)
        with dial(listener), listener.accept().result(DEADLINE) as stream, pytest.raises(ValueError, match="-1"):
            stream.set_linger(-1)
