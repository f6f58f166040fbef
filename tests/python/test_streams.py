"""Streams and listeners of an event loop, TCP and Unix, with asyncio and without."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import EventLoop, Listener, Stream

Ends = tuple[Stream, socket.socket]
LARGE = bytes(range(256)) * 40_000


@pytest.fixture(params=["tcp", "unix"])
def listener(running_loop: EventLoop, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    if request.param == "tcp":
        made = running_loop.listen("127.0.0.1", 0)
    else:
        made = running_loop.listen_unix(tmp_path / "socket")
    with made:
        yield made


def dial(listener: Listener) -> socket.socket:
    """A plain socket that is connected to it."""
    address = listener.local_address
    plain = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    plain.settimeout(DEADLINE)
    try:
        plain.connect(address)
    except OSError:
        plain.close()
        raise
    return plain


@pytest.fixture
def ends(listener: Listener) -> Iterator[Ends]:
    """A stream, and the plain socket at its other end."""
    with dial(listener) as plain, listener.accept().result(DEADLINE) as stream:
        yield stream, plain


def test_what_one_end_writes_the_other_reads(ends: Ends) -> None:
    stream, plain = ends
    plain.sendall(b"hello")
    assert stream.read(3).result(DEADLINE) == b"hel"
    assert stream.read().result(DEADLINE) == b"lo"
    waiting = stream.read()
    assert not waiting.done()
    plain.sendall(b"more")
    assert waiting.result(DEADLINE) == b"more"
    for data in (b"bytes", bytearray(b"array"), memoryview(b"view")[1:]):
        assert stream.write(data).result(DEADLINE) is None
        assert plain.recv(100) == bytes(data)
    assert stream.write(b"").result(DEADLINE) is None


def test_reads_and_writes_keep_their_order(ends: Ends) -> None:
    stream, plain = ends
    reads = [stream.read_exactly(2), stream.read(1), stream.read_exactly(3)]
    plain.sendall(b"aabccc")
    assert [read.result(DEADLINE) for read in reads] == [b"aa", b"b", b"ccc"]
    writes = [stream.write(bytes([number]) * 1000) for number in range(200)]
    writes.append(stream.shutdown())
    got = b"".join(iter(lambda: plain.recv(65536), b""))
    assert got == b"".join(bytes([number]) * 1000 for number in range(200))
    assert all(write.result(DEADLINE) is None for write in writes)


def test_a_write_waits_for_the_reader_and_keeps_its_data(ends: Ends) -> None:
    stream, plain = ends
    array = bytearray(LARGE)
    write = stream.write(array)
    assert not write.done(), "the system has no room for so much"
    array[:] = b"\0" * len(array)
    end = stream.shutdown()
    assert b"".join(iter(lambda: plain.recv(1 << 20), b"")) == LARGE
    assert (write.result(DEADLINE), end.result(DEADLINE)) == (None, None)


def test_half_close(ends: Ends) -> None:
    stream, plain = ends
    plain.sendall(b"question")
    plain.shutdown(socket.SHUT_WR)
    assert stream.read_to_end().result(DEADLINE) == b"question"
    assert stream.read().result(DEADLINE) == b""
    stream.write(b"answer").result(DEADLINE)
    stream.shutdown().result(DEADLINE)
    assert plain.recv(100) == b"answer"
    assert plain.recv(100) == b""


def test_an_end_that_comes_too_early_says_what_came(ends: Ends) -> None:
    stream, plain = ends
    read = stream.read_exactly(10)
    plain.sendall(b"four")
    plain.close()
    error = read.exception(DEADLINE)
    assert isinstance(error, libcoop.IncompleteRead)
    assert isinstance(error, EOFError)
    assert (error.partial, error.expected) == (b"four", 10)
    assert str(error) == "the stream ended after 4 of 10 bytes"


def test_a_cancelled_read_loses_nothing(ends: Ends) -> None:
    stream, plain = ends
    exactly = stream.read_exactly(100)
    plain.sendall(b"some")
    wait_until(lambda: not readable(stream))
    assert exactly.cancel()
    assert stream.read_exactly(4).result(DEADLINE) == b"some"
    for _ in range(200):
        read = stream.read()
        sender = threading.Thread(target=plain.sendall, args=(b"x",))
        sender.start()
        if read.cancel():
            assert stream.read().result(DEADLINE) == b"x"
        else:
            assert read.result(DEADLINE) == b"x"
        sender.join()


def readable(stream: Stream) -> bool:
    import select

    return bool(select.select([stream], [], [], 0)[0])


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.001)


def test_a_cancelled_one_lets_the_next_go_on(ends: Ends) -> None:
    stream, plain = ends
    first, second = stream.read(), stream.read()
    assert first.cancel()
    plain.sendall(b"for the second")
    assert second.result(DEADLINE) == b"for the second"


def test_close_ends_what_waits(ends: Ends) -> None:
    stream, plain = ends
    waiting: list[libcoop.Future[Any]] = [stream.read(), stream.read_exactly(9), stream.write(LARGE), stream.shutdown()]
    stream.close()
    stream.close()
    for future in waiting:
        with pytest.raises(libcoop.Closed, match="the stream is closed"):
            future.result(DEADLINE)
    while plain.recv(1 << 20):
        pass
    for call in (stream.read, stream.shutdown, lambda: stream.write(b"x"), stream.fileno, lambda: stream.local_address):
        with pytest.raises(libcoop.Closed, match="the stream is closed"):
            call()
    assert stream.closed
    assert repr(stream).endswith(", closed>")
    assert stream.peer_address is not None


@pytest.mark.parametrize("end", ["stop", "close"])
def test_the_loops_end_ends_what_waits(running_loop: EventLoop, ends: Ends, listener: Listener, end: str) -> None:
    stream, _ = ends
    waiting: list[libcoop.Future[Any]] = [stream.read(), stream.write(LARGE), listener.accept()]
    getattr(running_loop, end)()
    for future in waiting:
        with pytest.raises(libcoop.Closed, match="the event loop is closed"):
            future.result(DEADLINE)


def test_a_reset_is_an_os_error(running_loop: EventLoop) -> None:
    with running_loop.listen("127.0.0.1", 0) as listener, dial(listener) as plain:
        stream = listener.accept().result(DEADLINE)
        read = stream.read()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
        error = read.exception(DEADLINE)
        assert isinstance(error, libcoop.Os)
        assert isinstance(error, ConnectionResetError) or error.errno == errno.ECONNRESET
        assert "read from 127.0.0.1:" in str(error)


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
    with running_loop.listen("127.0.0.1", 0) as listener:
        assert isinstance(listener.local_address, tuple)
        port = listener.local_address[1]
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


def test_asyncio_serves_and_asks(running_loop: EventLoop) -> None:
    async def serve(listener: Listener) -> int:
        served = 0
        async for stream in listener:
            with stream:
                await stream.write(await stream.read_to_end())
                await stream.shutdown()
                served += 1
                if served == 5:
                    listener.close()
        return served

    async def ask(port: int, number: int) -> bytes:
        with await running_loop.connect("127.0.0.1", port) as stream:
            await stream.write(b"%d" % number)
            await stream.shutdown()
            return await stream.read_to_end()

    async def main() -> None:
        with running_loop.listen("127.0.0.1", 0) as listener:
            assert isinstance(listener.local_address, tuple)
            serving = asyncio.create_task(serve(listener))
            answers = await asyncio.gather(*(ask(listener.local_address[1], number) for number in range(5)))
            assert answers == [b"%d" % number for number in range(5)]
            assert await serving == 5
            # Closed already: it ends at once.
            assert [stream async for stream in listener] == []

    asyncio.run(main())


@pytest.mark.parametrize("n", [0, -1])
def test_what_is_wrong_is_raised_at_once(ends: Ends, running_loop: EventLoop, n: int) -> None:
    stream, _ = ends
    with pytest.raises(ValueError, match=f"n must be at least 1, not {n}"):
        stream.read(n)
    with pytest.raises(ValueError, match="n must be at least 1"):
        stream.read_exactly(n)
    with pytest.raises(TypeError, match="data must be bytes-like, not str"):
        stream.write("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="port 65536 is not 0 to 65535"):
        running_loop.listen("127.0.0.1", 65536)
    with pytest.raises(ValueError, match='host "localhost" is not an IP address'):
        running_loop.listen("localhost", 0)
    with pytest.raises(ValueError, match="keep-alive count of 200: allowed are 1 to 127"):
        running_loop.listen("127.0.0.1", 0, keepalive=(1, 1, 200))
    with pytest.raises(TypeError, match="keepalive must be seconds"):
        running_loop.connect("127.0.0.1", 1, keepalive="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout must be at least 0 seconds"):
        running_loop.connect("127.0.0.1", 1, timeout=-1)


def test_nothing_is_left_of_it(running_loop: EventLoop) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        listener = running_loop.listen("127.0.0.1", 0)
        plain = dial(listener)
        stream = listener.accept().result(DEADLINE)
        read = stream.read()
        gone = [weakref.ref(stream), weakref.ref(listener)]
        read.cancel()
        del stream, listener, read
        plain.close()
        wait_until(lambda gone=gone: gc.collect() is not None and all(one() is None for one in gone))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


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


def test_exit_and_fork_with_open_streams(program: Program) -> None:
    program(
        """
        import os
        import libcoop

        loop = libcoop.EventLoop()
        loop.start()
        listener = loop.listen("127.0.0.1", 0)
        client = loop.connect(*listener.local_address).result(20)
        server = listener.accept().result(20)
        pid = os.fork()
        if pid == 0:
            for call in (client.read, lambda: client.write(b"x"), client.shutdown):
                try:
                    call()
                except libcoop.Forked:
                    continue
                os._exit(1)
            client.close()
            listener.close()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        client.write(b"still here").result(20)
        assert server.read().result(20) == b"still here"
        waiting = [client.read(), listener.accept(), server.write(b"x" * 10_000_000)]
        """
    )


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
        running_loop.post_and_wait(bool)
        assert len(os.listdir("/proc/self/fd")) == before
    os.close(reader)
    os.close(writer)


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
