"""Streams and listeners of an event loop, TCP and Unix, with asyncio and without."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import struct
import threading
import weakref
from functools import partial
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import EventLoop, Listener, Stream
from streamkit import LARGE, Ends, dial, wait_until


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


def are_gone(references: list[weakref.ref[Any]]) -> bool:
    gc.collect()
    return all(reference() is None for reference in references)


def test_nothing_is_left_of_it(running_loop: EventLoop) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        listener = running_loop.listen("127.0.0.1", 0)
        plain = dial(listener)
        stream = listener.accept().result(DEADLINE)
        read = stream.read()
        gone: list[weakref.ref[Any]] = [weakref.ref(stream), weakref.ref(listener)]
        read.cancel()
        del stream, listener, read
        plain.close()
        wait_until(partial(are_gone, gone))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


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
