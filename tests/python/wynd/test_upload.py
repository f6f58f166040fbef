"""Sender and receiver of an upload test, alone and over a line that loses, reorders and repeats."""

from __future__ import annotations

import array
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from libcoop.wynd.packet import HEADER, MAX_PAIRS, MAX_SEQUENCE, Kind, dummy_payload, parse
from libcoop.wynd.receiving import Receiver
from libcoop.wynd.sending import Burst, Run, Sender, SpanQueue, intersect

CHANNEL = 777
SPANS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 8)), max_size=20)


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for begin, end in spans for number in range(begin, end + 1)}


def disjoint(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    queue = SpanQueue()
    queue.add([(begin, begin + more) for begin, more in pairs])
    return list(queue)


def laid_out(datagrams: list[bytes]) -> tuple[memoryview, memoryview[int]]:
    offsets = array.array("Q", [0])
    for datagram in datagrams:
        offsets.append(offsets[-1] + len(datagram))
    return memoryview(b"".join(datagrams)), memoryview(offsets)


def datagram_of(sequence: int, offset: int, length: int = 10, channel: int = CHANNEL) -> bytes:
    return HEADER.pack(Kind.BANDWIDTH_TEST << 24 | channel, sequence, offset) + dummy_payload(length)


@given(SPANS, SPANS, st.integers(0, 320))
def test_intersect(left: list[tuple[int, int]], right: list[tuple[int, int]], highest: int) -> None:
    a, b = disjoint(left), disjoint(right)
    shared = intersect(a, b, highest)
    assert numbers(shared) == {number for number in numbers(a) & numbers(b) if number <= highest}


@given(st.lists(SPANS, max_size=5), st.integers(1, 9))
def test_queue_gives_each_number_once_lowest_first(added: list[list[tuple[int, int]]], most: int) -> None:
    queue, expected = SpanQueue(), set()
    for pairs in added:
        spans = [(begin, begin + more) for begin, more in pairs]
        queue.add(spans)
        expected |= numbers(spans)
    taken: list[int] = []
    while queue:
        begin, count = queue.take(most)
        assert count <= most
        taken += range(begin, begin + count)
    assert taken == sorted(expected)


@given(st.lists(st.tuples(st.integers(1, 70), SPANS), max_size=30), st.integers(0, 1362))
def test_a_burst_is_the_packets_of_its_run(steps: list[tuple[int, list[tuple[int, int]]]], length: int) -> None:
    sender, burst = Sender(1), Burst(CHANNEL, length)
    for report, (most, spans) in enumerate(steps):
        sender.on_flow_control(report, tuple(disjoint(spans)))
        run = sender.next_run(min(most, burst.most))
        data = bytes(burst.fill(run))
        expected = [datagram_of(run.sequence + i, run.offset, length) for i in range(run.packets)]
        assert data == b"".join(expected)
        assert len(data) < 65_000


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Runs of test packets with holes, other channels, bad offsets, other types and other sizes between them."""
    stream: list[bytes] = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["run", "run", "run", "odd", "channel", "offset", "junk"]))
        start = draw(st.integers(0, 600) | st.integers(2**56 - 300, 2**56 + 300))
        offset = draw(st.integers(0, min(start, 20)))
        count = draw(st.integers(1, 400) if kind == "run" else st.integers(1, 3))
        for i in range(count):
            match kind:
                case "run":
                    stream.append(datagram_of(start + i, offset))
                case "odd":
                    stream.append(datagram_of(start + 2 * i, offset, 10 + i))
                case "channel":
                    stream.append(datagram_of(start + i, offset, channel=CHANNEL + 1))
                case "offset":
                    stream.append(datagram_of(start + i, start + i + 1))
                case "junk":
                    stream.append(draw(st.binary(max_size=40)))
    if draw(st.booleans()):
        draw(st.randoms(use_true_random=False)).shuffle(stream)
    return stream


@given(streams())
def test_scan_takes_what_a_packet_by_packet_reading_takes(stream: list[bytes]) -> None:
    data, offsets = laid_out(stream)
    scanned, plain, rest = Receiver(CHANNEL, 0.0), Receiver(CHANNEL, 0.0), []
    for index, datagram in enumerate(stream):
        packet = parse(datagram)
        if isinstance(packet, tuple) and packet.kind is Kind.BANDWIDTH_TEST and packet.channel == CHANNEL:
            plain.run(packet.sequence, packet.offset, 1, len(datagram))
        else:
            rest.append(index)
    assert scanned.scan(data, offsets, 0, len(stream)) == rest
    assert scanned.finish(1.0) == plain.finish(1.0)
    assert (scanned.distinct, list(scanned.gaps)) == (plain.distinct, list(plain.gaps))


def test_scan_of_a_part_of_a_batch() -> None:
    stream = [datagram_of(i, 0) for i in range(10)]
    data, offsets = laid_out(stream)
    receiver = Receiver(CHANNEL, 0.0)
    assert receiver.scan(data, offsets, 3, 7) == []
    assert list(receiver.gaps) == [(0, 2), (7, MAX_SEQUENCE)]


def test_totals() -> None:
    receiver = Receiver(CHANNEL, 10.0)
    receiver.run(0, 0, 4, 100)
    receiver.run(5, 3, 1, 100)
    receiver.run(4, 0, 1, 100)  # late: not the highest sequence number
    totals = receiver.finish(12.0)
    assert totals.bytes_received == 600
    assert totals.packet_count == 6
    assert totals.retransmit_count == 3
    assert totals.duration == 2.0
    assert totals.bandwidth_bps == 2400.0
    assert receiver.distinct == 5


def test_dropped_is_what_oldest_and_newest_miss_below_what_was_unsent() -> None:
    sender = Sender(3)
    assert sender.next_run(10) == Run(0, 0, 10, False)
    assert sender.on_flow_control(0, ((3, 4), (8, MAX_SEQUENCE))) == 0  # 10 is the first not yet sent
    sender.next_run(10)
    assert sender.on_flow_control(1, ((3, 4), (15, MAX_SEQUENCE))) == 0
    assert sender.on_flow_control(2, ((4, 4), (8, 8), (12, MAX_SEQUENCE))) == 2  # 4 and 8; 12 was not sent by then
    assert sender.on_flow_control(1, ((0, MAX_SEQUENCE),)) is None  # came late
    assert sender.next_run(10) == Run(20, 16, 1, True)
    assert sender.next_run(10) == Run(21, 13, 1, True)
    assert sender.next_run(10) == Run(22, 2, 10, False)  # new data carries the number of retransmissions
    assert sender.retransmitted == 2
    # The window moved on: the oldest is now the second report.
    assert sender.on_flow_control(3, ((4, 4), (16, MAX_SEQUENCE))) == 5  # 4, which is lost again, and 16..19
    assert sender.next_fresh() == Run(32, 2, 1, False)


def test_the_last_packet_of_a_test_says_how_many_were_sent_again() -> None:
    sender = Sender(1)
    sender.next_run(9)
    sender.on_flow_control(0, ((2, 5),))
    while sender.has_lost:
        assert sender.next_run(2).again
    assert sender.next_fresh().offset == sender.retransmitted == 4


class Line:
    """Packets take 0..delay steps, or never arrive; some arrive twice."""

    def __init__(self, random_: random.Random, loss: float, twice: float, delay: int) -> None:
        self.random, self.loss, self.twice, self.delay = random_, loss, twice, delay
        self.flying: dict[int, list[bytes]] = {}

    def send(self, step: int, datagram: bytes) -> None:
        for _ in range(2 if self.random.random() < self.twice else 1):
            if self.random.random() >= self.loss:
                self.flying.setdefault(step + 1 + self.random.randint(0, self.delay), []).append(datagram)

    def arrived(self, step: int) -> list[bytes]:
        datagrams = self.flying.pop(step, [])
        self.random.shuffle(datagrams)
        return datagrams


def deliver(seed: int, loss: float, twice: float, delay: int, window: int, total: int) -> tuple[Sender, Receiver]:
    """Send `total` numbers and go on until all of them have come."""
    from libcoop.wynd.packet import encode_flow_control

    random_ = random.Random(seed)
    up, down = Line(random_, loss, twice, delay), Line(random_, loss, twice, delay)
    sender, receiver, burst = Sender(window), Receiver(CHANNEL, 0.0), Burst(CHANNEL, 10)
    for step in range(200_000):
        if sender.unsent < total or sender.has_lost:
            most = min(burst.most, max(total - sender.unsent, 1)) if not sender.has_lost else burst.most
            run = sender.next_run(most)
            data = bytes(burst.fill(run))
            for i in range(run.packets):
                up.send(step, data[i * burst.size : (i + 1) * burst.size])
        stream = up.arrived(step)
        assert receiver.scan(*laid_out(stream), 0, len(stream)) == []
        spans = receiver.gaps.lowest()
        assert len(spans) <= MAX_PAIRS
        if step % 3 == 0:
            down.send(step, encode_flow_control(CHANNEL, step, spans))
        for datagram in down.arrived(step):
            packet = parse(datagram)
            assert isinstance(packet, tuple)
            sender.on_flow_control(packet.sequence, packet.body)  # type: ignore[arg-type]
        if spans[0] == (sender.unsent, MAX_SEQUENCE) and sender.unsent >= total:
            return sender, receiver
    raise AssertionError(f"not delivered: {receiver.gaps.lowest(3)} of {sender.unsent}")


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0, 0.5),
    st.floats(0, 0.3),
    st.integers(0, 6),
    st.integers(1, 12),
    st.integers(1, 5000),
)
def test_all_is_delivered(seed: int, loss: float, twice: float, delay: int, window: int, total: int) -> None:
    sender, receiver = deliver(seed, loss, twice, delay, window, total)
    assert receiver.distinct == sender.unsent >= total
    assert receiver.packet_count >= receiver.distinct
    assert sender.sequence == sender.unsent + sender.retransmitted


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(4, 10))
def test_nothing_in_flight_is_sent_again(seed: int, delay: int, window: int) -> None:
    # Reports leave every third step: a window of four spans the longest way there and back.
    sender, receiver = deliver(seed, 0.0, 0.2, delay, window, 3000)
    assert sender.retransmitted == 0
    assert receiver.distinct == sender.sequence
