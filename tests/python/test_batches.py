"""Batches: the datagrams that a handler is given, and what its exceptions skip."""

from __future__ import annotations

import gc
import itertools
import socket
import time
from collections.abc import Callable, Sequence

import pytest
from libcoop import Batch, Mode, Port, PortContext, PortSet
from portkit import (
    DEADLINE,
    HERE,
    Batches,
    Gate,
    Make,
    OnBatch,
    Tell,
    Told,
    get,
)


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
    # In SINGLE mode they wait in the kernel; in THREAD mode another thread takes them, in its own time.
    while gate.mode == Mode.THREAD and ports.stats()["port"].received < len(data):
        time.sleep(0.001)
    gate.go.set()
    return ports


@HERE
def test_the_batch_is_a_sequence_over_its_bytes(make: Make, peer: socket.socket) -> None:
    data = [b"one", b"", b"three" * 100, b"4"]
    told = Told()

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
    told = Told()
    ports = make(Port("port", Tell, (told,)))
    get(told)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        for number in range(10):
            sender = (peer, other)[number % 2]
            sender.sendto(bytes([number]), ports.addresses["port"])
            assert get(told) == ("datagram", bytes([number]), sender.getsockname())


@HERE
def test_kept_memoryviews_keep_their_bytes(make: Make, peer: socket.socket) -> None:
    kept: list[memoryview] = []
    echoed = Told()

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


@HERE
def test_an_exception_skips_the_datagram_at_hand_and_the_rest_comes_again(
    make: Make, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

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


@HERE
def test_the_index_that_the_handler_sets_is_skipped(
    make: Make, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

    def handle(ctx: PortContext, batch: Batch) -> None:
        told.put([bytes(batch[index][0]) for index in range(len(batch))])
        if len(batch) == 4:
            batch.index = 2
            raise LookupError

    one_batch(make, peer, handle, [b"0", b"1", b"2", b"3"])
    assert get(told) == [b"0", b"1", b"2", b"3"]
    assert get(told) == [b"3"]
