"""UDP sockets of an event loop, with asyncio and without."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import Datagram, EventLoop, UdpSocket


@pytest.fixture
def udp(running_loop: EventLoop) -> Iterator[UdpSocket]:
    with running_loop.udp("127.0.0.1", 0) as udp:
        yield udp


def test_what_is_sent_is_received(running_loop: EventLoop, udp: UdpSocket, peer: socket.socket) -> None:
    waiting = udp.receive()
    assert not waiting.done()
    peer.sendto(b"one", udp.local_address)
    assert waiting.result(DEADLINE) == Datagram(b"one", peer.getsockname(), None)
    for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view")[1:]):
        assert udp.send(data, peer.getsockname()).result(DEADLINE) is None
        assert peer.recvfrom(100) == (bytes(data), udp.local_address)
    with running_loop.udp("::1", 0) as one, running_loop.udp("::1", 0, peer=one.local_address) as other:
        other.send(b"over IPv6").result(DEADLINE)
        assert one.receive().result(DEADLINE)[:2] == (b"over IPv6", other.local_address)


def test_a_connected_socket_hears_its_peer_alone(udp: UdpSocket, peer: socket.socket) -> None:
    with pytest.raises(libcoop.Os, match="connected peer"):
        udp.send(b"to whom").result(DEADLINE)
    udp.connect(peer.getsockname())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"not heard", udp.local_address)
    peer.sendto(b"heard", udp.local_address)
    assert udp.receive().result(DEADLINE).data == b"heard"
    udp.send(b"hello").result(DEADLINE)
    assert peer.recv(100) == b"hello"


def test_batches_keep_order_and_number(running_loop: EventLoop, udp: UdpSocket) -> None:
    sent = [b"%d" % number for number in range(150)]
    with running_loop.udp("127.0.0.1", 0, recv_buffer=1 << 20) as other:
        assert udp.send_batch((data, other.local_address) for data in sent).result(DEADLINE) == len(sent)
        got = [other.receive().result(DEADLINE)]
        while len(got) < len(sent):
            batch = other.receive_batch().result(DEADLINE)
            assert batch
            got += batch
        assert [one.data for one in got] == sent
        assert {one.address for one in got} == {udp.local_address}
        assert other.kernel_dropped == 0
    assert udp.send_batch([]).result(DEADLINE) == 0


def test_receives_are_served_in_their_order_and_lose_nothing(udp: UdpSocket, peer: socket.socket) -> None:
    waiting = [udp.receive() for _ in range(5)]
    waiting[0].cancel()
    waiting[3].cancel()
    for number in range(4):
        peer.sendto(b"%d" % number, udp.local_address)
    assert [waiting[index].result(DEADLINE).data for index in (1, 2, 4)] == [b"0", b"1", b"2"]
    assert udp.receive().result(DEADLINE).data == b"3"


def test_a_receive_that_is_cancelled_as_something_comes_loses_nothing(udp: UdpSocket, peer: socket.socket) -> None:
    got, cancelled = 0, 0
    for number in range(2000):
        future = udp.receive()
        peer.sendto(b"%d" % number, udp.local_address)
        if future.cancel():
            cancelled += 1
        else:
            assert future.result(DEADLINE).data == b"%d" % got
            got += 1
        # The system keeps so many for a receiver, and no more.
        while got < number - 20:
            assert udp.receive().result(DEADLINE).data == b"%d" % got
            got += 1
    while got < 2000:
        assert udp.receive().result(DEADLINE).data == b"%d" % got
        got += 1
    assert cancelled


def test_receive_times_are_told_on_request(running_loop: EventLoop, peer: socket.socket) -> None:
    with running_loop.udp("127.0.0.1", 0, receive_times=True) as udp:
        before = time.time_ns()
        peer.sendto(b"x", udp.local_address)
        at = udp.receive().result(DEADLINE).received_ns
        assert at is not None
        # The kernel's clock of arrivals may be a tick behind.
        assert before - 10**9 < at < time.time_ns() + 10**9


def test_asyncio_awaits_datagrams(udp: UdpSocket, peer: socket.socket) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(udp.receive(), 0.01)
        peer.sendto(b"x", udp.local_address)
        datagram = await udp.receive()
        await udp.send(datagram.data * 2, datagram.address)
        assert await udp.send_batch([(b"y", datagram.address)]) == 1

    asyncio.run(main())
    assert (peer.recv(10), peer.recv(10)) == (b"xx", b"y")


def test_closing_ends_who_waits(running_loop: EventLoop, udp: UdpSocket) -> None:
    waiting: list[libcoop.Future[Any]] = [udp.receive(), udp.receive_batch()]
    before = len(os.listdir("/proc/self/fd"))
    udp.close()
    udp.close()
    for future in waiting:
        with pytest.raises(libcoop.Closed, match="UDP socket"):
            future.result(DEADLINE)
    with pytest.raises(libcoop.Closed, match="UDP socket"):
        udp.send(b"", ("127.0.0.1", 9))
    assert udp.closed
    assert repr(udp) == "<libcoop.UdpSocket closed>"
    # The loop's thread lets go of the last one.
    deadline = time.monotonic() + DEADLINE
    while len(os.listdir("/proc/self/fd")) >= before:
        assert time.monotonic() < deadline
        running_loop.post_and_wait(lambda: None)


def test_the_end_of_the_loop_ends_who_waits(running_loop: EventLoop, udp: UdpSocket) -> None:
    waiting = udp.receive()
    running_loop.close()
    with pytest.raises(libcoop.Closed):
        waiting.result(DEADLINE)
    with pytest.raises(libcoop.Closed):
        udp.receive().result(DEADLINE)


Wrong = Callable[[EventLoop, UdpSocket], Any]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda loop, _: loop.udp("localhost", 0), ValueError, "localhost"),
        (lambda loop, _: loop.udp("127.0.0.1", 65536), ValueError, "65536"),
        (lambda loop, udp: loop.udp(*udp.local_address), libcoop.Os, "bind 127.0.0.1"),
        (lambda loop, _: loop.udp("127.0.0.1", 0, peer="x"), TypeError, "'x'"),
        (lambda _, udp: udp.send("text", ("127.0.0.1", 9)), TypeError, "str"),
        (lambda _, udp: udp.send(b"", ("name", 9)), ValueError, "name"),
        (lambda _, udp: udp.send(bytes(70000), ("127.0.0.1", 9)).result(DEADLINE), libcoop.Invalid, "70000"),
        (lambda _, udp: udp.send_batch([(bytes(70000), None)]), libcoop.Invalid, "70000"),
        (lambda _, udp: udp.send_batch([b"x"]), TypeError, "tuple"),
        (lambda _, udp: udp.send_batch(5), TypeError, "int"),
        (lambda _, udp: udp.connect(("127.0.0.1", -1)), ValueError, "-1"),
    ],
)
def test_what_is_wrong_is_said(
    call: Wrong, error: type[Exception], text: str, running_loop: EventLoop, udp: UdpSocket
) -> None:
    with pytest.raises(error, match=text):
        call(running_loop, udp)


def test_a_forked_child_is_refused(program: Program) -> None:
    program(
        """
        import os, warnings, libcoop
        warnings.simplefilter("ignore")
        loop = libcoop.EventLoop()
        loop.start()
        udp = loop.udp("127.0.0.1", 0)
        waiting = udp.receive()
        pid = os.fork()
        if pid == 0:
            try:
                udp.receive()
            except libcoop.Forked:
                udp.close()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        udp.send(b"x", udp.local_address).result(10)
        assert waiting.result(10).data == b"x"
        """
    )
