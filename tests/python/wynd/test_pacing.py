"""The pacer in front of a receiver that takes so many packets per second and loses the rest."""

from __future__ import annotations

import random

import pytest
from libcoop.wynd.gaps import Gaps
from libcoop.wynd.pacing import FLOOR, START, Pacer
from libcoop.wynd.packet import MAX_SEQUENCE
from libcoop.wynd.sending import Sender

STEP = 0.001  # seconds


def run(capacity: float, offered: float, loss: float, seconds: float) -> tuple[Pacer, list[int]]:
    """Packets sent in each 100 ms while a sender that could offer `offered` packets/s is held by the pacer."""
    chance = random.Random(7)
    pacer, sender, gaps = Pacer(), Sender(10), Gaps()
    sent_in: list[int] = []
    now, sent, room = 100.0, 0, 0.0
    for step in range(int(seconds / STEP)):
        now += STEP
        room = min(room + capacity * STEP, capacity * 0.005)
        allowance = pacer.allowance(now)
        left = int(offered * STEP) if allowance is None else min(allowance, int(offered * STEP))
        count = 0
        while left > count:
            packets = sender.next_run(min(left - count, 64))
            count += packets.packets
            begin = packets.sequence - packets.offset
            for number in range(begin, begin + packets.packets):
                if room >= 1 and chance.random() >= loss:
                    room -= 1
                    gaps.receive(number, number)
        if count:
            pacer.sent(now, count, sender.unsent)
        sent += count
        if step % 100 == 99:
            spans = tuple(gaps.lowest())
            sender.on_flow_control(step, spans)
            pacer.on_flow_control(now, spans, sender.unsent)
            sent_in.append(sent)
            sent = 0
    return pacer, sent_in


def test_no_limit_without_loss() -> None:
    pacer, sent = run(capacity=1e9, offered=2_000_000, loss=0.0, seconds=1)
    assert pacer.rate is None
    assert sent[0] < 4 * START * 0.1  # a ramp first
    assert sent[-1] == 200_000


def test_the_ramp_needs_no_reports() -> None:
    pacer = Pacer()
    allowed = [pacer.allowance(10 + step / 1000) for step in range(1000)]
    assert allowed[0] == 0
    assert allowed[-1] is None


def test_an_overrun_receiver_is_left_near_its_rate() -> None:
    _, sent = run(capacity=20_000, offered=100_000, loss=0.0, seconds=6)
    late = sum(sent[-20:]) / 2  # packets per second in the last two seconds
    assert 0.7 * 20_000 < late < 1.6 * 20_000


@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_a_bad_line_does_not_slow_a_test_down(loss: float) -> None:
    _, sent = run(capacity=1e9, offered=50_000, loss=loss, seconds=4)
    assert sum(sent[-10:]) > 0.8 * 50_000


def test_the_limit_goes_when_the_loss_does() -> None:
    pacer, now, number = Pacer(), 10.0, 0
    for _ in range(200):
        number += 100
        now += 0.01
        pacer.allowance(now)
        pacer.sent(now, 100, number)
    limits = [pacer.rate]
    pacer.on_flow_control(now, ((0, number // 2), (number, 2**64 - 1)), number)
    limits.append(pacer.rate)
    for _ in range(60):
        for _ in range(10):
            number += 100
            now += 0.01
            pacer.sent(now, 100, number)
        pacer.on_flow_control(now, ((number, 2**64 - 1),), number)
    limits.append(pacer.rate)
    assert [limit is None for limit in limits] == [True, False, True]


def test_the_limit_grows_while_only_retransmissions_go_out() -> None:
    pacer, now, lost = Pacer(), 10.0, 100_000
    for step in range(200):
        now += 0.01
        pacer.allowance(now)
        pacer.sent(now, 500, (step + 1) * 500)
    pacer.on_flow_control(now, ((0, lost - 2), (lost, MAX_SEQUENCE)), lost)
    limit = pacer.rate
    assert limit is not None
    done = 0
    for report in range(10):
        for _ in range(10):
            now += 0.01
            pacer.sent(now, 300, lost, 300)
        # What was sent again came; from the sixth report on half of it is lost again.
        done += 3000 if report < 5 else 1500
        pacer.on_flow_control(now, ((done, lost - 2), (lost, MAX_SEQUENCE)), lost)
        if report == 4:
            grown = pacer.rate
    assert grown == pytest.approx(limit * 1.1**5)
    assert pacer.rate == grown
    # The limit holds: that little new data went out meanwhile does not mean that it held nothing back.
    for _ in range(10):
        now += 0.01
        lost += 350
        pacer.sent(now, 350, lost)
    pacer.on_flow_control(now, ((lost, MAX_SEQUENCE),), lost)
    assert pacer.rate == pytest.approx(limit * 1.1**6)


def test_never_below_the_floor() -> None:
    pacer, now, number = Pacer(), 10.0, 0
    for _ in range(30):
        for _ in range(100):
            number += 10
            now += 0.001
            pacer.allowance(now)
            pacer.sent(now, 10, number)
        pacer.on_flow_control(now, ((number - 1000, number - 2), (number, 2**64 - 1)), number)
    assert pacer.rate == FLOOR


def test_reports_of_nothing_missing_or_beyond_what_was_sent_are_harmless() -> None:
    pacer = Pacer()
    pacer.on_flow_control(1.0, (), 0)
    pacer.on_flow_control(1.0, ((5, 2**64 - 1),), 0)
    pacer.on_flow_control(1.0, tuple((i * 1000, i * 1000 + 998) for i in range(86)), 0)
    assert pacer.rate == START
