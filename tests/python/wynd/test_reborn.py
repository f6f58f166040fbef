"""Ports whose handlers end again and again: a test goes on where it was, and all arguments and messages pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libcoop import EventLoop
from libcoop.wynd import mailbox as module
from libcoop.wynd.events import Event, What
from libcoop.wynd.gaps import Gaps
from libcoop.wynd.mailbox import Mailbox, Outlet
from libcoop.wynd.packet import MAX_SEQUENCE

REBORN = str(Path(__file__).with_name("reborn.py"))
# A download's result is told until it is acknowledged, for at most --ack-time.
QUICK = ("--duration", "1.2", "--ack-time", "30000", "--adjustment-delay", "200", "--flow-control-rate", "4")


@pytest.mark.parametrize("chance", ["0", "0.05"])
@pytest.mark.parametrize("mode", ["SINGLE", "THREAD"])
def test_tests_end_with_a_result(serve: Callable[..., Any], run: Callable[..., Any], mode: str, chance: str) -> None:
    program = (REBORN, chance)
    server = serve("--port-parallelability", mode, "--connection-parallelibility", mode, program=program)
    client = run(server.target, "--bwup", "--bwdown", *QUICK, "--port-parallelability", mode, program=program)
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0, server.err.lines
    assert not [line for line in server.err.lines + client.err.lines if "Error" in line]
    up, down = client.report["tests"]
    for test in (up, down):
        assert test["result"]["packet_count"] > 0
        assert test["result"]["bytes_received"] == test["result"]["packet_count"] * 938
        assert test["result"]["packet_count"] <= test["sent"]["packets_sent"]
        assert round(test["result"]["duration"], 3) >= 1.2
    assert [test["result"] for test in server.report["tests"]] == [up["result"], down["result"]]
    assert server.report["clients"] == 1


def test_gaps_that_were_kept() -> None:
    gaps, again, few = Gaps(), Gaps(), Gaps()
    for number in range(1, 3000, 3):
        gaps.receive(number, number)
    again.resume(gaps.kept(5000), 7)
    assert list(again) == list(gaps)
    assert again.forgotten == 7
    few.resume(gaps.kept(3), 0)
    assert list(few) == [(0, 0), (2, 3), (5, MAX_SEQUENCE)]
    for spans in ([], [(0, MAX_SEQUENCE)], [(4, 4)]):
        once = Gaps()
        once.resume(spans, 0)
        assert list(once) == spans


def test_events_come_over_the_socket_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = EventLoop()
    came: list[Event] = []
    mailbox = Mailbox(loop, came.append)
    outlet = pickle.loads(pickle.dumps(mailbox.outlet))
    outlet.put(Event(1, "here", What.ALIVE))
    mailbox.listen()
    mailbox.listen()  # once
    remote = Outlet(mailbox._name)
    monkeypatch.setattr(module, "_boxes", {})  # as in another process
    for number in range(3000):  # more than a socket holds
        remote.put(Event(number, "there", What.ALIVE))
    loop.call_later(0.2, loop.stop)
    loop.run()
    remote.put(Event(3000, "there", What.ALIVE))  # what waited goes too
    remote.flush(1.0)
    while not came or came[-1].client < 3000:  # drain() is called when nobody puts any more
        mailbox.drain()
        remote.flush(0.0)
    assert [event.client for event in came if event.port == "there"] == list(range(3001))
    assert came[0].port == "here"
    mailbox.close()
    loop.close()
    remote.put(Event(0, "there", What.ALIVE))  # nobody is there: nothing is raised
    remote.close(0.0)
