"""What goes wrong around a test, in the modes in which it makes a difference: floods, processes that stop, servers that
are replaced, handlers that raise. A test still ends with a result or a clear word, and what does not belong is counted.
"""

from __future__ import annotations

import random
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from libcoop.wynd.packet import CONNECT, Reason

RAISING = (str(Path(__file__).with_name("raising.py")),)
# A download's result is told until it is acknowledged, for at most --ack-time.
TEST = ("--bwup", "--bwdown", "--duration", "1.2", "--ack-time", "30000", "--adjustment-delay", "200")


@contextmanager
def flood(targets: list[tuple[str, int]], sources: list[str], datagrams: list[bytes]) -> Iterator[None]:
    """From each source in turn, to each target, as fast as one thread can."""
    ended = threading.Event()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sources]
    for sock, source in zip(socks, sources, strict=True):
        sock.bind((source, 0))

    def send() -> None:
        chance = random.Random(5)
        while not ended.is_set():
            sock = chance.choice(socks)
            for target in targets:
                try:
                    sock.sendto(chance.choice(datagrams), target)
                except OSError:  # a port that is closed by now
                    continue

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for sock in socks:
            sock.close()


def check(server: Any, client: Any) -> None:
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    assert len(client.report["tests"]) == len(server.report["tests"]) == 2
    for test in client.report["tests"]:
        assert test["result"]["packet_count"] > 0


@pytest.mark.parametrize("mode", ["SINGLE", "PROCESS"])
def test_garbage_from_everywhere(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    """On the main port and on the client's three, from its own address and from others."""
    server = serve("--port-parallelability", mode, "--connection-parallelibility", mode)
    client = run(server.target, *TEST, "--port-parallelability", mode)
    ports = re.findall(r"\d+", client.out.wait_for(r"^Ports: .*")[0])
    targets = [server.address, *(("127.0.0.1", int(port)) for port in ports)]
    junk = [random.Random(2).randbytes(size) for size in (0, 1, 19, 20, 100, 1400, 9000)]
    with flood(targets, ["127.0.0.1", "127.0.0.2", "127.0.0.3"], junk):
        check(server, client)
    dropped = server.report["dropped"]
    assert dropped[Reason.NOT_CONNECT] > 10
    assert dropped[Reason.STRANGER] > 10
    assert len(server.err.lines) == 0


@pytest.mark.parametrize("mode", ["SINGLE", "PROCESS"])
def test_connect_from_many_addresses(
    serve: Callable[..., Any], run: Callable[..., Any], free_range: Callable[[int], str], mode: str
) -> None:
    """No more clients than allowed; and room again once those that only knocked have been silent."""
    flags = ("--max-clients", "6", "--max-clients-per-address", "2", "--silence-timeout", "1")
    modes = ("--port-parallelability", "SINGLE", "--connection-parallelibility", mode)  # who is let in is the latter's
    server = serve(*flags, *modes, "--port-ranges", free_range(40), "--test-verbose")
    with flood([server.address], [f"127.0.0.{last}" for last in range(1, 40)], [CONNECT]):
        time.sleep(0.5)
    deadline = time.monotonic() + 60
    while run(server.target, "--bwup", "--duration", "0.3", "--ack-time", "100").wait() != 0:
        assert time.monotonic() < deadline  # what the kernel had kept of the flood knocks for a while yet
    assert server.interrupt() == 0
    assert server.report["dropped"][Reason.LIMIT_ALL] > 10
    at_once = most = 0
    for line in server.err.lines:
        at_once += bool(re.search(r"^client \d+: .*, ports ", line)) - bool(re.search(r": freed after ", line))
        most = max(most, at_once)
    assert 1 <= most <= 6


@pytest.mark.parametrize("mode", ["SINGLE"])
def test_ports_that_run_out(
    serve: Callable[..., Any], run: Callable[..., Any], free_range: Callable[[int], str], mode: str
) -> None:
    """A client more than there are ports for hears nothing, and says so; the one before goes on."""
    server = serve("--port-parallelability", mode, "--port-ranges", free_range(5), "--test-verbose")
    first = run(server.target, "--heartbeat-rate", "20", "--port-parallelability", mode)
    first.out.wait_for(r"^Latency UPLOAD")
    second = run(server.target, "--bwup", program=("-m", "libcoop.wynd"))
    server.err.wait_for(r"refused: no free port in ")
    assert second.wait() == 1
    assert "no answer from" in second.err.lines[0]
    seen = len(first.out.lines)
    deadline = time.monotonic() + 60
    while len(first.out.lines) < seen + 10:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert first.interrupt() == 130
    assert server.interrupt() == 0
    assert server.report["dropped"][Reason.NO_PORTS] >= 1


@pytest.mark.parametrize("mode", ["PROCESS"])  # in another: test_a_process_that_stood_still_goes_on
@pytest.mark.parametrize("stopped", ["server", "client"])
def test_a_side_that_stands_still(serve: Callable[..., Any], run: Callable[..., Any], mode: str, stopped: str) -> None:
    server = serve("--port-parallelability", mode, "--test-verbose")
    client = run(server.target, *TEST, "--port-parallelability", mode)
    server.err.wait_for(r"client 1: upload test of 1.2")
    side = server if stopped == "server" else client
    side.process.send_signal(signal.SIGSTOP)
    time.sleep(0.4)
    side.process.send_signal(signal.SIGCONT)
    check(server, client)


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_a_server_that_is_replaced(
    serve: Callable[..., Any], run: Callable[..., Any], free_range: Callable[[int], str], mode: str
) -> None:
    """The client of the old one ends with a word; the new one serves others at the same address."""
    # Not one that the system may give to somebody else meanwhile.
    port = free_range(1).split("-")[0]
    server = serve("--server", f"127.0.0.1:{port}", "--port-parallelability", mode, "--test-verbose")
    client = run(server.target, "--bwup", "--duration", "60", "--client-timeout", "3", "--port-parallelability", mode)
    server.err.wait_for(r"client 1: upload test of 60")
    server.kill()
    again = run("--server", server.target, "--port-ranges", "20000-40000", "--port-parallelability", mode)
    again.out.wait_for(r"^Server started on ")
    assert client.wait() == 1
    assert client.err.lines == [f"the server {server.target} has been silent for 3 s"]
    assert run(server.target, "--bwup", "--duration", "0.3", "--ack-time", "100").wait() == 0
    assert again.interrupt() == 0


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_handlers_that_raise(
    serve: Callable[..., Any], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """On each thousandth datagram, so that the batch at hand loses one and comes again without it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    server = serve("--port-parallelability", mode, program=RAISING)
    client = run(server.target, *TEST, "--port-parallelability", mode)
    check(server, client)
